"""Scores: their registry, and functions that compute all of a data set's."""
