"""When B joins, when SCN relabels, and which settings of `joint` are refused in which words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysweep.config.experiment import Experiment
from raysweep.config.sections import Joint, SelfCure, Train, epochs_of
from raysweep.core.errors import UserError


def joined(epochs, **fields):
    joint = Joint(**fields)
    return [epoch for epoch in range(1, epochs + 1) if joint.joins(epoch, epochs)]


def tried(**changes):
    fields = {"joint__method": "dcjt", "joint__extra": "B", **changes}
    return Experiment().with_changes({name.replace("__", "."): value for name, value in fields.items()})


@pytest.mark.parametrize(
    ("epochs", "warm_up", "frequency", "expected"),
    [
        (120, 30, 10, [40, 50, 60, 70, 80, 90, 100, 110, 120]),  # RAF-DB, section 4.2; the authors' first is 40
        (120, 100, 5, [105, 110, 115, 120]),  # CAER-S
        (120, 30, 7, [35, 42, 49, 56, 63, 70, 77, 84, 91, 98, 105, 112, 119]),
        (10, 0, 1, list(range(1, 11))),
        (10, 3, 1, [4, 5, 6, 7, 8, 9, 10]),  # greater than the warm-up, not >= as Algorithm 3 prints
        (10, 4, 4, [8]),
        (10, 0, 10, [10]),
        (16, 0.25, 2, [6, 8, 10, 12, 14, 16]),  # shares of the epochs
        (120, 0.25, 1 / 12, [40, 50, 60, 70, 80, 90, 100, 110, 120]),
        (4, 0.0, 0.01, [1, 2, 3, 4]),  # never more often than every epoch
        (120, 30, None, []),
    ],
)
def test_epochs_that_b_joins(epochs, warm_up, frequency, expected):
    assert joined(epochs, warm_up=warm_up, frequency=frequency) == expected


@given(st.integers(1, 200), st.integers(0, 200), st.integers(1, 200))
def test_whole_numbers_mean_what_the_text_says(epochs, warm_up, frequency):
    said = [epoch for epoch in range(1, epochs + 1) if epoch > warm_up and epoch % frequency == 0]
    assert joined(epochs, warm_up=warm_up, frequency=frequency) == said


def test_below_one_is_a_share():
    assert [epochs_of(value, 20) for value in (0, 0.25, 0.999, 1, 30)] == [0, 5, 19.98, 1, 30]


@pytest.mark.parametrize(
    ("start", "epochs", "first"), [(10, 70, 10), (0.5, 8, 4), (0, 5, 1), (0.01, 5, 1), (None, 5, None), (9, 5, None)]
)
def test_first_epoch_of_relabelling(start, epochs, first):
    config = SelfCure(relabel_from=start)
    relabels = [epoch for epoch in range(1, epochs + 1) if config.relabels(epoch, epochs)]
    assert relabels == ([] if first is None else list(range(first, epochs + 1)))


@pytest.mark.parametrize(
    ("swa_start", "epochs", "first"), [(0.75, 8, 7), (0.0, 3, 1), (0.5, 3, 2), (0.99, 3, 3), (None, 3, None)]
)
def test_averaging_and_rates_by_epoch(swa_start, epochs, first):
    train = Train(epochs=epochs, swa_start=swa_start, learning_rate=0.1, decay_every=2, decay_factor=0.5)
    averaged = [epoch for epoch in range(1, epochs + 1) if train.averages(epoch)]
    assert averaged == ([] if first is None else list(range(first, epochs + 1)))
    assert train.swa_epoch == first
    assert [train.rate(epoch) for epoch in range(1, 7)] == [0.1, 0.1, 0.05, 0.05, 0.025, 0.025]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"joint__extra": ()}, "`joint.method=dcjt` needs `joint.extra`, the name of an extra data set"),
        (
            {"joint__method": "combine", "joint__extra": ""},
            "`joint.method=combine` needs `joint.extra`, the name of an extra data set",
        ),
        ({"joint__method": "extra", "joint__extra": ()}, "`joint.method=extra` needs `joint.extra`"),
        (
            {"joint__warm_up": 50},
            "`joint.warm_up < train.epochs` must hold, but got 50 >= 50",
        ),
        ({"joint__warm_up": 80, "train__epochs": 20}, "`joint.warm_up < train.epochs` must hold, but got 80 >= 20"),
        (
            {"joint__frequency": 21, "train__epochs": 20, "joint__warm_up": 5},
            "`joint.frequency <= train.epochs` must hold, but got 21 > 20",
        ),
        (
            {"joint__warm_up": 12, "joint__frequency": 11, "train__epochs": 20},
            "B must join at least one of 20 epochs, but with joint.warm_up=12 and joint.frequency=11 it joins none; "
            "to leave it out, set joint.frequency=none",
        ),
        (
            {"joint__warm_up": 0.9, "joint__frequency": 0.25, "train__epochs": 3},
            "B must join at least one of 3 epochs, but with joint.warm_up=0.9 and joint.frequency=0.25 it joins none",
        ),
        (
            {"joint__pseudo_va": "none"},
            "`joint.mapping` and `joint.relabel` need VA of A, but `joint.pseudo_va` is none",
        ),
        (
            {"joint__pseudo_va": None, "joint__mapping": "none", "joint__relabel": True},
            "`joint.mapping` and `joint.relabel` need VA of A, but `joint.pseudo_va` is none",
        ),
        (
            {
                "joint__method": "target",
                "joint__finetune": "C",
                "selection__protocol": "select_then_retrain",
                "selection__weights": "best",
            },
            "`selection.protocol=select_then_retrain` does not go with `joint.finetune`",
        ),
        ({"joint__frequency": 0}, "`joint.frequency > 0` must hold, but got 0"),
        ({"joint__warm_up": -1}, "`joint.warm_up >= 0` must hold, but got -1"),
        ({"joint__extra_share": 0}, "`joint.extra_share > 0` must hold, but got 0"),
        ({"joint__extra_share": 1.5}, "`joint.extra_share <= 1` must hold, but got 1.5"),
        ({"joint__mapping": "gaussian"}, "`joint.mapping` must be one of 'none', 'global' or 'per_class', but got"),
        ({"joint__method": "djct"}, "`joint.method` must be one of 'target', 'extra', 'combine' or 'dcjt', but got"),
        ({"model__head": "scn"}, "`model.head=scn` changes hard labels: set labels.method=one_hot or labels.alpha=1"),
        ({"scn__relabel_margin": 1.0}, "`scn.relabel_margin < 1` must hold, but got 1.0"),
        ({"joint__warmup": 3}, "did you mean 'joint.warm_up'?"),
    ],
)
def test_mistakes_state_rule_and_value(changes, words):
    with pytest.raises(UserError) as error:
        tried(**changes)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"joint__method": "target", "joint__extra": (), "joint__warm_up": 90},  # plays no part
        {"joint__schedule": "concatenate", "joint__warm_up": 90},
        {"joint__extra_part": "none", "joint__warm_up": 90, "joint__frequency": 400},
        {"selection__protocol": "select_then_retrain", "selection__weights": "best"},
        {"joint__frequency": None},
        {"joint__frequency": None, "joint__warm_up": 49},
        {"joint__pseudo_va": "none", "joint__mapping": "none", "joint__relabel": False},
        {"joint__pseudo_va": "none", "joint__extra_part": "subset"},  # nothing is mapped or relabelled
        {"model__head": "scn", "labels__alpha": 1.0},
        {"model__head": "scn", "labels__method": "one_hot"},
    ],
)
def test_what_plays_no_part_is_not_refused(changes):
    assert tried(**changes)


def test_extra_sets_are_joined_by_plus():
    assert tried(joint__extra="B + C").joint.extra == tried(joint__extra=["B", "C"]).joint.extra == ("B", "C")
