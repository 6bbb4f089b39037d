"""Which soft label is best? One-hot, uniform smoothing, and mixed labels from valence and arousal.

Squared distances and the one-std box are the paper's; unsquared distances are the authors' code;
without the box the Gaussians keep their full spread and the labels are less confident.

    python -m raysweep.run ablation_label_method
"""

from raysweep.study import Axis, Study

study = Study(
    title="Kinds of soft labels",
    source="DDAF, sections 3.1-3.2",
    base={"labels.alpha": 0.5},
    axes=[
        Axis(
            "labels",
            {
                "one-hot": {"labels.method": "one_hot"},
                "smoothing 0.1": {"labels.method": "uniform", "labels.alpha": 0.9},
                "uniform": {"labels.method": "uniform"},
                "Euclidean": {"labels.method": "euclidean", "labels.squared": True},
                "Euclidean unsquared": {"labels.method": "euclidean", "labels.squared": False},
                "Gaussian": {"labels.method": "gaussian", "labels.within_std": 1.0},
                "Gaussian without box": {"labels.method": "gaussian", "labels.within_std": None},
            },
        ),
    ],
    reference={"labels": "one-hot"},
    columns=("accuracy", "macro_f1", "ece", "nll", "kl_votes"),
)
