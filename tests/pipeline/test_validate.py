"""The last stage of a search's trial: scores of validation images, from the same stages as the cell of that point."""

from dataclasses import replace

import pytest
import torch

from raysweep.core.errors import UserError
from raysweep.data.dataset import TEST
from raysweep.pipeline import CellResult, Sets, build, build_validation, run_cell, run_validation
from raysweep.store.store import Store
from raysweep.training import Trainer
from tests.conftest import make_squares
from tests.pipeline.small_joint import make_a, make_b, small_joint


def trained(events):
    return [event for event in events if not event.replayed]


@pytest.mark.parametrize("weights", ["best", "last", "swa"])
def test_scores_are_those_of_the_headline_weights_on_validation_images(quick, weights, tmp_path):
    experiment, data = quick.with_changes({"selection.weights": weights}), make_squares()
    result = run_validation(experiment, Sets(data), Store(tmp_path))
    trainer = Trainer(experiment, data)
    curve = [epoch.metrics["val/macro_f1"] for epoch in trainer.epochs()]
    score = result.scores["validation/macro_f1"]
    if weights == "best":
        assert score == max(curve)
    if weights == "last":
        assert score == curve[-1]
    assert score == trainer.score(trainer.predict(trainer.data, trainer.data.rows(1)))["macro_f1"]
    assert [metrics["val/macro_f1"] for metrics in result.history] == curve
    assert not any(name.startswith("test") for name in result.scores)
    assert result.predictions.rows.tolist() == trainer.data.rows(1).tolist()


def test_test_images_have_no_say(quick, tmp_path):
    data = make_squares()
    test = data.splits == TEST
    images = torch.where(test[:, None, None, None], 255 - data.images, data.images)
    other = replace(data, images=images, labels=torch.where(test, (data.labels + 1) % 4, data.labels))
    first, second = (
        run_validation(quick, Sets(faces), Store(tmp_path / name)) for name, faces in (("a", data), ("b", other))
    )
    assert first.scores == second.scores
    assert first.facts == second.facts


@pytest.mark.parametrize("dcjt", [False, True], ids=["DDAF", "DCJT"])
def test_a_trial_and_the_cell_of_its_point_share_every_training(quick, dcjt, tmp_path):
    experiment, sets = (small_joint(), Sets(make_a(), (make_b(),))) if dcjt else (quick, Sets(make_squares()))
    store, events = Store(tmp_path), []
    run_validation(experiment, sets, store, report=events.append)
    assert trained(events)
    again, cell = [], []
    run_cell(experiment, sets, store, report=cell.append)
    run_validation(experiment, sets, store, report=again.append)
    assert not cell
    assert not again
    if dcjt:  # a trial that differs in lambda alone finds M_A and M_B
        run_validation(small_joint(objective__weight_va=9.0), sets, store, report=again.append)
        assert {event.title for event in trained(again)} == {"joint"}


def test_the_product_is_in_the_store_under_its_own_key(quick, tmp_path):
    store, sets = Store(tmp_path), Sets(make_squares())
    result = run_validation(quick, sets, store)
    stage = build_validation(quick, sets)
    assert stage.key != build(quick, sets).key
    assert store.get(stage.key) is not None
    assert CellResult.read(store.folder(stage.key)).scores == result.scores
    assert build_validation(quick.with_changes({"selection.weights": "last"}), sets).key != stage.key


@pytest.mark.parametrize("protocol", ["last", "best_on_test", "select_then_retrain"])
def test_only_the_protocol_that_selects_on_validation_images(quick, protocol):
    changes = {"selection.protocol": protocol, "selection.weights": "last" if protocol == "last" else "best"}
    with pytest.raises(UserError, match=r"add --set selection.protocol=validation"):
        build_validation(quick.with_changes(changes), Sets(make_squares()))
