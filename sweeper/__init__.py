"""Runs experiments: training, merging, measuring, the store, Ray Tune, the command line."""
