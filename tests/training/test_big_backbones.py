"""The encoders of both papers train two batches on a CPU and give finite scores."""

import math

import pytest

from raysweep.config.experiment import Experiment
from raysweep.training import Trainer
from tests.conftest import make_squares

SIZES = {"resnet18": 64, "resnet50": 64, "res2net50": 64, "arm": 224}
CASES = [(backbone, head) for backbone in SIZES for head in ("plain", "scn")]
SHORT = [("resnet18", "scn"), ("arm", "plain")]


@pytest.mark.parametrize(
    ("backbone", "head"), [pytest.param(*case, marks=[] if case in SHORT else [pytest.mark.full]) for case in CASES]
)
def test_two_batches(backbone, head):
    size = SIZES[backbone]
    experiment = Experiment().with_changes(
        {
            "data.image_size": size,
            "model.backbone": backbone,
            "model.weights": None,
            "model.head": head,
            "labels.alpha": 1.0,
            "train.epochs": 1,
            "train.batch_size": 4,
            "train.swa_start": 0.0,
            "scn.relabel_from": 1,
        }
    )
    trainer = Trainer(experiment, make_squares(16, size=size, classes=2))
    (result,) = trainer.epochs()
    assert result.metrics["images"] == 7  # subjects of five: one is held out of three; batches of four and three
    assert all(math.isfinite(value) for value in result.metrics.values())
    scores = {kind: trainer.score(p)["nll"] for kind, p in trainer.finish().predictions.items()}
    assert scores.keys() == {"last", "swa", "best"}
    assert all(math.isfinite(value) for value in scores.values())
