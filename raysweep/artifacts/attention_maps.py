"""Where a cell's model looks, and how alike the maps of two models are.

Imports neither matplotlib nor MLflow: pictures of a cell and reports are made of the same values. N images, M of them
with pixels, h x w places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .array_file import Array, ArrayFile


@dataclass(frozen=True, eq=False)
class AttentionMaps(ArrayFile):
    """Maps (N, h, w) float32 of the test images `rows` (N,) with their labels (N,) and class probabilities (N, K).

    `shown` (M,): places among the N of those images whose `pixels` (M, H, W, 3) uint8 were kept.
    """

    FILE: ClassVar[str] = "attention.npz"

    rows: Array
    labels: Array
    maps: Array
    probs: Array
    shown: Array
    pixels: Array

    def __post_init__(self) -> None:
        count, shown = self.rows.shape[:1], self.shown.shape
        whole = (
            self.rows.ndim == self.shown.ndim == 1
            and self.labels.shape == count == self.maps.shape[:1] == self.probs.shape[:1]
            and (self.maps.ndim, self.probs.ndim) == (3, 2)
            and self.pixels.shape[:1] == shown and self.pixels.ndim == 4 and self.pixels.shape[3] == 3
            and all(own.dtype.kind in "iu" for own in (self.rows, self.labels, self.shown))
            and self.maps.dtype.kind == self.probs.dtype.kind == "f" and self.pixels.dtype == np.uint8
        )  # fmt: skip
        if not whole or bool(((self.shown < 0) | (self.shown >= max(count[0], 1))).any()):
            raise ValueError("its arrays do not belong together")

    def first_faces(self) -> dict[int, int]:
        """Class to the number m of its first face with pixels, classes in order."""
        return {int(k): int(np.argmax(self.labels[self.shown] == k)) for k in np.unique(self.labels[self.shown])}

    def same_images(self, other: AttentionMaps) -> bool:
        """Whether maps can be compared: of the same images, at as many places."""
        ours, theirs = ((own.rows, own.labels, own.pixels) for own in (self, other))
        return all(map(np.array_equal, ours, theirs)) and self.maps.shape == other.maps.shape


def likeness(ours_Nhw: Array, theirs_Nhw: Array) -> Array:
    """Pearson's correlation over the places of two maps of each image. Shape (N,), float64.

    A map that is the same everywhere has no correlation with anything. Against one that does vary that counts as 0
    (what the one model saw, the other does not); between two such maps there is nothing to compare: NaN.

    >>> likeness(np.array([[[1, 2]], [[0, 0]], [[0, 0]]]), np.array([[[5, 3]], [[1, 2]], [[0, 0]]]))
    array([-1.,  0., nan])
    """
    centred = [maps - maps.mean((1, 2), keepdims=True) for maps in (_to_one(ours_Nhw), _to_one(theirs_Nhw))]
    flat = [is_flat(maps) for maps in (ours_Nhw, theirs_Nhw)]
    ours, theirs = (np.where(f[:, None, None], 0.0, maps) for f, maps in zip(flat, centred, strict=True))
    norms = np.sqrt((ours**2).sum((1, 2)) * (theirs**2).sum((1, 2)))
    found: Array = np.divide((ours * theirs).sum((1, 2)), norms, out=np.zeros(len(ours)), where=norms > 0)
    found[flat[0] & flat[1]] = np.nan
    return found


def mean_likeness(ours: AttentionMaps | None, theirs: AttentionMaps | None) -> float | None:
    """Over images; None without maps of both, for other images, and where nothing can be compared."""
    if ours is None or theirs is None or not ours.same_images(theirs):
        return None
    values = likeness(ours.maps, theirs.maps)
    return float(np.nanmean(values)) if np.isfinite(values).any() else None


def is_flat(maps_Nhw: Array) -> Array:
    """Which maps are the same everywhere (most of them 0: nothing speaks for the class). Shape (N,), bool."""
    flat: Array = np.ptp(maps_Nhw, axis=(1, 2)) == 0
    return flat


def _to_one(maps_Nhw: Array) -> Array:
    """Scaled so that the largest of each map is 1: correlations stay as they are, and tiny values keep their digits."""
    maps = maps_Nhw.astype(np.float64)
    tops = maps.max((1, 2), keepdims=True, initial=0.0)
    scaled: Array = np.divide(maps, tops, out=np.zeros_like(maps), where=tops > 0)
    return scaled
