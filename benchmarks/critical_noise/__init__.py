"""How many trials a search needs until S* is right: ours, its peers, and the information limit, on planted humps."""
