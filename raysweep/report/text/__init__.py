"""Sentences of a report: captions, findings, notes."""
