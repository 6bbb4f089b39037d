"""How long should joint training stay on A alone? Warm-up of DCJT, Algorithm 3, as a share of the epochs.

The paper uses 30 of 120 epochs on RAF-DB. The epochs on A alone are trained once for all arms.

    python -m raysweep.run ablation_warmup
"""

from raysweep.study import Axis, Study

study = Study(
    title="Warm-up of joint training, share of the epochs",
    source="DCJT, Algorithm 3",
    paper="DCJT",
    base={"joint.method": "dcjt", "joint.extra": "faces-b-moderate"},
    axes=[Axis.of("joint.warm_up", [0.0, 0.125, 0.25, 0.5], name="warm-up")],
    reference={"warm-up": "0.25"},
    metric="accuracy",
    columns=("accuracy", "macro_f1", "ece"),
)
