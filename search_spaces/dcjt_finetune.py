"""Which pre-training carries over best to a third set? DCJT, Table 7.

Models trained on A, B, both as they are, and by DCJT, with and without a third set D that has no VA, are
fine-tuned on C and scored on C.

    python -m raysweep.run dcjt_finetune
"""

from raysweep.study import Axis, Study

DISCRETE = {"objective.weight_va": 0.0}
TWO, THREE = "faces-b-moderate", "faces-b-moderate+faces-d"

study = Study(
    title="Pre-training for a third data set",
    source="DCJT, Table 7",
    paper="DCJT",
    base={"joint.finetune": "faces-c"},
    axes=[
        Axis(
            "pre-training",
            {
                "A only": {"joint.method": "target", **DISCRETE},
                "B only": {"joint.method": "extra", "joint.extra": TWO, **DISCRETE},
                "A + B combined": {"joint.method": "combine", "joint.extra": TWO, **DISCRETE},
                "A + B DCJT": {"joint.method": "dcjt", "joint.extra": TWO},
                "A + B + third combined": {"joint.method": "combine", "joint.extra": THREE, **DISCRETE},
                "A + B + third DCJT": {"joint.method": "dcjt", "joint.extra": THREE},
            },
        )
    ],
    reference={"pre-training": "A only"},
    metric="accuracy",
    published="dcjt_table7",
    columns=("accuracy", "macro_f1", "ece"),
)
