"""How much of the one-hot label should a fused label keep? DDAF, Table 4.

Five values of alpha (Eq. 4) with Euclidean labels (Eq. 3); alpha = 1 is the plain one-hot label.
That the paper's table uses Euclidean labels is inferred: its alpha = 0.5 row equals Table 3's.

    python -m raysweep.run ablation_alpha                  # under 3 minutes on 2 cores
    python -m raysweep.run ablation_alpha --preset paper   # needs a GPU
"""

from raysweep.study import Axis, Study, Table

study = Study(
    title="Effect of the fusion weight alpha",
    source="DDAF, Table 4",
    base={"labels.method": "euclidean"},
    axes=[Axis.of("labels.alpha", [0.0, 0.3, 0.5, 0.7, 1.0])],
    reference={"alpha": "1"},
    published="ddaf_table4",
    tables=[
        Table(
            source="DDAF, Table 4",
            rows=["alpha"],
            metrics=["rmse_valence", "rmse_arousal", "accuracy", "macro_f1"],
            blocks=["data"],
            groups={"Regression": ["rmse_valence", "rmse_arousal"], "Classification": ["accuracy", "macro_f1"]},
            words={"alpha": "Fusion α", "accuracy": "Accuracy", "macro_f1": "F1"},
        )
    ],
)
