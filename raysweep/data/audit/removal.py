"""Removal of images from a data set, recorded in its fingerprint and notes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from raysweep.data.dataset import TRAIN, VALIDATION, FaceData
from raysweep.data.progress import Bar, no_bar

from .duplicate_groups import Rows, exact_groups, members, twin_groups, which_to_drop
from .near_duplicates import THRESHOLD, near_links
from .thumbnails import survey


def without(data: FaceData, rows: NDArray[np.int64], why: str) -> FaceData:
    """`data` without the images at `rows`; the fingerprint says how many and which, the notes how many and `why`.

    No rows: the same data set, with the same fingerprint. Images are not copied; rows are renumbered.
    """
    if len(rows) == 0:
        return data
    gone = np.unique(rows)
    kept = torch.from_numpy(np.setdiff1d(np.arange(len(data)), gone))
    which = hashlib.sha256(gone.astype("<i8").tobytes()).hexdigest()[:16]
    note = f"{len(gone):,} of {len(data):,} images left out: {why}"
    fingerprint = f"{data.fingerprint} without {len(gone)} of {len(data)} ({which})"
    return replace(data.take(kept), fingerprint=fingerprint, notes=(*data.notes, note))


def without_twins(data: FaceData, groups: Callable[[], Rows], kind: str) -> FaceData:
    """`data` without the images of `which_to_drop`: those of training with a twin in validation or test, those of
    validation with one in test.

    Args:
        groups: gives the lowest row of each row's group, (N,); not called where all images are in one split.
        kind: of the twins, for notes: "pixel-identical" or "near".
    """
    splits = data.splits.numpy()
    rows = which_to_drop(members(groups()), splits) if len(np.unique(splits)) > 1 else np.empty(0, np.int64)
    if len(rows) == 0:
        note = f"looked for {kind} twins across splits, and no image has one"
        return replace(data, notes=(*data.notes, note))
    counts = Counter(splits[rows].tolist())
    names = {TRAIN: "training", VALIDATION: "validation"}
    text = " and ".join(f"{counts[split]:,} of {name}" for split, name in names.items() if counts[split])
    return without(data, rows, f"{text} with {kind} twins in a split that is scored")


def all_twins(data: FaceData, threshold: float = THRESHOLD, bar: Bar = no_bar) -> Rows:
    """Groups of pixel-identical images and near twins together, (N,). Takes minutes for tens of thousands of images."""
    with bar(f"looking at {data.name}", "images") as on_progress:
        surveyed = survey(data.images, on_progress)
    with bar("comparing pictures", "rounds") as on_progress:
        links = near_links(data.images, surveyed, threshold, on_progress=on_progress)
    return twin_groups(exact_groups(surveyed.digests), links.left, links.right)
