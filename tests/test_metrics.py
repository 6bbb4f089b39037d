"""Scores against scikit-learn, hand-computed values and definitions."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, brier_score_loss, confusion_matrix, f1_score, log_loss

from raysweep.artifacts.adapted_labels import AdaptedLabels
from raysweep.metrics.compute import (
    affect_scores,
    all_scores,
    confusion,
    expression_scores,
    label_scores,
    one_class_only,
    va_moments,
    vote_scores,
)
from raysweep.metrics.registry import METRICS, concordance, needing


@pytest.fixture
def guesses():
    generator = torch.Generator().manual_seed(0)
    probs = torch.softmax(2 * torch.randn(300, 8, generator=generator), 1)
    return probs, torch.randint(0, 8, (300,), generator=generator)


def test_expression_scores_agree_with_scikit_learn(guesses):
    probs, labels = guesses
    scores, said = expression_scores(probs, labels), probs.argmax(1)
    assert scores["accuracy"] == pytest.approx(accuracy_score(labels, said))
    assert scores["macro_f1"] == pytest.approx(f1_score(labels, said, average="macro"))
    rows = probs.double() / probs.double().sum(1, keepdim=True)
    assert scores["nll"] == pytest.approx(log_loss(labels, rows.numpy()), rel=1e-5)
    assert scores["brier"] == pytest.approx(
        brier_score_loss(labels, rows.numpy(), labels=range(8), scale_by_half=False), rel=1e-5
    )
    assert np.array_equal(confusion(probs, labels).numpy(), confusion_matrix(labels, said, labels=range(8)))


def test_ece_by_hand():
    # two bins: confidence .9 right 1 of 2, confidence .65 right 2 of 2
    probs = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.65, 0.35], [0.35, 0.65]])
    labels = torch.tensor([0, 1, 0, 1])
    assert expression_scores(probs, labels)["ece"] == pytest.approx(0.5 * abs(0.5 - 0.9) + 0.5 * abs(1 - 0.65))


def ece_as_the_authors_define_it(probs, labels, bins=15):
    """One loop over bins (lo, hi], in the precision of the probabilities."""
    edges = torch.linspace(0, 1, bins + 1, dtype=probs.dtype)
    confidence, said = probs.max(1)
    total = 0.0
    for number, (low, high) in enumerate(itertools.pairwise(edges)):
        inside = (confidence > low) & (confidence <= high) | ((confidence == 0) if number == 0 else False)
        if inside.any():
            right = (said == labels)[inside].double().mean()
            total += float((right - confidence[inside].double().mean()).abs() * inside.double().mean())
    return total


def test_a_confidence_of_one_is_in_the_last_bin():
    """One bin: accuracy 0.75, confidence 0.975. With a bin of its own for 1: (|1 - 0.95| + |0.5 - 1|) / 2 = 0.275."""
    probs = torch.tensor([[0.95, 0.05], [0.95, 0.05], [1.0, 0.0], [1.0, 0.0]])
    labels = torch.tensor([0, 0, 0, 1])
    assert expression_scores(probs, labels)["ece"] == pytest.approx(0.225)
    assert ece_as_the_authors_define_it(probs, labels) == pytest.approx(0.225)


@pytest.mark.parametrize(
    ("images", "ece"),
    [
        # images, confidence, how many are right; a bin of its own for 1 would give 0.075, 0.26 and 0.0933 instead
        ([(10, 0.95, 10), (10, 1.0, 9)], 0.025),
        ([(10, 0.96, 10), (10, 1.0, 5), (20, 0.75, 20)], 0.5 * 0.23 + 0.5 * 0.25),
        ([(10, 0.94, 10), (10, 0.98, 10), (10, 1.0, 8)], 0.04),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sure_images_share_the_last_bin(images, ece, dtype):
    rows = [(confidence, place >= right) for count, confidence, right in images for place in range(count)]
    probs = torch.tensor([[top, 1 - top] for top, _ in rows], dtype=dtype)
    assert expression_scores(probs, torch.tensor([int(wrong) for _, wrong in rows]))["ece"] == pytest.approx(ece)


def test_ece_of_4000_saturated_images():
    """Half at 1 with 90 % right, half at 0.94 with 97 % right: they share a bin, and most of their gaps cancel."""
    top = torch.tensor([1.0, 0.94]).repeat(2000)
    wrong = torch.zeros(4000, dtype=torch.int64)
    wrong[0:400:2], wrong[1:120:2] = 1, 1  # 200 of 2,000 and 60 of 2,000
    got = expression_scores(torch.stack([top, 1 - top], 1), wrong)["ece"]
    assert got == pytest.approx(abs(0.935 - 0.97), abs=1e-6)
    assert abs(got - (0.5 * 0.1 + 0.5 * 0.03)) > 0.02  # with a bin of its own for 1


@pytest.mark.parametrize("edge", range(15))
def test_a_confidence_on_an_edge_is_in_the_bin_below(edge):
    """40 classes share the rest, so that any edge from 1/15 on can be the largest."""
    top = torch.linspace(0, 1, 16)[max(edge, 1)]
    probs = torch.full((2, 40), float((1 - top) / 39))
    probs[0, 0], probs[1, 0] = top, torch.nextafter(top, torch.tensor(2.0))
    labels = torch.tensor([0, 1])
    assert expression_scores(probs, labels)["ece"] == pytest.approx(ece_as_the_authors_define_it(probs, labels))


@given(st.integers(1, 400), st.integers(2, 8), st.floats(0.1, 60), st.integers(0, 2**31))
@settings(max_examples=80, deadline=None)
def test_ece_of_sure_and_unsure_models(count, classes, scale, seed):
    """Large scales give confidences of exactly 1 in float32."""
    generator = torch.Generator().manual_seed(seed)
    probs = torch.softmax(scale * torch.randn(count, classes, generator=generator), 1)
    labels = torch.randint(0, classes, (count,), generator=generator)
    assert expression_scores(probs, labels)["ece"] == pytest.approx(
        ece_as_the_authors_define_it(probs, labels), abs=1e-12
    )


def test_ccc_and_rmse_by_definition():
    generator = torch.Generator().manual_seed(3)
    truth = torch.rand(200, 2, generator=generator) * 2 - 1
    said = 0.5 * truth + 0.2 + 0.1 * torch.randn(200, 2, generator=generator)
    scores = affect_scores(said, truth)
    for column, name in enumerate(("valence", "arousal")):
        x, y = said[:, column].double().numpy(), truth[:, column].double().numpy()
        ccc = 2 * np.mean((x - x.mean()) * (y - y.mean())) / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
        assert scores[f"ccc_{name}"] == pytest.approx(ccc, rel=1e-6)
        assert scores[f"rmse_{name}"] == pytest.approx(math.sqrt(np.mean((x - y) ** 2)))


@pytest.mark.parametrize(
    ("x", "y", "ccc"),
    [
        ([0.0, 1.0], [0.0, 0.5], 2 * 0.125 / (0.25 + 0.0625 + 0.0625)),  # means over N = 2, by hand; N - 1 gives 0.727
        ([0.0, 1.0, 2.0], [2.0, 1.0, 0.0], -1.0),
        ([0.0, 0.0, 3.0], [0.0, 3.0, 3.0], 2 * 1.0 / (2 + 2 + 1)),
        ([0.5, 0.5], [0.5, 0.5], 0.0),
        ([0.2, 0.4], [0.3, 0.3], 0.0),
    ],
)
def test_ccc_by_hand(x, y, ccc):
    assert concordance(torch.tensor(x), torch.tensor(y)) == pytest.approx(ccc, abs=1e-6)
    assert concordance(torch.tensor(y), torch.tensor(x)) == pytest.approx(ccc, abs=1e-6)
    pair = torch.tensor([x, y]).T
    assert affect_scores(pair[:, [0, 0]], pair[:, [1, 1]])["ccc_arousal"] == pytest.approx(ccc, abs=1e-6)


def test_a_perfect_and_a_constant_affect_prediction():
    truth = torch.linspace(-1, 1, 40).repeat(2, 1).T
    perfect = affect_scores(truth, truth)
    assert perfect["ccc_valence"] == pytest.approx(1)
    assert perfect["rmse_arousal"] == 0
    assert affect_scores(torch.zeros(40, 2), truth)["ccc_valence"] == 0


def test_missing_affect_and_votes_are_left_out(guesses):
    probs, _ = guesses
    va = torch.full((300, 2), math.nan)
    assert affect_scores(torch.zeros(300, 2), va) == {}
    assert vote_scores(probs, torch.full((300, 8), math.nan)) == {}
    va[:10] = 0.5
    assert affect_scores(torch.zeros(300, 2), va)["rmse_valence"] == pytest.approx(0.5)


def test_kl_is_zero_for_the_votes_themselves_and_finite_for_a_sure_mistake():
    votes = torch.tensor([[0.7, 0.3, 0.0], [1.0, 0.0, 0.0]])
    assert vote_scores(votes, votes)["kl_votes"] == pytest.approx(0, abs=1e-12)
    wrong = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    assert math.isfinite(vote_scores(wrong, votes)["kl_votes"])


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=30),
    said=st.lists(st.integers(0, 4), min_size=30, max_size=30),
)
@settings(max_examples=60, deadline=None)
def test_macro_f1_is_over_the_classes_among_the_labels_whatever_is_predicted(labels, said):
    said = said[: len(labels)]
    probs = torch.nn.functional.one_hot(torch.tensor(said), 5).float()
    expected = f1_score(labels, said, labels=sorted(set(labels)), average="macro", zero_division=0)
    assert expression_scores(probs, torch.tensor(labels))["macro_f1"] == pytest.approx(expected, abs=1e-6)


def test_macro_f1_counts_classes_that_occur():
    probs = torch.tensor([[0.9, 0.1, 0.0], [0.9, 0.1, 0.0], [0.1, 0.9, 0.0]])
    assert expression_scores(probs, torch.tensor([0, 0, 1]))["macro_f1"] == 1


def test_one_class_only():
    assert one_class_only(torch.tensor([[0.9, 0.1], [0.6, 0.4]]))
    assert not one_class_only(torch.tensor([[0.9, 0.1], [0.4, 0.6]]))


def test_every_score_has_a_direction(guesses):
    probs, labels = guesses
    scores = all_scores(probs, torch.rand(300, 2), labels, torch.rand(300, 2), probs)
    assert set(scores) == set(METRICS) - set(needing("labels"))


def test_every_score_of_made_labels_has_a_direction():
    rng = np.random.default_rng(1)
    va = {name: rng.normal(size=(20, 2)).astype(np.float32) for name in ("given", "new", "truth")}
    classes = {name: rng.integers(0, 3, 20) for name in ("given", "new", "truth")}
    labels = {f"extra_va_{name}": va[name] for name in ("given", "new")} | {"extra_truth_va": va["truth"]}
    labels |= {f"extra_labels_{name}": classes[name] for name in ("given", "new")}
    labels |= {"extra_truth_labels": classes["truth"], "extra_selected": np.arange(20) < 8}
    labels |= {"target_va": va["given"], "target_truth_va": va["truth"], "target_own_va": va["new"]}
    scores = label_scores(AdaptedLabels(**labels))
    assert set(scores) == set(needing("labels"))
    rest = slice(8, None)
    assert scores["kept_share"] == 0.4
    assert scores["relabelled_right"] == np.mean(classes["new"][rest] == classes["truth"][rest])
    assert scores["mapped_va_rmse"] == pytest.approx(np.sqrt(np.mean((va["new"] - va["truth"])[rest] ** 2)), rel=1e-6)


def test_moments_of_va():
    rng = np.random.default_rng(0)
    va = rng.normal(size=(50, 2)).astype(np.float32)
    va[7] = np.nan
    known = np.delete(va, 7, axis=0)
    moments = va_moments(AdaptedLabels(target_va=va, extra_va_given=np.full((3, 2), 0.25, dtype=np.float32)))
    assert moments["target_mean_valence"] == pytest.approx(known[:, 0].mean(), abs=1e-6)
    assert moments["target_std_arousal"] == pytest.approx(known[:, 1].std(ddof=1), rel=1e-6)
    assert moments["target_correlation"] == pytest.approx(np.corrcoef(known.T)[0, 1], rel=1e-6)
    assert moments["extra_given_correlation"] == 0  # constant VA: no correlation, no warning
    assert not any(name.startswith("extra_new") for name in moments)
