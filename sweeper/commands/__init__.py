"""The commands, a module per group: what is asked for, in which words, with which answer."""
