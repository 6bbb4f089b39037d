"""Scores by name, and which way is better. `raysweep.metrics.compute` computes those of the test images."""

LABEL_SCORES = {
    "kept_share": True,
    "given_right": True,
    "kept_right": True,
    "remainder_right": True,
    "relabelled_right": True,
    "relabel_agreement": True,
    "pseudo_rmse": False,
    "pseudo_ccc": True,
    "pseudo_own_rmse": False,
    "pseudo_own_ccc": True,
    "given_va_rmse": False,
    "mapped_va_rmse": False,
}
"""How good the labels are that DCJT makes, whatever is trained on them: MLflow's "labels/<name>".

B is the extra set, A the target; M_A keeps of B what it agrees with, the rest is the remainder. "Right": the
label is the truth by A's criteria, of all of B (`given`), of what is kept, of the remainder before and after
relabelling. `pseudo_*`: VA given to A against the truth, `pseudo_own_*`:
against the VA that A came with; `*_va_rmse`: B's remainder before and after mapping.
"""

WITHOUT_DIRECTION = ("kept_share", "relabel_agreement")
"""Shares that no truth says more or less of is better: no arrow, and no arm is better in them."""

OWN_VA = {"pseudo_rmse": "pseudo_own_rmse", "pseudo_ccc": "pseudo_own_ccc"}
"""What stands beside a score of A's pseudo VA where A came with VA of its own."""

VA_SCORES = ("rmse_valence", "rmse_arousal", "ccc_valence", "ccc_arousal")
"""Of images whose valence and arousal are known."""

VOTE_SCORES = ("kl_votes",)
"""Of images that several raters named."""

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
    **LABEL_SCORES,
}
