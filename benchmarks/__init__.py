"""Ratios against what a user would write instead; every number is the machine's, every ratio within one run."""
