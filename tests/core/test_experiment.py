"""Configurations: what is refused, with which words, and which ones are the same cell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysweep.config.acting_fields import acting_fields
from raysweep.config.experiment import Experiment, field_paths
from raysweep.core.errors import UserError


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels.alpha": 1.2}, "`labels.alpha <= 1` must hold, but got 1.2"),
        ({"labels.noise_rate": -0.1}, "`labels.noise_rate >= 0` must hold, but got -0.1"),
        ({"train.epochs": 0}, "`train.epochs >= 1` must hold, but got 0"),
        ({"train.epoch": 3}, "did you mean 'train.epochs'?"),
        ({"alpha": 1}, "did you mean 'labels.alpha'?"),
        ({"labels.method": "gausian"}, "must be one of 'one_hot'"),
        ({"augment.scale_min": 3.0}, "`scale_min <= scale_max` must hold, but got 3.0 > 1.25"),
        ({"train.learning_rate": float("nan")}, "train.learning_rate"),
        ({"train.epochs": "many"}, "`train.epochs`"),
        ({"train.swa_start": None}, "needs `train.swa_start`"),
        ({"selection.protocol": "last", "selection.weights": "best"}, "scores every epoch"),
        ({"selection.protocol": "best_on_test"}, "reports the best epoch"),
    ],
)
def test_mistakes_state_rule_and_value(changes, words):
    with pytest.raises(UserError) as error:
        Experiment().with_changes(changes)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_the_word_none_is_a_choice_where_there_is_one():
    off = Experiment().with_changes({"objective.class_weights": None, "labels.within_std": None})
    assert (off.objective.class_weights, off.labels.within_std) == ("none", None)


def test_changes_leave_the_original_alone():
    base = Experiment()
    assert base.with_changes({"labels.alpha": 0.3}).labels.alpha == 0.3
    assert base == Experiment()


@given(st.sampled_from(["uniform", "euclidean", "gaussian"]), st.booleans())
def test_alpha_one_is_one_hot_whatever_the_method(method, squared):
    full = Experiment().with_changes({"labels.method": method, "labels.alpha": 1.0, "labels.squared": squared}).labels
    one_hot = Experiment().with_changes({"labels.method": "one_hot", "labels.alpha": 0.2}).labels
    assert full.fused_method == one_hot.fused_method == "one_hot"


@pytest.mark.parametrize(
    ("ground", "same"),
    [
        ({}, {"labels.noise_kind": "confusion", "labels.statistics": "noisy", "objective.weight_cap": 9.0}),
        ({"labels.method": "gaussian"}, {"labels.squared": False}),
        ({"labels.method": "uniform"}, {"labels.squared": False, "labels.within_std": None}),
        ({"labels.method": "one_hot"}, {"labels.alpha": 0.1, "labels.within_std": None, "labels.squared": False}),
        ({"labels.alpha": 1.0}, {"labels.method": "gaussian", "labels.within_std": 2.0}),
        ({"objective.weight_va": 0.0}, {"objective.weighted_va": False, "objective.va_reduction": "mean"}),
        ({"objective.class_weights": "none"}, {"objective.weighted_va": False}),
    ],
)
def test_a_field_that_cannot_matter_has_one_canonical_value(ground, same):
    base = Experiment().with_changes(ground)
    assert canonical(base.with_changes(same)) == canonical(base)
    assert base.with_changes(same) != base


@pytest.mark.parametrize(
    ("ground", "other"),
    [
        ({}, {"labels.alpha": 0.4}),
        ({}, {"labels.method": "gaussian"}),
        ({}, {"labels.squared": False}),
        ({}, {"labels.within_std": None}),
        ({}, {"labels.noise_rate": 0.1}),
        ({}, {"labels.va_noise": 0.1}),
        ({"labels.noise_rate": 0.1}, {"labels.statistics": "noisy"}),
        ({"labels.noise_rate": 0.1}, {"labels.noise_kind": "with_replacement"}),
        ({"objective.class_weights": "capped"}, {"objective.weight_cap": 9.0}),
        ({}, {"objective.weighted_va": False}),
        ({}, {"objective.va_reduction": "mean"}),
        ({}, {"objective.cosine": False}),
    ],
)
def test_a_field_that_matters_changes_the_canonical_form(ground, other):
    base = Experiment().with_changes(ground)
    assert canonical(base.with_changes(other)) != canonical(base)


def canonical(experiment):
    return acting_fields(experiment)


def test_shares_of_epochs():
    train = Experiment().with_changes({"train.epochs": 10, "train.decay_every": 0.6, "train.swa_start": 0.75}).train
    assert (train.decay_epochs, train.swa_epoch) == (6, 8)


def test_every_field_says_what_it_is():
    assert all(about for about in field_paths().values())
