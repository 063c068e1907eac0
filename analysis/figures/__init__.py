"""Figures: numbers first (`…_info`), then the picture (`plot_…`), one module per family."""
