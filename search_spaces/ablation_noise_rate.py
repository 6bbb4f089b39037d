"""Do fused labels help when expression labels are wrong? DDAF, Table 3.

Noise 0 to 30 % (exactly that share of the training labels flipped to another class) x three kinds of
labels at alpha = 0.5. Valence and arousal have no noise; statistics come from clean labels, as in the
authors' code (`--set labels.statistics=noisy` is what a user really has).

    python -m raysweep.run ablation_noise_rate --seeds 5
"""

from raysweep.study import Axis, Study, Table

study = Study(
    title="Label noise and label fusion",
    source="DDAF, Table 3",
    base={"labels.alpha": 0.5},
    axes=[
        Axis.of("labels.noise_rate", [0.0, 0.1, 0.2, 0.3], name="noise"),
        Axis(
            "method",
            {
                "one-hot": {"labels.method": "one_hot"},
                "Euclidean": {"labels.method": "euclidean"},
                "Gaussian": {"labels.method": "gaussian"},
            },
        ),
    ],
    reference={"method": "one-hot"},
    published="ddaf_table3",
    columns=("macro_f1", "accuracy", "ece"),
    tables=[
        Table(
            source="DDAF, Table 3",
            rows=["noise"],
            columns=["method"],
            metrics=["macro_f1"],
            blocks=["data"],
            words={
                "noise": "Noise (%)",
                "0.1": "10",
                "0.2": "20",
                "0.3": "30",
                "one-hot": "One-hot",
                "Euclidean": "Fusion (Euclidean)",
                "Gaussian": "Fusion (GMM)",
            },
        )
    ],
)
