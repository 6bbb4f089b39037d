"""The eight expressions in AffectNet's order, and what is published about each."""

EXPRESSIONS = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
"""Canonical order. Index = AffectNet's expression code. Seven-class sets drop the last."""

AFFECTNET_COUNTS = (74874, 134415, 25459, 14090, 6378, 3803, 24882, 3750)
"""Training images an expression (287,651 in all)."""

AFFECTNET_MEANS = (
    (-0.063, -0.020),
    (0.664, 0.070),
    (-0.637, -0.257),
    (0.180, 0.689),
    (-0.126, 0.766),
    (-0.694, 0.457),
    (-0.453, 0.567),
    (-0.515, 0.583),
)
"""Mean (valence, arousal) an expression over AffectNet's training images."""
