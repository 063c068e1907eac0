"""Working: one trial, in one process or several."""
