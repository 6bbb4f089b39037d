"""How big a study is run: seconds, minutes, or as in the paper.

A preset changes scale and recipe, never the question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Preset:
    """Fields a preset sets, and how many replicates it runs when nobody says.

    `search_trials` and `search_seeds`: of a study with a search, the trials of an arm and the replicates of the table.
    `changes` hold for every study; `dcjt` come on top for studies of the DCJT paper; `targets` on top of
    those, by paper and by what the target data set is (its reader).
    """

    about: str
    seeds: int
    changes: Mapping[str, Any]
    search_trials: int
    search_seeds: int
    dcjt: Mapping[str, Any] = field(default_factory=dict)
    targets: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)

    def fields(self, paper: str, kind: str) -> dict[str, Any]:
        """What the preset sets for a study of this paper on a target data set of this kind."""
        own = self.dcjt if paper == "DCJT" else {}
        return {**self.changes, **own, **self.targets.get((paper, kind), {})}


_SMALL = {
    "model.backbone": "small",
    "model.weights": None,
    "augment.rotate": 3.0,
    "augment.translate": 0.03,
    "augment.scale_min": 0.95,
    "augment.scale_max": 1.1,
    "augment.brightness": 0.1,
    "augment.contrast": 0.1,
    "train.learning_rate": 2e-3,
    "train.weight_decay": 1e-5,
    "train.decay_every": 0.6,
    "train.decay_factor": 0.3,
    "train.batch_size": 64,
}

_DCJT = {
    "labels.alpha": 1.0,
    "objective.class_weights": "none",
    "objective.cosine": False,
    "objective.va_reduction": "mean",
    "objective.weight_va": 15.0,
    "selection.weights": "best",
    "train.swa_start": None,
}
"""The objective of DCJT (Eq. 4-6), whatever the size. Differs from the paper's authors, who report the best
epoch on test: here validation images choose it."""

_SMALL_DCJT = {
    **_DCJT,
    "data.source": "faces-a",
    "objective.weight_va": 1.0,  # chosen among 1, 5, 15, 50, 100 on validation images (docs/log.md)
    "joint.warm_up": 0.25,
    "joint.frequency": 2.0,
    "scn.relabel_from": 0.5,
}

_PAPER_DCJT = {
    **_DCJT,
    "model.backbone": "arm",
    "model.affect": "linear",
    "train.epochs": 120,
    "train.batch_size": 128,
    "train.learning_rate": 1e-3,
    "train.decay_every": 40.0,
    "augment.rotate": 0.0,
    "augment.translate": 0.0,
    "augment.scale_max": 1.0,
    "augment.brightness": 0.0,
    "augment.contrast": 0.0,
    "augment.erase": 0.5,
    "selection.protocol": "validation",
}
"""RAF-DB's recipe, which is the default of `Joint`: lambda 15, warm-up 30, frequency 10 (section 4.2). Where each value
comes from: `raysweep.study.recipe_origins`."""

_CAER = {"train.learning_rate": 0.01, "objective.weight_va": 100.0, "joint.warm_up": 100.0, "joint.frequency": 5.0}
"""What section 4.2 changes for CAER-S."""

_AFF_WILD = {"objective.class_weights": "none"}
"""What the authors' script changes for Aff-Wild."""

PRESETS: dict[str, Preset] = {
    "smoke": Preset(
        "seconds: does everything work?",
        seeds=1,
        search_trials=4,
        search_seeds=2,
        changes={
            **_SMALL,
            "data.image_size": 32,
            "data.train_images": 320,
            "data.test_images": 96,
            "train.epochs": 2,
            "train.swa_start": 0.5,
        },
        dcjt={
            **_SMALL_DCJT,
            "joint.extra_images": 480,
            "joint.warm_up": 0.0,
            "joint.frequency": 1.0,
            "train.epochs": 10,
        },
    ),
    "demo": Preset(
        "minutes on 2 cores: a small encoder at 48 pixels",
        seeds=3,
        search_trials=24,
        search_seeds=5,
        changes={
            **_SMALL,
            "data.image_size": 48,
            "data.train_images": 3600,
            "data.test_images": 800,
            "train.epochs": 11,
        },
        dcjt={
            **_SMALL_DCJT,
            "data.train_images": 1200,
            "joint.extra_images": 3600,
            "train.epochs": 16,
        },
    ),
    "paper": Preset(
        "the paper's recipe at 224 pixels: DDAF ResNet-18, 50 epochs; DCJT ARM, 120 epochs; needs a GPU",
        seeds=5,
        search_trials=100,
        search_seeds=5,
        changes={"selection.protocol": "last"},  # all hyperparameters are the paper's: nothing is left to select
        dcjt=_PAPER_DCJT,
        targets={("DCJT", "caers"): _CAER, ("DDAF", "affwild"): _AFF_WILD},
    ),
}
