"""Which pre-training carries over best to a third set? DCJT, Table 7.

Models trained on A, B, both as they are, and by DCJT, with and without a third set D that has no VA, are
fine-tuned on C and scored on C.

    python -m raysweep.run dcjt_finetune
    python -m raysweep.run dcjt_finetune --on A.csv --set joint.extra=B.csv+D.csv --set joint.finetune=C.csv
"""

from raysweep.study import Axis, Study, Table

DISCRETE = {"objective.weight_va": 0.0}
TWO, THREE = {"joint.extra_sets": 1}, {"joint.extra_sets": 2}

study = Study(
    title="Pre-training for a third data set",
    source="DCJT, Table 7",
    paper="DCJT",
    base={"joint.extra": "faces-b-moderate+faces-d", "joint.finetune": "faces-c"},
    axes=[
        Axis(
            "pre-training",
            {
                "A only": {"joint.method": "target", **DISCRETE},
                "B only": {"joint.method": "extra", **TWO, **DISCRETE},
                "A + B combined": {"joint.method": "combine", **TWO, **DISCRETE},
                "A + B DCJT": {"joint.method": "dcjt", **TWO},
                "A + B + third combined": {"joint.method": "combine", **THREE, **DISCRETE},
                "A + B + third DCJT": {"joint.method": "dcjt", **THREE},
            },
        )
    ],
    reference={"pre-training": "A only"},
    metric="accuracy",
    published="dcjt_table7",
    columns=("accuracy", "macro_f1", "ece"),
    tables=[
        Table(
            source="DCJT, Table 7",
            rows=["pre-training"],
            metrics=["accuracy"],
            percent=True,
            words={"pre-training": "Pre-training data & strategy", "accuracy": "Acc. (%)"},
        )
    ],
)
