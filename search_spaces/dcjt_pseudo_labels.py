"""Do pseudo VA for A, and a subset of B that agrees with A, help a classifier of A? DCJT, Table 1.

Three kinds of labels for A: expressions alone (DL), with pseudo VA from a model trained on all of B
(DL & CLE), or on the subset that M_A agrees with (DL & CLS); trained on A, or on A and that subset as one set.

    python -m raysweep.run dcjt_pseudo_labels
    python -m raysweep.run dcjt_pseudo_labels --on A.csv --set joint.extra=B.csv --axis "labels=DL,DL & CLS,DL & own VA"
    python -m raysweep.run dcjt_pseudo_labels --preset paper --on RAF_DB_FOLDER --set joint.extra=AFFECTNET.csv
"""

from raysweep.study import Axis, Study, Table

study = Study(
    title="Pseudo VA and subset selection",
    source="DCJT, Table 1",
    paper="DCJT",
    base={
        "joint.method": "dcjt",
        "joint.extra": "faces-b-moderate",
        "joint.schedule": "concatenate",
        "joint.mapping": "none",
        "joint.relabel": False,
    },
    axes=[
        Axis("trained on", {"A": {"joint.extra_part": "none"}, "A + subset": {"joint.extra_part": "subset"}}),
        Axis(
            "labels",
            {
                "DL": {"joint.pseudo_va": "none", "objective.weight_va": 0.0},
                "DL & CLE": {"joint.pseudo_va": "all"},
                "DL & CLS": {"joint.pseudo_va": "subset"},
            },
            offered={"DL & own VA": {"joint.pseudo_va": "own"}},
        ),
    ],
    reference={"trained on": "A", "labels": "DL"},
    metric="accuracy",
    published="dcjt_table1",
    columns=("accuracy", "macro_f1", "ece", "kept_share", "kept_right", "pseudo_rmse"),
    tables=[
        Table(
            source="DCJT, Table 1",
            rows=["trained on", "labels"],
            ticks=["trained on", "labels"],
            metrics=["accuracy"],
            blocks=["encoder"],
            percent=True,
            words={
                "encoder": "Backbone",
                "trained on": "Training datasets",
                "A + subset": "A and selected subset of B",
                "labels": "Training labels",
                "accuracy": "Acc. (%)",
            },
        )
    ],
)
