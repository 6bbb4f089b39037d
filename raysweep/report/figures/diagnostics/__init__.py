"""Figures of what predictions say beyond scores: classes, confusions, calibration."""
