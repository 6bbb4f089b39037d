"""Readers of data sets as they are officially distributed, one file each."""
