"""Do raters' votes as soft labels help when labels are wrong? Needs votes, as FERPlus and the built-in faces have.

Noise 0 to 30 % x kind of label: the majority's, the distribution of the votes, or the mean of both. Where noise moves
a label from i to j the votes of i and j are exchanged, so soft labels are wrong about the same faces in the same way.
Valence and arousal are not trained: where they are derived from the votes, the model would learn the votes from them.
Rare classes are not weighted: a few wrong labels of a class of fifty would outweigh the right ones (docs/log.md).

    python -m raysweep.run ablation_votes --on ferplus --seeds 5
"""

from raysweep.study import Axis, Study

study = Study(
    title="Label noise and raters' votes",
    base={"objective.weight_va": 0.0, "objective.class_weights": "none"},
    axes=[
        Axis.of("labels.noise_rate", [0.0, 0.1, 0.2, 0.3], name="noise"),
        Axis(
            "labels",
            {
                "majority": {"labels.method": "one_hot"},
                "votes": {"labels.method": "votes", "labels.alpha": 0.0},
                "both": {"labels.method": "votes", "labels.alpha": 0.5},
            },
        ),
    ],
    reference={"labels": "majority"},
    notes=[
        "Where noise moves a label from i to j, the votes of i and j are exchanged: hard and soft labels are wrong "
        "about the same faces in the same way."
    ],
    columns=("macro_f1", "accuracy", "ece", "kl_votes"),
)
