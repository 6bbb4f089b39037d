"""How good does DDAF get when all its hyperparameters are searched together, with clean and with noisy labels?

Label method, fusion weight, lambda, learning rate and class weights are searched inside each arm, on validation
images; the best point is then compared with the paper's over fresh seeds. The paper's values are tried first.

    python -m raysweep.run search_ddaf --preset smoke
    python -m raysweep.run search_ddaf                  # 24 trials an arm
    python -m raysweep.run search_ddaf --preset paper   # 100 trials an arm; needs GPUs
"""

from raysweep.study import Axis, Choice, LogUniform, Search, Study, Uniform

study = Study(
    title="DDAF searched: labels, losses and learning rate together",
    source="DDAF, sections 3-4",
    base={
        "selection.protocol": "validation",
        "labels.statistics": "noisy",  # as for a user, who does not know which labels are wrong
    },
    axes=[Axis.of("labels.noise_rate", [0.0, 0.3], name="noise")],
    search=Search(
        space={
            "train.learning_rate": LogUniform(1e-4, 1e-2),
            "labels.method": Choice(["one_hot", "uniform", "euclidean", "gaussian"]),
            "labels.alpha": Uniform(0.0, 1.0).when("labels.method", ["uniform", "euclidean", "gaussian"]),
            "objective.weight_va": LogUniform(0.05, 20.0),
            "objective.class_weights": Choice(["hard", "soft", "capped", "none"]),
            "objective.cosine": Choice([True, False]),
        },
        start=[
            {},  # the paper: Euclidean labels, alpha 0.5, lambda 1
            {"labels.method": "gaussian", "labels.alpha": 0.5},
            {"labels.method": "one_hot"},
        ],
    ),
    columns=("macro_f1", "accuracy", "ece", "rmse_valence", "rmse_arousal"),
    notes=(
        "statistics of the classes come from the labels as they are, wrong ones among them",
        "the validation images that points are selected on have their right labels",
    ),
)
