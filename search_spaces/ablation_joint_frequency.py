"""How often should B join? Joint frequency of DCJT, Algorithm 3: the number of epochs per pass over B.

The paper uses 10 on RAF-DB and 5 on CAER-S.

    python -m raysweep.run ablation_joint_frequency
"""

from raysweep.study import Axis, Study

study = Study(
    title="Joint frequency: B joins every so many epochs",
    source="DCJT, Algorithm 3",
    paper="DCJT",
    base={"joint.method": "dcjt", "joint.extra": "faces-b-moderate"},
    axes=[Axis.of("joint.frequency", [1.0, 2.0, 5.0, 10.0, None], name="every")],
    reference={"every": "none"},
    metric="accuracy",
    columns=("accuracy", "macro_f1", "ece"),
)
