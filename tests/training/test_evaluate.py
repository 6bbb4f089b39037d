"""Predicting many images."""

import pytest
import torch

from raysweep.config.sections import Model
from raysweep.models import build_model
from raysweep.training.predict import EVALUATION_BATCH, predict


@pytest.fixture
def model():
    return build_model(Model(backbone="small", weights=None), 5, 0)


@pytest.mark.parametrize("count", [0, 1, EVALUATION_BATCH, 2 * EVALUATION_BATCH + 3])
def test_every_image_once_and_in_order(model, count):
    rows = torch.arange(count).flip(0)
    found = predict(model, rows, lambda part: torch.full((len(part), 3, 32, 32), 1.0) * part.view(-1, 1, 1, 1) / 100)
    assert model.training
    model.eval()
    assert (found.probs_NK.shape, found.affect_N2.shape) == ((count, 5), (count, 2))
    for place in range(0, count, 100):
        with torch.no_grad():
            alone = model(torch.full((1, 3, 32, 32), int(rows[place]) / 100))
        assert torch.allclose(found.probs_NK[place], alone.logits[0].softmax(0), atol=1e-5)
        assert torch.allclose(found.affect_N2[place], alone.affect[0], atol=1e-5)
