"""The trainer: learns, repeats bit for bit, resumes from any epoch, and scores honestly."""

import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from raysweep.core.errors import UserError
from raysweep.data.dataset import TEST, TRAIN, VALIDATION
from raysweep.pipeline import run_cell
from raysweep.store.store import Store
from raysweep.training import (
    DegenerateLoss,
    Trainer,
    load_checkpoint,
    prepare_targets,
    save_checkpoint,
    weights_hash,
)
from tests.conftest import make_squares


def fitted(experiment, data):
    trainer = Trainer(experiment, data)
    results = list(trainer.epochs())
    return trainer, results


def test_it_learns_coloured_squares(quick):
    experiment = quick.with_changes({"train.epochs": 8, "labels.noise_rate": 0.0, "labels.alpha": 1.0})
    trainer, results = fitted(experiment, make_squares(400))
    scores = trainer.score(trainer.finish().predictions["swa"])
    assert scores["macro_f1"] > 0.9
    assert results[-1].metrics["train/loss"] < results[0].metrics["train/loss"]


def test_two_runs_are_equal_bit_for_bit(quick, squares):
    (first, a), (second, b) = fitted(quick, squares), fitted(quick, squares)
    assert weights_hash(first.model.state_dict()) == weights_hash(second.model.state_dict())
    timeless = [{k: v for k, v in r.metrics.items() if k != "seconds"} for r in a]
    assert timeless == [{k: v for k, v in r.metrics.items() if k != "seconds"} for r in b]


@pytest.mark.parametrize("stop_after", [0, 1, 2, 3])
def test_resuming_after_any_epoch_changes_nothing(quick, squares, stop_after, tmp_path):
    straight, _ = fitted(quick, squares)
    broken = Trainer(quick, squares)
    for result in broken.epochs() if stop_after else ():
        if result.epoch == stop_after:
            break
    save_checkpoint(broken.state_dict(), tmp_path / "fit.pt")
    resumed = Trainer(quick, squares)
    resumed.load_state_dict(load_checkpoint(tmp_path / "fit.pt"))
    assert [r.epoch for r in resumed.epochs()] == list(range(stop_after + 1, 4))
    assert weights_hash(resumed.model.state_dict()) == weights_hash(straight.model.state_dict())
    ours, theirs = resumed.finish(), straight.finish()
    assert ours.predictions.keys() == theirs.predictions.keys() == {"last", "swa", "best"}
    for kind, predictions in ours.predictions.items():
        assert torch.equal(predictions.probs_NK, theirs.predictions[kind].probs_NK)


def test_a_process_killed_in_the_middle_goes_on_to_the_same_numbers(quick, squares, tmp_path):
    """A real process dies by SIGKILL right after its second epoch's checkpoint; run_cell takes up from there."""
    undisturbed = run_cell(quick, squares, Store(tmp_path / "a"))
    script = (
        "import os, signal, sys, torch; torch.set_num_threads(1)\n"
        "from raysweep.config.experiment import Experiment; from raysweep.store.store import Store\n"
        "from raysweep.pipeline import run_cell; from tests.conftest import make_squares\n"
        "def die(event):\n    if event.epoch == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "run_cell(Experiment.model_validate_json(sys.argv[1]), make_squares(), Store(sys.argv[2]), report=die)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, quick.model_dump_json(), str(tmp_path / "b")], check=False)
    assert killed.returncode == -9
    events = []
    result = run_cell(quick, squares, Store(tmp_path / "b"), report=events.append)
    assert [(event.epoch, event.replayed) for event in events] == [(1, True), (2, True), (3, False)]
    assert {(event.title, event.epochs) for event in events} == {("target", 3)}
    assert result.facts["weights_hash"] == undisturbed.facts["weights_hash"]
    assert result.scores == undisturbed.scores


def test_a_finished_cell_is_read_not_trained(quick, squares, tmp_path):
    store = Store(tmp_path)
    first = run_cell(quick, squares, store)
    events = []
    again = run_cell(quick, squares, store, report=events.append)
    assert events == []
    assert again.scores == first.scores


