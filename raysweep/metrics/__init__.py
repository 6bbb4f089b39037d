"""Scores: how they are computed, and what each is called."""
