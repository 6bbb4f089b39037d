"""Equations 6-9 by hand, and the switches of each term."""

import math

import pytest
import torch

from raysweep.config.sections import Objective
from raysweep.training import loss_terms

LOGITS = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
AFFECT = torch.tensor([[0.5, 0.0], [0.0, -0.5]])
SOFT = torch.tensor([[1.0, 0.0], [0.25, 0.75]])
VA = torch.tensor([[0.0, 0.0], [0.5, 0.5]])
WEIGHTS = torch.tensor([1.0, 3.0])


def terms(config=None, va=VA, **changes):
    return loss_terms(LOGITS, AFFECT, SOFT, va, WEIGHTS, config or Objective(**changes))


def test_every_term_by_hand():
    p = torch.softmax(LOGITS, 1).tolist()
    ce = [-math.log(p[0][0]), -(0.25 * math.log(p[1][0]) + 0.75 * math.log(p[1][1]))]
    cosine = [
        p[0][0] / math.hypot(*p[0]),
        (0.25 * p[1][0] + 0.75 * p[1][1]) / math.hypot(*p[1]) / math.hypot(0.25, 0.75),
    ]
    found = terms()
    assert float(found["ce"]) == pytest.approx((ce[0] + 3 * ce[1]) / 2)
    assert float(found["cs"]) == pytest.approx((1 - cosine[0] + 3 * (1 - cosine[1])) / 2, abs=1e-7)
    assert float(found["va"]) == pytest.approx((0.25 + 3 * (0.25 + 1.0)) / 2)
    assert float(found["loss"]) == pytest.approx(float(found["ce"] + found["cs"] + found["va"]))


def test_switches():
    assert "cs" not in terms(cosine=False)
    assert float(terms(weighted_va=False)["va"]) == pytest.approx((0.25 + 1.25) / 2)
    assert float(terms(va_reduction="mean")["va"]) == pytest.approx(float(terms()["va"]) / 2)
    plain = terms(weight_va=0.0)
    assert float(plain["loss"]) == pytest.approx(float(plain["ce"] + plain["cs"]))


def test_missing_va_adds_nothing_and_pulls_nowhere():
    affect = AFFECT.clone().requires_grad_()
    va = VA.clone()
    va[1] = math.nan
    found = loss_terms(LOGITS, affect, SOFT, va, WEIGHTS, Objective())
    assert float(found["va"].detach()) == pytest.approx(0.25 / 2)
    found["loss"].backward()
    assert torch.equal(affect.grad[1], torch.zeros(2))
    assert affect.grad.isfinite().all()


def test_unit_weights_are_plain_cross_entropy():
    found = loss_terms(LOGITS, AFFECT, SOFT, VA, torch.ones(2), Objective())
    assert float(found["ce"]) == pytest.approx(float(torch.nn.functional.cross_entropy(LOGITS, SOFT)))


def test_a_perfect_prediction_costs_nothing():
    logits = torch.tensor([[80.0, 0.0], [0.0, 80.0]])
    found = loss_terms(logits, VA, torch.eye(2), VA, torch.ones(2), Objective())
    assert float(found["loss"]) == pytest.approx(0, abs=1e-6)


def test_parts_of_a_batch_add_up():
    whole = terms()
    parts = [
        loss_terms(
            LOGITS[i : i + 1],
            AFFECT[i : i + 1],
            SOFT[i : i + 1],
            VA[i : i + 1],
            WEIGHTS[i : i + 1],
            Objective(),
            count=2,
        )
        for i in range(2)
    ]
    for name, value in whole.items():
        assert float(sum(part[name] for part in parts)) == pytest.approx(float(value))
