"""How much should the VA term weigh in joint training? lambda of DCJT, Equations 5 and 6.

The paper uses 15 on RAF-DB and 100 on CAER-S and prints no ablation. M_A and M_B are shared by all arms.

    python -m raysweep.run ablation_lambda
"""

from raysweep.study import Axis, Study

study = Study(
    title="Weight of the VA term in joint training (lambda)",
    source="DCJT, Equations 5-6",
    paper="DCJT",
    base={"joint.method": "dcjt", "joint.extra": "faces-b-moderate"},
    axes=[Axis.of("objective.weight_va", [1.0, 5.0, 15.0, 50.0, 100.0], name="lambda")],
    reference={"lambda": "15"},
    metric="accuracy",
    columns=("accuracy", "macro_f1", "ece"),
)
