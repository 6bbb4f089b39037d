"""How far is DCJT's recipe from the best one on these faces? All its parts are searched together.

Lambda, warm-up, joint frequency, learning rate, mapping, relabelling and class weights of DCJT, and DDAF's fused
labels (from pseudo VA for A, from mapped VA for B). The schedule is searched in shares of the epochs, so
that it fits every preset. Points are compared on validation images of A; the best is then compared with the paper's
point over fresh seeds. The papers' values are tried first.

    python -m raysweep.run search_dcjt --preset smoke
    python -m raysweep.run search_dcjt                  # 24 trials
    python -m raysweep.run search_dcjt --preset paper   # 100 trials; needs GPUs
"""

from raysweep.study import Choice, LogUniform, Search, Study, Uniform

study = Study(
    title="DCJT searched: schedule, losses and labels together",
    source="DCJT, sections 3-4",
    paper="DCJT",
    base={
        "joint.method": "dcjt",
        "joint.extra": "faces-b-moderate",
        "selection.protocol": "validation",
    },
    search=Search(
        space={
            "train.learning_rate": LogUniform(3e-4, 2e-2),
            "objective.weight_va": LogUniform(0.3, 200.0),
            "joint.warm_up": Uniform(0.0, 0.84),  # with the next: B joins at least once at any number of epochs
            "joint.frequency": LogUniform(0.01, 0.16),
            "joint.mapping": Choice(["none", "global", "per_class"]),
            "joint.relabel": Choice([True, False]),
            "labels.method": Choice(["one_hot", "euclidean", "gaussian"]),
            "labels.alpha": Uniform(0.3, 1.0).when("labels.method", ["euclidean", "gaussian"]),
            "objective.class_weights": Choice(["none", "hard", "capped"]),
        },
        start=[
            {},  # the paper's point at the preset's scale
            {"objective.weight_va": 15.0},  # section 4.2: RAF-DB
            {"labels.method": "gaussian", "labels.alpha": 0.5},  # with DDAF's labels
        ],
        stopper=None,  # a schedule in which B joins late scores badly until then; most of a trial is M_A and M_B
    ),
    columns=("macro_f1", "accuracy", "ece"),
)
