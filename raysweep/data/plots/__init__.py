"""Sheets of faces and labels, as PNG."""
