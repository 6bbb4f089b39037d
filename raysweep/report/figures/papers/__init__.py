"""Figures in the manner of those of the two papers."""
