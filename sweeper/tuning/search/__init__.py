"""Searching: which point is tried next, and when enough is known."""
