"""The whole data set: people, expressions, splits and raters' labels; its best possible score."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from raysweep.core.keyed_random import derive_key, permutation
from raysweep.data.dataset import TEST, TRAIN, VALIDATION, DatasetInfo, FaceData
from raysweep.data.expressions import AFFECTNET_COUNTS, EXPRESSIONS
from raysweep.data.image_subset import Drawn, Images

from .affect import DEFAULT_RATERS, sample_affect
from .keyed_draws import Draws
from .raters import RaterModel, annotate_va, cast_votes
from .render import check_size, render_faces

FACES_VERSION: int = 1
"""Raised by hand whenever a pixel, a label or a draw of the built-in faces changes."""

_ODD = 0x1E3779B97F4A7C15
_SPLIT_STRIDE = 1_000_000_000
"""Sample and identity numbers of a split start at split * stride: growing one split leaves the others alone."""


def build_faces(
    size: int = 64,
    train: int = 8000,
    validation: int = 1000,
    test: int = 2000,
    seed: int = 0,
    raters: RaterModel = DEFAULT_RATERS,
    at_once: bool = True,
) -> FaceData:
    """The built-in data set "faces".

    True classes of train and validation follow AffectNet's imbalance, and the label is one rater's
    vote; the test split is balanced by majority vote, which is its label. No person is in two splits.

    Args:
        size: height and width in pixels, 32 to 224.
        train, validation, test: images a split; validation may be 0, the others at least 1.
        seed: of people, affect, votes, pose and light.
        raters: who names the expressions; another model is another "site".
        at_once: whether to draw the pictures now, not at the first access to pixels (`Drawn`).

    Raises:
        ValueError: if size or a count is out of range.
    """
    check_size(size)
    counts = checked_counts(train, validation, test)
    indices, expressions, subjects, splits = plan_faces(counts, seed, raters)
    affect = sample_affect(indices, expressions, seed, raters)
    votes, first = cast_votes(affect.rater_probs, indices, seed, raters)
    numbers = picture_numbers(indices, expressions, subjects, seed)
    return FaceData(
        name="faces",
        classes=EXPRESSIONS,
        images=pictures(partial(render_faces, indices, subjects, affect, size, seed), len(indices), size, at_once),
        labels=torch.where(splits == TEST, votes.argmax(1), first),
        va=annotate_va(affect.va, first, indices, seed, raters),
        votes=votes,
        subjects=subjects,
        splits=splits,
        fingerprint=faces_fingerprint(size=size, seed=seed, raters=raters.described(), **counts),
        info=DatasetInfo(affect.expressions, affect.va, affect.rater_probs, pictures=numbers, version=FACES_VERSION),
    )


def pictures(render: Callable[[], Tensor], count: int, size: int, at_once: bool) -> Images:
    """(count, 3, size, size) uint8, drawn now or at the first access."""
    return render() if at_once else Drawn((count, 3, size, size), render)


def picture_numbers(indices: Tensor, expressions: Tensor, subjects: Tensor, seed: int) -> Tensor:
    """A number for every picture, (N,) int64: two of one size are the same picture where these are equal.

    A hash of person, expression, sample number and seed (int64 wraps around).
    """
    numbers = torch.full_like(indices, seed)
    for part in (indices, expressions, subjects):
        numbers = (numbers ^ (numbers >> 29)) * _ODD + part
    return numbers * _ODD


def bayes_ceiling(data: FaceData) -> dict[str, float]:
    """Best possible score on the test split's labels: of a predictor that knows the true affect.

    It knows the probability that a rater names each expression and predicts the likeliest.

    Returns:
        "macro_f1" and "accuracy", both in [0, 1].
    """
    rows = data.rows(TEST)
    assert data.info.rater_probs is not None
    said, truth = data.info.rater_probs[rows].argmax(1), data.labels[rows]
    confusion = torch.zeros(data.num_classes, data.num_classes, dtype=torch.float64)
    confusion.index_put_((truth, said), torch.ones(len(rows), dtype=torch.float64), accumulate=True)
    hits, total = confusion.diagonal(), confusion.sum(0) + confusion.sum(1)
    scores = (2 * hits / total)[total > 0]
    return {"macro_f1": float(scores.mean()), "accuracy": float(hits.sum() / len(rows))}


def share_out(total: int, weights: Sequence[float], floor: int = 0) -> Tensor:
    """Whole numbers proportional to weights that sum to `total`, by largest remainder.

    Every share gets at least `floor` first. Shape (len(weights),) int64.
    """
    assert floor * len(weights) <= total
    exact = torch.tensor(weights, dtype=torch.float64) / sum(weights) * (total - floor * len(weights))
    counts = exact.floor().long()
    missing = total - floor * len(weights) - int(counts.sum())
    counts[torch.argsort(exact - counts, descending=True, stable=True)[:missing]] += 1
    return counts + floor


def checked_counts(train: int, validation: int, test: int) -> dict[str, int]:
    """Images a split by name; ValueError where there are too few."""
    counts = {"train": train, "validation": validation, "test": test}
    for name, count in counts.items():
        least = 0 if name == "validation" else 1
        if count < least:
            raise ValueError(f"`{name} >= {least}` must hold, but got {name}={count}")
    return counts


def plan_faces(counts: dict[str, int], seed: int, raters: RaterModel) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sample number, true class, identity and split of every picture, each (N,) int64.

    The test split holds as many of each expression by majority vote of `raters`.
    """
    parts = {
        TRAIN: _imbalanced_samples(TRAIN, counts["train"], seed),
        VALIDATION: _imbalanced_samples(VALIDATION, counts["validation"], seed),
        TEST: _balanced_samples(counts["test"], seed, raters),
    }
    indices, expressions = (torch.cat([part[column] for part in parts.values()]) for column in (0, 1))
    subjects = torch.cat([_subjects(split, len(part[0]), seed) for split, part in parts.items()])
    splits = torch.cat([torch.full_like(part[0], split) for split, part in parts.items()])
    return indices, expressions, subjects, splits


