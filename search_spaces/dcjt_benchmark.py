"""How does joint training compare with published methods? DCJT, Tables 5 and 6.

The target set alone and DCJT, beside every method the paper compares itself with, and later ones. Meant for RAF-DB or
CAER-S with AffectNet as the extra set and the paper's recipe (ARM); on anything else the published numbers are for
orientation only, and the report says so.

    python -m raysweep.run dcjt_benchmark --on rafdb --set joint.extra=affectnet-7 --preset paper
    python -m raysweep.run dcjt_benchmark --on caers --set joint.extra=affectnet-7 --preset paper

Under the preset `paper` Table 6's deeper encoders are arms, too, on the target alone; elsewhere `--axis` adds them.
"""

from raysweep.study import Axis, Study, Table

ALONE = {"joint.method": "target", "objective.weight_va": 0.0}
DEEPER = {"ResNet-18": "resnet18", "ResNet-50": "resnet50", "Res2Net": "res2net50"}


def paper_table(number: int, data: str) -> Table:
    """Tables 5 and 6 differ in the target set."""
    return Table(
        title="Comparison with published methods",
        source=f"DCJT, Table {number}",
        data=data,
        rows=["method"],
        metrics=["accuracy"],
        methods=True,
        percent=True,
        words={"method": "Methods", "accuracy": "Acc. (%)"},
    )


study = Study(
    title="Joint training beside published methods",
    source="DCJT, Tables 5 and 6",
    paper="DCJT",
    base={"joint.extra": "faces-b-moderate"},
    axes=[
        Axis(
            "method",
            {
                "target only": ALONE,
                "DCJT": {"joint.method": "dcjt"},
            },
            offered={name: {**ALONE, "model.backbone": backbone} for name, backbone in DEEPER.items()},
            paper_scale=list(DEEPER),
        )
    ],
    reference={"method": "target only"},
    metric="accuracy",
    published="dcjt_benchmark",
    tables=[paper_table(5, "rafdb"), paper_table(6, "caers")],
    columns=("accuracy", "macro_f1"),
)