def test_a_broken_checkpoint_starts_over(quick, squares, tmp_path):
    assert load_checkpoint(tmp_path / "none.pt") is None
    save_checkpoint(Trainer(quick, squares).state_dict(), tmp_path / "fit.pt")
    data = (tmp_path / "fit.pt").read_bytes()
    (tmp_path / "fit.pt").write_bytes(data[: len(data) // 2])
    assert load_checkpoint(tmp_path / "fit.pt") is None


def test_pairing_within_a_replicate(quick, squares):
    """Arms of a replicate share split, flips, first weights and batch order; replicates do not."""
    one = Trainer(quick, squares)
    other = Trainer(quick.with_changes({"labels.method": "gaussian", "labels.alpha": 0.3}), squares)
    assert torch.equal(one.data.splits, other.data.splits)
    assert torch.equal(one.targets.flipped_N, other.targets.flipped_N)
    assert weights_hash(one.model.state_dict()) == weights_hash(other.model.state_dict())
    fresh = Trainer(quick.with_replicate(1), squares)
    assert not torch.equal(one.data.splits, fresh.data.splits)
    assert weights_hash(one.model.state_dict()) != weights_hash(fresh.model.state_dict())


def test_noise_is_exact_in_the_training_part_and_nowhere_else(quick, squares):
    trainer = Trainer(quick, squares)
    rows = trainer.data.rows(TRAIN)
    assert int(trainer.targets.flipped_N.sum()) == round(0.2 * len(rows))
    outside = trainer.data.splits != TRAIN
    assert not trainer.targets.flipped_N[outside].any()
    assert trainer.targets.soft_NK[rows].isfinite().all()
    assert torch.allclose(trainer.targets.soft_NK[rows].sum(1), torch.ones(len(rows)))


def test_memorisation_is_counted(quick, squares):
    metrics = fitted(quick, squares)[1][-1].metrics
    assert 0 <= metrics["fit/flipped"] <= 1
    assert metrics["fit/flipped"] + metrics["fit/recovered"] <= 1
    clean = fitted(quick.with_changes({"labels.noise_rate": 0.0}), squares)[1][-1].metrics
    assert "fit/flipped" not in clean


@pytest.mark.parametrize("protocol", ["validation", "last", "best_on_test", "select_then_retrain"])
def test_protocols(quick, squares, tmp_path, protocol):
    weights = "best" if protocol in ("best_on_test", "select_then_retrain") else "swa"
    experiment = quick.with_changes({"selection.protocol": protocol, "selection.weights": weights})
    result = run_cell(experiment, squares, Store(tmp_path))
    train, validation, test = result.facts["images"]
    assert test == 40
    assert train + validation == 120
    assert (validation == 0) == (protocol != "validation")
    if protocol == "best_on_test":
        best = max(metrics["test_epoch/macro_f1"] for metrics in result.history)
        assert result.scores["test/macro_f1"] == pytest.approx(best)
    elif protocol == "validation":
        assert result.scores["val/best_macro_f1"] == max(metrics["val/macro_f1"] for metrics in result.history)
        assert not any("test_epoch/macro_f1" in metrics for metrics in result.history)  # test is read once
    if protocol == "select_then_retrain":
        chosen = result.scores["val/best_epoch"]
        assert len(result.history) == 3 + chosen


def test_validation_subjects_are_disjoint(quick, squares):
    data = Trainer(quick, squares).data
    subjects = [set(data.subjects[data.rows(split)].tolist()) for split in (TRAIN, VALIDATION, TEST)]
    assert subjects[1]
    assert not subjects[0] & subjects[1]
    assert not subjects[0] & subjects[2]


def test_a_loss_that_is_no_number_is_said_so(quick, squares):
    experiment = quick.with_changes({"train.learning_rate": 1e30})
    with pytest.raises(DegenerateLoss, match=r"the loss became (nan|inf) in epoch \d"):
        fitted(experiment, squares)


def test_data_that_cannot_be_used(quick, squares):
    with pytest.raises(UserError, match="needs valence and arousal, but squares has none"):
        Trainer(quick, make_squares(with_va=False))
    lonely = replace(squares, labels=squares.labels.clamp(max=2))
    with pytest.raises(UserError, match="has none of: surprise"):
        prepare_targets(quick, lonely)


def test_one_hot_needs_no_va(quick):
    experiment = quick.with_changes({"labels.method": "one_hot"})
    trainer, results = fitted(experiment, make_squares(with_va=False))
    assert results[-1].metrics["train/va"] == 0
    assert "rmse_valence" not in trainer.score(trainer.finish().predictions["last"])


def test_votes_are_trained_on_as_they_are_given_and_must_be_there(quick, squares):
    generator = torch.Generator().manual_seed(0)
    votes = torch.softmax(torch.randn(len(squares), 4, generator=generator), 1)
    voted = replace(squares, votes=votes)
    experiment = quick.with_changes({"labels.method": "votes", "labels.alpha": 0.0, "labels.noise_rate": 0.25})
    targets = prepare_targets(experiment, voted)
    same = torch.nonzero((targets.given_N >= 0) & ~targets.flipped_N).flatten()
    assert torch.equal(targets.soft_NK[same], votes[same])
    flipped = torch.nonzero(targets.flipped_N).flatten()
    assert len(flipped) == round(0.25 * len(voted.rows(TRAIN)))
    true, given = targets.true_N[flipped], targets.given_N[flipped]
    assert torch.equal(targets.soft_NK[flipped, given], votes[flipped, true])
    with pytest.raises(UserError, match=r"`labels\.method=votes` needs rater votes, but squares has none"):
        prepare_targets(experiment, replace(squares, votes=torch.full_like(votes, math.nan)))


def test_bfloat16_trains(quick, squares):
    metrics = fitted(quick.with_changes({"train.precision": "bfloat16"}), squares)[1][-1].metrics
    assert math.isfinite(metrics["train/loss"])


def test_weights_rules_and_statistics_change_the_targets(quick):
    data = make_squares(160)
    uneven = replace(data, labels=torch.where(torch.arange(160) % 10 == 3, 3, data.labels % 3))
    hard = prepare_targets(quick.with_changes({"objective.class_weights": "hard"}), uneven)
    none = prepare_targets(quick.with_changes({"objective.class_weights": "none"}), uneven)
    rows = uneven.rows(TRAIN)
    assert hard.weights_N[rows].max() == hard.class_weights_K.max()
    assert (none.weights_N[rows] == 1).all()
    noisy = prepare_targets(quick.with_changes({"labels.statistics": "noisy"}), uneven)
    assert not torch.equal(noisy.class_weights_K, hard.class_weights_K)
