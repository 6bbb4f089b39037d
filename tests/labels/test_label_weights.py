"""Class weights and the rules by which samples take them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raysweep.data.expressions import AFFECTNET_COUNTS
from raysweep.labels.fusion import one_hot
from raysweep.labels.weights import WEIGHT_RULES, class_weights, sample_weights

WEIGHTS = torch.tensor([1.0, 4.0, 20.0])
HARD = torch.tensor([0, 1, 2, 2])
SOFT = torch.tensor([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.25, 0.25, 0.5]])


def test_class_weights_by_hand():
    labels = torch.tensor([1] * 12 + [0] * 4 + [3] * 3)
    assert class_weights(labels, 5).tolist() == [3.0, 1.0, 0.0, 4.0, 0.0]


def test_affectnet_weights():
    labels = torch.repeat_interleave(torch.arange(8), torch.tensor(AFFECTNET_COUNTS))
    weights = class_weights(labels, 8, dtype=torch.float64)
    wanted = [134415 / count for count in AFFECTNET_COUNTS]
    torch.testing.assert_close(weights, torch.tensor(wanted, dtype=torch.float64))


@given(st.integers(1, 9), st.integers(1, 20), st.sampled_from([torch.float32, torch.float64]))
def test_weights_of_a_balanced_set_are_one(num_classes, each, dtype):
    labels = torch.arange(num_classes).repeat(each)
    assert torch.equal(class_weights(labels, num_classes, dtype), torch.ones(num_classes, dtype=dtype))


def test_no_rows_give_no_weight():
    nobody = torch.zeros(0, dtype=torch.int64)
    assert class_weights(nobody, 3).tolist() == [0.0, 0.0, 0.0]
    for rule in WEIGHT_RULES:
        assert sample_weights(rule, WEIGHTS, nobody, torch.empty(0, 3)).shape == (0,)


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ("hard", [1.0, 4.0, 20.0, 20.0]),
        ("soft", [2.5, 4.0, 10.5, 11.25]),
        ("capped", [1.0, 4.0, 5.0, 5.0]),
        ("none", [1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_rules_by_hand(rule, wanted):
    assert sample_weights(rule, WEIGHTS, HARD, SOFT, cap=5.0).tolist() == wanted
    assert sample_weights(rule, WEIGHTS.double(), HARD, SOFT).dtype == torch.float64


def test_every_rule_is_tested():
    assert list(WEIGHT_RULES) == ["hard", "soft", "capped", "none"]


def test_soft_equals_hard_on_one_hot_labels():
    soft = sample_weights("soft", WEIGHTS, HARD, one_hot(HARD, 3))
    assert torch.equal(soft, sample_weights("hard", WEIGHTS, HARD, SOFT))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("harsh", WEIGHTS, HARD, SOFT), "rule must be one of hard, soft, capped, none, but got 'harsh'"),
        (("capped", WEIGHTS, HARD, SOFT, 0.5), "`cap >= 1` must hold, but got 0.5"),
        (("hard", WEIGHTS[None], HARD, SOFT), r"shape \(K,\), but got torch.float32 of shape \(1, 3\)"),
        (("hard", WEIGHTS[:2], HARD, SOFT), "`0 <= label < 2` must hold, but row 2 has 2"),
        (("hard", WEIGHTS, HARD, SOFT[:3]), r"soft_labels must have shape \(4, 3\).*but got \(3, 3\)"),
    ],
)
def test_bad_input_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        sample_weights(*arguments)
