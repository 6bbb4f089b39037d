"""How should the VA and labels of B's remainder be brought to A's criteria? DCJT, Table 2.

Pseudo VA of A from all of B (CLE) or the selected subset (CLS) x original or nearest-centre labels for the
remainder of B x its VA as it is, mapped by one Gaussian (GCLM) or by one an expression (EDCLM).
M_A is trained once and M_B twice a replicate; the warm-up on A is shared.

    python -m raysweep.run dcjt_mapping
    python -m raysweep.run dcjt_mapping --on A.csv --set joint.extra=B.csv --axis "pseudo VA=CLE,CLS,own"  # A has VA

The 88.48 beside the last ResNet-18 row is from MS-Celeb, whose weights you must provide:

    python -m raysweep.run dcjt_mapping --on rafdb --set joint.extra=affectnet-7 --preset paper \\
        --set model.backbone=resnet18 --axis "mapping=none,GCLM,EDCLM,EDCLM from MS-Celeb=FILE"
"""

from raysweep.study import Axis, Study, Table, Yours

study = Study(
    title="Mapping and relabelling the remainder of B",
    source="DCJT, Table 2",
    paper="DCJT",
    base={"joint.method": "dcjt", "joint.extra": "faces-b-moderate"},
    axes=[
        Axis(
            "pseudo VA",
            {"CLE": {"joint.pseudo_va": "all"}, "CLS": {"joint.pseudo_va": "subset"}},
            offered={"own": {"joint.pseudo_va": "own"}},
        ),
        Axis("remainder", {"original": {"joint.relabel": False}, "relabelled": {"joint.relabel": True}}),
        Axis(
            "mapping",
            {
                "none": {"joint.mapping": "none"},
                "GCLM": {"joint.mapping": "global"},
                "EDCLM": {"joint.mapping": "per_class"},
            },
            offered={
                "EDCLM from MS-Celeb": {
                    "joint.mapping": "per_class",
                    "model.weights": Yours("a file of the encoder's weights from MS-Celeb"),
                }
            },
        ),
    ],
    reference={"pseudo VA": "CLE", "remainder": "original", "mapping": "none"},
    metric="accuracy",
    published="dcjt_table2",
    columns=("accuracy", "macro_f1", "relabel_agreement", "relabelled_right", "given_va_rmse", "mapped_va_rmse"),
    tables=[
        Table(
            source="DCJT, Table 2",
            rows=["remainder", "pseudo VA", "mapping"],
            ticks=["pseudo VA", ("B sel.", "DL & CL"), "remainder", "mapping"],
            metrics=["accuracy"],
            blocks=["encoder"],
            percent=True,
            words={
                "encoder": "Backbone",
                "pseudo VA": "A",
                "CLE": "DL & CLE",
                "CLS": "DL & CLS",
                "remainder": "Remainder of B",
                "original": "original DL",
                "relabelled": "relabelled DL",
                "mapping": "Remainder of B",
                "none": "original CL",
                "accuracy": "Acc. (%)",
            },
        )
    ],
)
