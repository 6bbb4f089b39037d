"""How does joint training compare with published methods? DCJT, Tables 5 and 6.

The target set alone and DCJT, beside every method the paper compares itself with, and later ones. Meant for RAF-DB or
CAER-S with AffectNet as the extra set and the paper's recipe (ARM); on anything else the published numbers are for
orientation only, and the report says so.

    python -m raysweep.run dcjt_benchmark --on rafdb --set joint.extra=affectnet-7 --preset paper
    python -m raysweep.run dcjt_benchmark --on caers --set joint.extra=affectnet-7 --preset paper
"""

from raysweep.study import Axis, Study

study = Study(
    title="Joint training beside published methods",
    source="DCJT, Tables 5 and 6",
    paper="DCJT",
    base={"joint.extra": "faces-b-moderate"},
    axes=[
        Axis(
            "method",
            {
                "target only": {"joint.method": "target", "objective.weight_va": 0.0},
                "DCJT": {"joint.method": "dcjt"},
            },
        )
    ],
    reference={"method": "target only"},
    metric="accuracy",
    published="dcjt_benchmark",
    columns=("accuracy", "macro_f1"),
)
