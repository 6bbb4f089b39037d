"""Data sets small enough for tests, without the renderer: coloured squares whose hue tells the class."""

import math

import hypothesis
import numpy as np
import pytest
import torch

from raysweep.artifacts.predictions import ImagePredictions
from raysweep.config.experiment import Experiment
from raysweep.data.dataset import FaceData
from raysweep.data.expressions import AFFECTNET_MEANS, EXPRESSIONS

hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)  # a busy machine is no fault
hypothesis.settings.load_profile("untimed")


NO_PREDICTIONS = ImagePredictions(
    np.empty(0, np.int64), np.empty((0, 4)), np.empty((0, 2)), np.empty(0, np.int64), np.empty((0, 2))
)
"""Of no image."""


@pytest.fixture(autouse=True)
def one_thread():
    """Bitwise results hold at a fixed thread count."""
    torch.set_num_threads(1)


def make_squares(count=160, size=32, classes=4, seed=0, with_va=True) -> FaceData:
    """Pictures whose colour is the class, with noise; the last quarter is the test split."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    colours = torch.randint(40, 216, (classes, 3), generator=torch.Generator().manual_seed(1)).float()
    noise = 25 * torch.randn(count, 3, size, size, generator=generator)
    images = (colours[labels][:, :, None, None] + noise).clamp(0, 255).to(torch.uint8)
    va = torch.tensor(AFFECTNET_MEANS)[labels] + 0.1 * torch.randn(count, 2, generator=generator)
    votes = 0.8 * torch.nn.functional.one_hot(labels, classes).float() + 0.2 / classes
    return FaceData(
        name="squares",
        classes=EXPRESSIONS[:classes],
        images=images,
        labels=labels,
        va=va.clamp(-1, 1) if with_va else torch.full((count, 2), math.nan),
        votes=votes,
        subjects=torch.arange(count) // 5,
        splits=torch.where(torch.arange(count) < 3 * count // 4, 0, 2),
        fingerprint=f"squares-{count}-{size}-{classes}-{seed}-{with_va}",
    )


@pytest.fixture
def squares() -> FaceData:
    return make_squares()


@pytest.fixture
def quick() -> Experiment:
    """Three epochs of the small encoder."""
    return Experiment().with_changes(
        {
            "data.image_size": 32,
            "model.backbone": "small",
            "model.weights": None,
            "train.epochs": 3,
            "train.batch_size": 32,
            "train.learning_rate": 3e-3,
            "train.decay_every": 2,
            "train.swa_start": 0.3,
            "labels.noise_rate": 0.2,
        }
    )


LONGEST = ("tests/test_studies.py", "tests/faults/", "tests/test_end_to_end.py", "tests/test_wheel.py")
"""What takes minutes, the longest first: it starts first, so that no process is left alone with it at the end."""


def pytest_collection_modifyitems(items):
    """In the order of `LONGEST`, then as collected."""
    place = {start: number for number, start in enumerate(LONGEST)}
    items.sort(key=lambda item: next((place[s] for s in LONGEST if item.nodeid.startswith(s)), len(LONGEST)))
