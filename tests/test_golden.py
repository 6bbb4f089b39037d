"""Numbers that must not move without a bump of `raysweep.core.keys.NUMERICS`: products in stores depend on it.

Tolerances, not bits: processors differ in the last digits of a convolution.
"""

import pytest

from raysweep.core.experiment import Experiment
from raysweep.core.keys import NUMERICS
from raysweep.recipes import experiment_key
from raysweep.training import Trainer
from tests.conftest import make_squares


def golden_experiment() -> Experiment:
    """Every operation once: noise, fusion, weights, augmentation, all loss terms, decay, SWA."""
    return Experiment().with_changes(
        {
            "model.backbone": "small",
            "model.weights": None,
            "train.epochs": 3,
            "train.batch_size": 32,
            "train.learning_rate": 1e-3,
            "train.decay_every": 2,
            "train.swa_start": 0.4,
            "labels.noise_rate": 0.2,
            "labels.method": "gaussian",
            "labels.within_std": None,
        }
    )


def test_golden_curves():
    assert NUMERICS["ddaf"] == 1, "write the new numbers down here"
    trainer = Trainer(golden_experiment(), make_squares())
    curves = [result.metrics for result in trainer.epochs()]
    assert [m["train/ce"] for m in curves] == pytest.approx([1.19325, 0.68928, 0.53985], rel=2e-3)
    assert [m["train/cs"] for m in curves] == pytest.approx([0.34849, 0.12892, 0.07375], rel=1e-2)
    assert [m["train/va"] for m in curves] == pytest.approx([0.35644, 0.14530, 0.07786], rel=1e-2)
    assert [m["val/rmse_valence"] for m in curves] == pytest.approx([0.46669, 0.45039, 0.40734], rel=1e-2)
    final = {kind: trainer.score(p)["nll"] for kind, p in trainer.finish().predictions.items()}
    assert final == pytest.approx({"last": 1.10269, "swa": 0.15327, "best": 1.10269}, rel=2e-2)


def test_golden_draws_are_exact():
    assert Trainer(golden_experiment(), make_squares()).targets.noise_hash == "9005d7cf8eb48e8f"


def test_golden_key():
    """A new field moves every key: give it a canonical value that leaves old keys alone, or bump NUMERICS."""
    assert experiment_key(golden_experiment(), "data").startswith("75d20130dbb62254")
