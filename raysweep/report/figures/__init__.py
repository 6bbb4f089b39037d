"""Figures: their data and their drawing."""
