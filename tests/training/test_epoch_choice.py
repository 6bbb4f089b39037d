"""The epoch is chosen by `selection.metric`, whichever way is better, on the images that the protocol names."""

import math

import pytest
import torch

from raysweep.core.errors import UserError
from raysweep.data.dataset import TRAIN, VALIDATION
from raysweep.metrics.registry import METRICS
from raysweep.pipeline import run_cell
from raysweep.store.store import Store
from raysweep.training import Trainer
from tests.conftest import make_squares

SCRIPT = {
    "accuracy": [0.50, 0.80, 0.80],  # equal: the first
    "macro_f1": [0.60, 0.50, 0.40],
    "rmse_valence": [0.30, 0.40, 0.20],
    "ccc_arousal": [-0.5, -0.1, -0.2],
    "nll": [math.nan, 2.0, 1.0],
    "ece": [0.1, math.nan, 0.1],
}
BEST = {"accuracy": 2, "macro_f1": 1, "rmse_valence": 3, "ccc_arousal": 2, "nll": 3, "ece": 1}


@pytest.mark.parametrize("metric", BEST)
def test_the_best_epoch_is_that_of_the_metric(quick, squares, monkeypatch, metric):
    monkeypatch.setattr(Trainer, "score", lambda self, predictions: {k: v[self.epoch - 1] for k, v in SCRIPT.items()})
    trainer = Trainer(quick.with_changes({"selection.metric": metric}), squares)
    states = {}
    for result in trainer.epochs():
        states[result.epoch] = {name: value.clone() for name, value in trainer.model.state_dict().items()}
        assert next(iter(result.metrics)) == f"val/{metric}"
    assert trainer.best["epoch"] == BEST[metric]
    assert trainer.best["score"] == SCRIPT[metric][BEST[metric] - 1]
    for name, value in trainer.ready_model("best").state_dict().items():
        assert torch.equal(value, states[BEST[metric]][name])


@pytest.mark.parametrize("protocol", ["validation", "select_then_retrain", "best_on_test"])
@pytest.mark.parametrize("metric", ["accuracy", "rmse_arousal", "kl_votes"])
def test_protocols(quick, squares, tmp_path, protocol, metric):
    changes = {"selection.protocol": protocol, "selection.weights": "best", "selection.metric": metric}
    result = run_cell(quick.with_changes(changes), squares, Store(tmp_path))
    watched = f"{'test_epoch' if protocol == 'best_on_test' else 'val'}/{metric}"
    values = [metrics[watched] for metrics in result.history if watched in metrics]
    best = (max if METRICS[metric].higher_is_better else min)(values)
    if protocol == "best_on_test":
        assert result.scores[f"test/{metric}"] == pytest.approx(best)
        return
    chosen = values.index(best) + 1
    assert result.scores[f"val/best_{metric}"] == best
    assert result.scores["val/best_epoch"] == chosen
    assert len(result.history) == 3 + (chosen if protocol == "select_then_retrain" else 0)


def test_another_metric_changes_which_epoch_is_kept_and_nothing_else(quick, squares):
    ended = [Trainer(quick.with_changes({"selection.metric": metric}), squares) for metric in ("macro_f1", "nll")]
    for trainer in ended:
        list(trainer.epochs())
    ours, theirs = (trainer.model.state_dict() for trainer in ended)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def without(data, split, va=False):
    """VA or votes of one split taken away."""
    rows = data.rows(split)
    (data.va if va else data.votes)[rows] = math.nan
    return data


@pytest.mark.parametrize(
    ("metric", "va"), [("rmse_valence", True), ("ccc_arousal", True), ("kl_votes", False)], ids=lambda x: str(x)
)
def test_images_that_cannot_choose_are_refused_before_any_training(quick, metric, va):
    experiment = quick.with_changes({"selection.metric": metric})
    data = Trainer(quick, make_squares()).data  # with a validation part
    with pytest.raises(UserError, match=rf"selection.metric={metric}. chooses the epoch and needs .* squares .* none"):
        Trainer(experiment, without(data, VALIDATION, va))
    Trainer(experiment, without(Trainer(quick, make_squares()).data, TRAIN, va=False))
    last = experiment.with_changes({"selection.protocol": "last", "selection.weights": "last"})
    list(Trainer(last, without(make_squares(), TRAIN)).epochs(until=1))  # nothing is chosen


def test_a_score_of_labels_is_not_one_of_an_epoch(quick):
    with pytest.raises(UserError, match=r"selection.metric"):
        quick.with_changes({"selection.metric": "kept_right"})
