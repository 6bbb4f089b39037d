"""Scores by name, and which way is better. `raysweep.metrics` computes them."""

HIGHER_IS_BETTER = {
    "accuracy": True,
    "macro_f1": True,
    "rmse_valence": False,
    "rmse_arousal": False,
    "ccc_valence": True,
    "ccc_arousal": True,
    "ece": False,
    "nll": False,
    "brier": False,
    "kl_votes": False,
}
