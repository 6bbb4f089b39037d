"""`select_then_retrain` of every method: validation chooses the number of epochs, then all images are trained on."""

import pytest

from raysweep.pipeline import Sets, build, run_cell
from raysweep.store.store import Store
from tests.pipeline.small_joint import make_a, make_b, same, small_joint

SETS = Sets(make_a(), (make_b(),))
PLAIN = {"joint__pseudo_va": "none", "joint__mapping": "none", "joint__relabel": False}
"""Nothing that an earlier training would shape: the last training is all there is."""

RETRAIN = {"selection__protocol": "select_then_retrain", "selection__weights": "best"}
LAST = {"selection__protocol": "last", "selection__weights": "last"}

ALONE = {
    "combination": {"joint__method": "combine"},
    "as one set": {**PLAIN, "joint__schedule": "concatenate"},
    "B joins": {**PLAIN, "joint__warm_up": 1.0, "joint__frequency": 1.0},
    "B joins, in shares": {**PLAIN, "joint__warm_up": 0.2, "joint__frequency": 0.17, "train__decay_every": 0.34},
    "B joins by batches": {**PLAIN, "joint__warm_up": 0.0, "joint__frequency": 1.0, "joint__unit": "batch"},
    "B never joins": {**PLAIN, "joint__extra_part": "none"},
}
IN_EPOCHS = {"joint__warm_up": 1.0, "joint__frequency": 1.0, "train__decay_every": 2.0}
"""What the shares come to in six epochs."""


@pytest.mark.parametrize("name", ALONE)
def test_it_is_a_training_on_all_images_for_the_chosen_number_of_epochs(name, tmp_path):
    """A launch of the protocol `last` with that many epochs gives the same weights."""
    fields = ALONE[name]
    ours = run_cell(small_joint(**fields, **RETRAIN), SETS, Store(tmp_path / "a"))
    validated = run_cell(small_joint(**fields, selection__protocol="validation"), SETS, Store(tmp_path / "b"))
    chosen = int(ours.scores["val/best_epoch"])
    assert chosen == validated.scores["val/best_epoch"]
    assert len(ours.history) == 6 + chosen
    in_epochs = IN_EPOCHS if "shares" in name else {}
    joins = {"joint__frequency": None, "joint__warm_up": 0.0} if "B joins" in name and chosen == 1 else {}
    theirs = small_joint(**{**fields, **in_epochs, **joins}, **LAST, train__epochs=chosen)
    theirs = run_cell(theirs, SETS, Store(tmp_path / "c"))
    assert ours.facts["trained_on"][0] == theirs.facts["trained_on"][0] == 60 > validated.facts["trained_on"][0]
    assert ours.facts["weights_hash"] == theirs.facts["weights_hash"]
    assert ours.scores["test/accuracy"] == theirs.scores["test/accuracy"]


def test_dcjt_keeps_what_came_before(tmp_path):
    """M_A, M_B and the mapping stay as they were when the epoch was chosen; only the joint training is repeated."""
    cell, validated = small_joint(**RETRAIN), small_joint(selection__protocol="validation")
    ours, theirs = build(cell, SETS), build(validated, SETS)
    assert ours.kind == "retrain"
    for name in ("shown_pseudo", "shown_chosen", "shown_adapted", "model"):
        assert ours.inputs[name].key == theirs.inputs[name].key
    assert ours.inputs["all"].inputs.keys() >= {"labels"}
    store = Store(tmp_path)
    first, second = run_cell(validated, SETS, store), run_cell(cell, SETS, store)
    assert second.facts["trained_on"][0] == 60 > first.facts["trained_on"][0]
    assert same({k: v for k, v in first.scores.items() if k.startswith("labels/")},
                {k: v for k, v in second.scores.items() if k.startswith("labels/")})  # fmt: skip
    again = run_cell(cell, SETS, Store(tmp_path / "other"))
    assert again.facts["weights_hash"] == second.facts["weights_hash"]


def test_a_chosen_epoch_before_b_joins(tmp_path, monkeypatch):
    from raysweep.training import Trainer

    monitor = Trainer._monitor

    def first(trainer):
        scores = monitor(trainer)
        if scores:
            trainer.best = {**trainer.best, "epoch": min(2, trainer.epoch)}
        return scores

    monkeypatch.setattr(Trainer, "_monitor", first)
    result = run_cell(small_joint(**RETRAIN), SETS, Store(tmp_path))
    assert len(result.history) == 8
    assert not any("extra/loss" in metrics for metrics in result.history[6:])


def test_nothing_is_held_out_of_an_extra_set_alone(tmp_path):
    fields = {"joint__method": "extra"}
    assert build(small_joint(**fields, **RETRAIN), SETS).kind == "evaluate"
    ours = run_cell(small_joint(**fields, **RETRAIN), SETS, Store(tmp_path / "a"))
    theirs = run_cell(small_joint(**fields, selection__protocol="validation"), SETS, Store(tmp_path / "b"))
    assert ours.facts["weights_hash"] == theirs.facts["weights_hash"]
    assert same(ours.scores, theirs.scores)
