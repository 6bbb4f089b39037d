"""Leaks between data sets: images on which one set trains and another is scored.

Pictures are compared as loaded, at one size, so that a folder, a list and a prepared set of the same photographs are
recognised. The search for near twins (`audit.near_duplicates`) takes minutes and is made on request only.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .dataset import TEST, TRAIN, VALIDATION, FaceData
from .digests import NO_CACHES, Digests, ImageCaches, comparable_digests, own_digests, read_cached, write_cached
from .image_subset import Images

NOT_SCORED, MAYBE, CHOSEN_ON, TESTED = 0, 1, 2, 3
"""Roles of an image in a scored set: none, a training image that a replicate may hold out for validation, a validation
image, a test image."""

Roles = NDArray[np.int8]


@dataclass(frozen=True)
class Scored:
    """A set that is scored. `watched`: epochs are chosen on its validation images, or, where it has none, on training
    images that each replicate holds out."""

    data: FaceData
    watched: bool = True
    caches: ImageCaches = NO_CACHES

    @property
    def roles(self) -> Roles:
        """The role of each of its images, (N,)."""
        splits = self.data.splits.numpy()
        own = bool((splits == VALIDATION).any())
        roles = np.zeros(len(splits), np.int8)
        roles[splits == TEST] = TESTED
        if self.watched:
            roles[splits == (VALIDATION if own else TRAIN)] = CHOSEN_ON if own else MAYBE
        return roles


def shared_roles(data: FaceData, caches: ImageCaches, scored: Scored, near: float | None = None) -> Roles:
    """The roles of the training images of `data` in another, scored set, (N,); 0 for other images.

    Args:
        near: least likeness of near twins; None: equal pixels only.
    """
    mine = np.flatnonzero(data.splits.numpy() == TRAIN)
    roles = np.zeros(len(data), np.int8)
    ours, theirs = comparable_digests(data, caches, scored.data, scored.caches)
    roles[mine] = _by_digest(ours[mine], theirs, scored.roles)
    if near is not None:
        roles[mine] = np.maximum(roles[mine], _by_likeness(data, mine, caches, scored, near))
    return roles


def same_images(left: FaceData, left_caches: ImageCaches, right: FaceData, right_caches: ImageCaches) -> bool:
    """Whether two sets are one: equal images with equal labels, however they are divided, listed or ordered."""
    if len(left) != len(right):
        return False
    ours, theirs = comparable_digests(left, left_caches, right, right_caches)
    return _identity(left, ours) == _identity(right, theirs)


def twins_of_training(data: FaceData, caches: ImageCaches) -> tuple[int, int]:
    """Numbers of validation and test images whose pixels are among the set's training images, too."""
    digests, splits = own_digests(data, caches), data.splits.numpy()
    again = np.isin(digests, digests[splits == TRAIN])
    return int((again & (splits == VALIDATION)).sum()), int((again & (splits == TEST)).sum())


def _identity(data: FaceData, digests: Digests) -> str:
    names = np.array([*data.classes, ""])[data.labels.numpy()]  # -1, no class, is the last
    pairs = sorted(zip(digests.tolist(), names.tolist(), strict=True))
    return hashlib.sha256(repr(pairs).encode()).hexdigest()


def _by_digest(ours: Digests, theirs: Digests, roles: Roles) -> Roles:
    """The highest role of an image with the same digest in the other set."""
    known, place = np.unique(theirs, return_inverse=True)
    most = np.zeros(len(known), np.int8)
    np.maximum.at(most, place, roles)
    if not len(known):
        return np.zeros(len(ours), np.int8)
    at = np.searchsorted(known, ours).clip(max=len(known) - 1)
    return np.where(known[at] == ours, most[at], 0).astype(np.int8)


def _by_likeness(
    data: FaceData, mine: NDArray[np.int64], caches: ImageCaches, scored: Scored, threshold: float
) -> Roles:
    """The same for near twins, from a cache if there is one."""
    from .audit.near_duplicates import VERSION

    text = f"{data.fingerprint}|{len(mine)}|{scored.data.fingerprint}|{scored.watched}|{threshold}|{VERSION}"
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    found = read_cached(key, "shared", caches.places, len(mine), np.int8)
    if found is None:
        found = _near_roles(data, mine, scored, threshold)
        write_cached(found, key, "shared", caches.places)
    return found.astype(np.int8)


def _near_roles(data: FaceData, mine: NDArray[np.int64], scored: Scored, threshold: float) -> Roles:
    from .audit import Thumbnails, exact_groups, near_links, survey, twin_groups
    from .progress import progress_bar

    theirs = np.flatnonzero(scored.roles)
    roles = scored.roles[theirs]
    parts = [scored.data.images[torch.from_numpy(theirs)], data.take(torch.from_numpy(mine)).images]
    with progress_bar(f"looking at {data.name} and {scored.data.name}", "images") as on_progress:
        surveys = [survey(part, on_progress) for part in parts]
    surveyed = Thumbnails(*(np.concatenate(arrays) for arrays in zip(*surveys, strict=True)))
    with progress_bar("comparing pictures", "rounds") as on_progress:
        links = near_links(_Chained(parts), surveyed, threshold, on_progress=on_progress)  # type: ignore[arg-type]
    group = twin_groups(exact_groups(surveyed.digests), links.left, links.right)
    most = np.zeros(len(group), np.int8)
    np.maximum.at(most, group[: len(theirs)], roles)
    return most[group[len(theirs) :]]


class _Chained:
    """Several arrays of images concatenated without a copy; indexed by row numbers."""

    def __init__(self, parts: list[Images]) -> None:
        self.parts = parts
        self.starts = np.cumsum([0, *(len(part) for part in parts)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, rows: Any) -> NDArray[np.uint8]:
        rows = np.asarray(rows)
        shape = tuple(self.parts[0].shape[1:])
        images = np.empty((len(rows), *shape), np.uint8)
        for part, start, end in zip(self.parts, self.starts, self.starts[1:], strict=False):
            mine = (rows >= start) & (rows < end)
            images[mine] = np.asarray(part[torch.from_numpy(rows[mine] - start)])
        return images
