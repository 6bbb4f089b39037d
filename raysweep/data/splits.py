"""Division of images into training, validation and test, by subject where subjects are known."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from raysweep.config.sections import Selection
from raysweep.core.errors import UserError
from raysweep.core.keyed_random import derive_key, permutation

from .dataset import TEST, TRAIN, VALIDATION, FaceData

TEST_SHARE = 0.2
"""Share of test images, always the same ones, of a data set that comes without a test split."""


def with_test_split(data: FaceData) -> FaceData:
    """The data set with a test split: its own, or a fixed fifth that depends on no seed.

    A note for captions says how it was drawn, or which people of its own one are also in other splits.
    """
    if len(data.rows(TEST)):  # with an expression
        return replace(data, notes=(*data.notes, *_shared_subjects(data)))
    splits = data.splits.clone()
    rows = data.rows(TRAIN)
    splits[_with_va_only(data, held_out(data, rows, derive_key("test split"), TEST_SHARE, None))] = TEST
    how = "by subject" if _knows_subjects(data, rows) else "stratified by expression"
    note = f"no test split came with the data: {TEST_SHARE:.0%} held out {how}"
    return replace(data, splits=splits, notes=(*data.notes, note))


def _shared_subjects(data: FaceData) -> tuple[str, ...]:
    known = data.subjects >= 0
    tested, other = (data.splits == TEST) & known, (data.splits != TEST) & known
    shared = tested & torch.isin(data.subjects, data.subjects[other].unique())
    if not bool(shared.any()):
        return ()
    people, of = (len(data.subjects[rows].unique()) for rows in (shared, tested))
    return (
        f"people of the test split who also appear in other splits: {people:,} of {of:,} ({int(shared.sum()):,} of "
        f"{len(data.rows(TEST, va_only=True)):,} test images); scores are not those of people the model has never seen",
    )


def all_trained(data: FaceData) -> FaceData:
    """The data set with its validation images among the training ones: for a set on which no epoch is chosen."""
    return data.with_splits(torch.where(data.splits == VALIDATION, TRAIN, data.splits))


def parts_trained(data: FaceData, parts: str) -> FaceData:
    """An extra set, which is not scored, with these parts for training and the rest unused (in TEST).

    Args:
        parts: "train", "train_validation" or "all".
    """
    validation, test = {"train": (TEST, TEST), "train_validation": (TRAIN, TEST), "all": (TRAIN, TRAIN)}[parts]
    splits = data.splits.clone()
    splits[data.splits == VALIDATION] = validation
    splits[data.splits == TEST] = test
    if parts == "train_validation" or torch.equal(splits, all_trained(data).splits):
        return data.with_splits(splits)
    return replace(data, splits=splits, fingerprint=f"{data.fingerprint} trained on {parts}")


def for_protocol(data: FaceData, selection: Selection, seed: int) -> FaceData:
    """Splits as a selection protocol needs them.

    `validation` and `select_then_retrain` use the data set's validation images, or hold out a part
    of the training images drawn by `seed`; `last` and `best_on_test` train on both. Images with valence and arousal
    alone are not held out, except those of people who are.

    Raises:
        UserError: no image is for training, or `held_out` cannot divide them.
    """
    splits = data.splits.clone()
    if selection.protocol in ("last", "best_on_test"):
        splits[splits == VALIDATION] = TRAIN
    if not bool(((splits == TRAIN) & ~data.va_only).any()):
        raise UserError(f"{data.name}: none of its {len(data):,} images is for training: all are in other splits")
    if selection.protocol not in ("last", "best_on_test") and not len(data.rows(VALIDATION)):
        key = derive_key(seed, "validation split")
        rows = held_out(data, data.rows(TRAIN), key, selection.validation_share, selection.validation_per_class)
        splits[_with_va_only(data, rows)] = VALIDATION
    return data.with_splits(splits)


def subset(data: FaceData, split: int, count: int | None, seed: int | None = None) -> FaceData:
    """About `count` images of one split with its class shares, and all of other splits; a smaller subset is a part of a
    larger one.

    `seed`: of the draw; None draws the same images every time. Images are not copied. Rows are renumbered: noise and
    order of an image follow its new number.
    """
    rows = data.rows(split, va_only=True)
    if count is None or count >= len(rows):
        return data
    place = torch.arange(len(rows))  # within the split: does not depend on other splits
    key = derive_key("subset", split) if seed is None else derive_key(seed, "subset", split)
    kept = rows[_share_of_classes(data.labels[rows], place, key, count / len(rows))]
    everything_else = torch.nonzero(data.splits != split).flatten()
    taken = data.take(torch.sort(torch.cat([kept, everything_else])).values)
    draw = "" if seed is None else f", draw {seed}"
    return replace(taken, fingerprint=f"{data.fingerprint} {len(kept)} of {len(rows)} in {split}{draw}")


def held_out(data: FaceData, rows: Tensor, key: int, share: float, per_class: int | None) -> Tensor:
    """The part of `rows` to hold out, as indices.

    Where any subject is known: whole subjects until `share` of the images is reached (an image
    without one is a subject of its own). Else that share, or `per_class` images, of every class
    (at most half of it).

    Raises:
        UserError: `per_class` for data with subjects, or no image would be left to train on.
    """
    if not _knows_subjects(data, rows):
        return _held_out_per_class(data.labels[rows], rows, key, share, per_class)
    if per_class is not None:
        raise UserError(f"`selection.validation_per_class` would split subjects, and {data.name} has them: use a share")
    alone = data.subjects[rows] < 0
    chosen = _by_subject(torch.where(alone, -1 - rows, data.subjects[rows]), rows, key, share)
    if len(chosen) == len(rows):
        raise UserError(f"{data.name}: holding out whole subjects needs at least two, but there is one")
    return chosen


def _with_va_only(data: FaceData, rows: Tensor) -> Tensor:
    """Held-out images and those with valence and arousal alone of the same people in training."""
    if not bool(data.va_only.any()):
        return rows
    theirs = torch.isin(data.subjects, data.subjects[rows]) & (data.subjects >= 0)
    return torch.cat([rows, torch.nonzero(theirs & data.va_only & (data.splits == TRAIN)).flatten()])


def _knows_subjects(data: FaceData, rows: Tensor) -> bool:
    return bool((data.subjects[rows] >= 0).any())


def _by_subject(subjects: Tensor, rows: Tensor, key: int, share: float) -> Tensor:
    names, position, counts = torch.unique(subjects, return_inverse=True, return_counts=True)
    order = permutation(key, names)
    before = torch.cumsum(counts[order], 0) - counts[order]
    chosen = torch.zeros(len(names), dtype=torch.bool)
    chosen[order[before < share * len(rows)]] = True
    return rows[chosen[position]]


def _held_out_per_class(labels: Tensor, rows: Tensor, key: int, share: float, per_class: int | None) -> Tensor:
    """A share of every class, at least one image and at most half of it: one image of a class is never held out."""
    kept = []
    for k in labels.unique():
        members = rows[labels == k]
        wanted = max(1, round(share * len(members))) if per_class is None else per_class
        kept.append(members[permutation(key, members)[: min(wanted, len(members) // 2)]])
    return torch.cat(kept).sort().values


def _share_of_classes(labels: Tensor, rows: Tensor, key: int, share: float) -> Tensor:
    """A share of every class, at least one image of it."""
    kept = []
    for k in labels.unique():
        members = rows[labels == k]
        kept.append(members[permutation(key, members)[: max(1, round(share * len(members)))]])
    return torch.cat(kept).sort().values


def named_gaps(data: FaceData, scored: bool = True) -> FaceData:
    """The data set with notes for captions on classes without training or test images, and on images without a class.

    `scored`: False for an extra set, whose test images are not used.
    """
    notes = []
    for split, word in ((TRAIN, "training"), *(((TEST, "test"),) if scored else ())):
        counts = torch.bincount(data.labels[data.rows(split)], minlength=data.num_classes)
        lacking = [name for name, count in zip(data.classes, counts.tolist(), strict=True) if not count]
        if len(lacking) == data.num_classes:
            notes.append(f"no {word} images at all")
        elif lacking:
            without = ": macro-F1 is the mean over the other classes" if split == TEST else ""
            notes.append(f"no {word} image of {', '.join(lacking)}{without}")
    notes += _va_only_note(data)
    return replace(data, notes=(*data.notes, *notes)) if notes else data


def _va_only_note(data: FaceData) -> list[str]:
    if not bool(data.va_only.any()):
        return []
    counts = torch.bincount(data.splits[data.va_only], minlength=3).tolist()
    parts = [f"{n:,} {name}" for n, name in zip(counts, ("training", "validation", "test"), strict=True) if n]
    return [
        f"images with valence and arousal but no expression: {' and '.join(parts)}; they count for the loss, RMSE and "
        "CCC of valence and arousal alone"
    ]