def _imbalanced_samples(split: int, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Sample numbers and true classes of a split with AffectNet's class shares, classes in random order."""
    floor = min(2, count // len(EXPRESSIONS))
    ordered = torch.repeat_interleave(torch.arange(len(EXPRESSIONS)), share_out(count, AFFECTNET_COUNTS, floor))
    order = permutation(derive_key(seed, "faces", "class order", split), torch.arange(count))
    return split * _SPLIT_STRIDE + torch.arange(count), ordered[order]


def _balanced_samples(count: int, seed: int, raters: RaterModel) -> tuple[Tensor, Tensor]:
    """Test samples, equally many of each majority vote: candidates are drawn until there are enough."""
    wanted = share_out(count, [1.0] * len(EXPRESSIONS))
    pool = 2 * count + 64
    while True:
        indices = TEST * _SPLIT_STRIDE + torch.arange(pool)
        expressions = torch.arange(pool) % len(EXPRESSIONS)
        affect = sample_affect(indices, expressions, seed, raters)
        majority = cast_votes(affect.rater_probs, indices, seed, raters)[0].argmax(1)
        if (torch.bincount(majority, minlength=len(EXPRESSIONS)) >= wanted).all():
            break
        pool *= 2
        if pool > 64 * (count + 64):
            raise ValueError(f"every expression must win some majority votes, but got raters={raters}")
    kept = [torch.nonzero(majority == k).flatten()[:amount] for k, amount in enumerate(wanted.tolist())]
    chosen = torch.cat(kept)
    chosen = chosen[permutation(derive_key(seed, "faces", "test order"), indices[chosen])]
    return indices[chosen], expressions[chosen]


def _subjects(split: int, count: int, seed: int) -> Tensor:
    """Identity numbers: 8 to 12 pictures in a row show one person. Shape (count,) int64."""
    people = split * _SPLIT_STRIDE + torch.arange(count // 8 + 1)
    pictures = Draws(seed, "subjects", people).between("pictures", 8, 13).long()
    return people.repeat_interleave(pictures)[:count]


def faces_fingerprint(**arguments: object) -> str:
    """SHA-256 over version and arguments, not pixels: machines may differ in the last bit of a float."""
    text = json.dumps({"faces": FACES_VERSION, **arguments}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
