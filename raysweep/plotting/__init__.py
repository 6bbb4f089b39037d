"""Drawings that MLflow and reports share."""
