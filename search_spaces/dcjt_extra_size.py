"""How large must the extra set be? DCJT, Table 8.

python -m raysweep.run dcjt_extra_size
"""

from raysweep.study import Axis, Study, Table

study = Study(
    title="Size of the extra set",
    source="DCJT, Table 8",
    paper="DCJT",
    base={"joint.extra": "faces-b-moderate"},
    axes=[
        Axis(
            "extra",
            {
                "none": {"joint.method": "target", "objective.weight_va": 0.0},
                "10 %": {"joint.method": "dcjt", "joint.extra_share": 0.1},
                "50 %": {"joint.method": "dcjt", "joint.extra_share": 0.5},
                "100 %": {"joint.method": "dcjt", "joint.extra_share": 1.0},
            },
        )
    ],
    reference={"extra": "none"},
    metric="accuracy",
    published="dcjt_table8",
    columns=("accuracy", "macro_f1", "kept_share", "pseudo_rmse", "relabelled_right"),
    tables=[
        Table(
            source="DCJT, Table 8",
            rows=["extra"],
            metrics=["accuracy"],
            percent=True,
            words={
                "extra": "Dataset A and B",
                "none": "A only",
                "10 %": "A + 10 % of B",
                "50 %": "A + 50 % of B",
                "100 %": "A + 100 % of B",
                "accuracy": "Accuracy on the test set of A (%)",
            },
        )
    ],
)
