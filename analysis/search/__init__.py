"""Where a search should look next, when it is done, and which of its trials are hopeless."""
