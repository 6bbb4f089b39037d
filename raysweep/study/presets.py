"""How big a study is run: seconds, minutes, or as in the paper.

A preset changes scale and recipe, never the question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Preset:
    """Fields a preset sets, and how many replicates it runs when nobody says."""

    about: str
    seeds: int
    changes: Mapping[str, Any]


_SMALL = {
    "model.backbone": "small",
    "model.weights": None,
    "augment.rotate": 3.0,
    "augment.translate": 0.03,
    "augment.scale_min": 0.95,
    "augment.scale_max": 1.1,
    "augment.brightness": 0.1,
    "augment.contrast": 0.1,
    "augment.erase": 0.0,
    "train.learning_rate": 2e-3,
    "train.decay_every": 0.6,
    "train.decay_factor": 0.3,
    "train.batch_size": 64,
}

PRESETS: dict[str, Preset] = {
    "smoke": Preset(
        "seconds: does everything work?",
        seeds=1,
        changes={
            **_SMALL,
            "data.image_size": 32,
            "data.train_images": 320,
            "data.test_images": 96,
            "train.epochs": 2,
            "train.swa_start": 0.5,
        },
    ),
    "demo": Preset(
        "minutes on 2 cores: a small encoder at 48 pixels",
        seeds=3,
        changes={
            **_SMALL,
            "data.image_size": 48,
            "data.train_images": 3600,
            "data.test_images": 800,
            "train.epochs": 11,
        },
    ),
    "paper": Preset(
        "the paper's recipe: ResNet-18 from ImageNet, 224 pixels, 50 epochs; needs a GPU",
        seeds=5,
        changes={"selection.protocol": "last"},  # all hyperparameters are the paper's: nothing is left to select
    ),
}
