"""What a cell's `attention.npz` holds (see `recipes.CellResult`), and how alike the maps of two models are.

Imports neither matplotlib nor MLflow: the report reads these too. N images, M of them with pixels, h x w places.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from raysweep.core.bounds import read_npz

from .adapted_labels import Array


@dataclass(frozen=True, eq=False)
class AttentionMaps:
    """Maps (N, h, w) of the images `rows` with their labels and class probabilities (N, K).

    `shown` (M,): places among the N of those images whose `pixels` (M, H, W, 3) uint8 were kept.
    """

    rows: Array
    labels: Array
    maps: Array
    probs: Array
    shown: Array
    pixels: Array

    def first_faces(self) -> dict[int, int]:
        """Class to the number m of its first face with pixels, classes in order."""
        return {int(k): int(np.argmax(self.labels[self.shown] == k)) for k in np.unique(self.labels[self.shown])}


def read_attention(file: Path) -> AttentionMaps:
    """An `attention.npz`.

    Raises:
        ValueError: it is none, or its arrays do not belong together.
        OSError: the file cannot be read.
    """
    arrays = read_npz(file)
    if missing := AttentionMaps.__dataclass_fields__.keys() - arrays.keys():
        raise ValueError(f"{min(missing)} is missing")
    looks = AttentionMaps(**{name: arrays[name] for name in AttentionMaps.__dataclass_fields__})
    count, shown = looks.rows.shape[:1], looks.shown.shape
    whole = (
        looks.rows.ndim == looks.shown.ndim == 1
        and looks.labels.shape == count == looks.maps.shape[:1] == looks.probs.shape[:1]
        and (looks.maps.ndim, looks.probs.ndim) == (3, 2)
        and looks.pixels.shape[:1] == shown and looks.pixels.ndim == 4 and looks.pixels.shape[3] == 3
        and all(own.dtype.kind in "iu" for own in (looks.rows, looks.labels, looks.shown))
        and looks.maps.dtype.kind == looks.probs.dtype.kind == "f" and looks.pixels.dtype == np.uint8
    )  # fmt: skip
    if not whole or bool(((looks.shown < 0) | (looks.shown >= max(count[0], 1))).any()):
        raise ValueError("its arrays do not belong together")
    return looks


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
