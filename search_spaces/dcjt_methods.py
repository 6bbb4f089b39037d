"""Which way of using B helps on A, as B's labelling criteria differ more and more? DCJT, Tables 3 and 4, Figure 1.

Seven methods at three strengths of shift between A's and B's criteria (built-in sites). On data of your own:

    python -m raysweep.run dcjt_methods --seeds 5
    python -m raysweep.run dcjt_methods --on A.csv --set joint.extra=B.csv --preset paper

Table 3's 88.48 is DCJT with a ResNet-18 from MS-Celeb, whose weights you must provide:

    python -m raysweep.run dcjt_methods --on rafdb --set joint.extra=affectnet-7 --preset paper \\
        --set model.backbone=resnet18 --axis "method=target only,DCJT,DCJT from MS-Celeb=FILE"
"""

from raysweep.study import Axis, Study, Table, Yours

DISCRETE = {"objective.weight_va": 0.0}
SCN = {"model.head": "scn", **DISCRETE}


def paper_table(number: int, data: str, levels: list[str]) -> Table:
    """Tables 3 and 4 differ in the target set."""
    return Table(
        title="Joint training methods",
        source=f"DCJT, Table {number}",
        data=data,
        rows=["method"],
        metrics=["accuracy"],
        blocks=["encoder"],
        levels={"method": levels},
        percent=True,
        words={
            "encoder": "Backbone",
            "method": "Joint-learning method",
            "target only": "Without extra datasets",
            "combination": "Combination straightly",
            "SCN joint": "SCN",
            "accuracy": "Acc. (%)",
        },
    )


IN_PAPER = ["target only", "combination", "SCN joint", "DCJT"]

study = Study(
    title="Ways of training on two sets with different labelling criteria",
    source="DCJT, Tables 3 and 4, Figure 1",
    paper="DCJT",
    axes=[
        Axis(
            "shift",
            {strength: {"joint.extra": f"faces-b-{strength}"} for strength in ("none", "moderate", "strong")},
        ),
        Axis(
            "method",
            {
                "target only": {"joint.method": "target", **DISCRETE},
                "extra only": {"joint.method": "extra", **DISCRETE},
                "combination": {"joint.method": "combine", **DISCRETE},
                "pre-train + fine-tune": {"joint.method": "extra", "joint.finetune": "target", **DISCRETE},
                "SCN on target": {"joint.method": "target", **SCN},
                "SCN joint": {"joint.method": "combine", **SCN},
                "DCJT": {"joint.method": "dcjt"},
            },
            offered={
                "DCJT from MS-Celeb": {
                    "joint.method": "dcjt",
                    "model.weights": Yours("a file of the encoder's weights from MS-Celeb"),
                }
            },
        ),
    ],
    reference={"method": "target only"},
    metric="accuracy",
    published="dcjt_methods",
    tables=[paper_table(3, "rafdb", [*IN_PAPER, "DCJT from MS-Celeb"]), paper_table(4, "caers", IN_PAPER)],
    columns=("accuracy", "macro_f1", "kept_right", "pseudo_rmse", "relabelled_right"),
    notes=(
        "SCN's arms use SCN's loss and relabelling with the optimiser and schedule of the other arms, not SCN's own "
        "(70 epochs, weight decay 1e-4, exponential decay 0.9)",
    ),
)
