"""Does weighting the regression loss by class help rare expressions? DDAF, Figure 5.

python -m raysweep.run weighted_l2
"""

from raysweep.study import Axis, Study

study = Study(
    title="Plain and class-weighted regression loss",
    source="DDAF, Figure 5",
    base={"labels.method": "euclidean", "labels.alpha": 0.5},
    axes=[
        Axis(
            "regression", {"plain L2": {"objective.weighted_va": False}, "weighted L2": {"objective.weighted_va": True}}
        )
    ],
    reference={"regression": "plain L2"},
    metric="rmse_valence",
    published="ddaf_figure5",
    columns=("rmse_valence", "rmse_arousal", "ccc_valence", "ccc_arousal", "macro_f1"),
)
