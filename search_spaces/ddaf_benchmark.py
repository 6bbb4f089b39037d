"""How does label fusion compare with published methods? DDAF, Tables 1 and 2.

One-hot labels and both kinds of fused labels, classification and regression scores, beside every method the paper
compares itself with, and later ones. Meant for AffectNet with the paper's recipe; on anything else the published
numbers are for orientation only, and the report says so.

    python -m raysweep.run ddaf_benchmark --on affectnet --preset paper
"""

from raysweep.study import Axis, Study, Table

study = Study(
    title="Label fusion beside published methods",
    source="DDAF, Tables 1 and 2",
    base={"labels.alpha": 0.5},
    axes=[
        Axis(
            "labels",
            {
                "one-hot": {"labels.method": "one_hot"},
                "fused Euclidean": {"labels.method": "euclidean"},
                "fused Gaussian": {"labels.method": "gaussian"},
            },
        )
    ],
    reference={"labels": "one-hot"},
    published="ddaf_benchmark",
    columns=("accuracy", "macro_f1", "rmse_valence", "rmse_arousal", "ccc_valence", "ccc_arousal"),
    tables=[
        Table(
            title="Classification performance of different methods",
            source="DDAF, Table 1",
            rows=["labels"],
            metrics=["accuracy", "macro_f1"],
            methods=True,
            percent=True,
            words={"labels": "Method", "accuracy": "Accuracy", "macro_f1": "F1"},
        ),
        Table(
            title="Regression performance of different methods",
            source="DDAF, Table 2",
            rows=["labels"],
            metrics=["rmse_valence", "rmse_arousal", "ccc_valence", "ccc_arousal"],
            methods=True,
            groups={"RMSE ↓": ["rmse_valence", "rmse_arousal"], "CCC ↑": ["ccc_valence", "ccc_arousal"]},
            words={
                "labels": "Method",
                "rmse_valence": "Valence",
                "rmse_arousal": "Arousal",
                "ccc_valence": "Valence",
                "ccc_arousal": "Arousal",
            },
        ),
    ],
)
