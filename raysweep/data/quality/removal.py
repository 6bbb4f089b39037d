"""Leaving images out of a data set so that everything trained on the rest knows it."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from raysweep.data.dataset import FaceData


def without(data: FaceData, rows: NDArray[np.int64], why: str) -> FaceData:
    """`data` less the images at `rows`; the fingerprint says which, the notes how many and `why`.

    No rows: the same data set, with the same fingerprint. The remaining images are copied, a memory map too.
    """
    if len(rows) == 0:
        return data
    gone = np.unique(rows)
    kept = torch.from_numpy(np.setdiff1d(np.arange(len(data)), gone))
    words = f"{data.fingerprint}|without|".encode() + gone.astype("<i8").tobytes()
    note = f"{len(gone)} of {len(data)} images left out: {why}"
    return replace(data.take(kept), fingerprint=hashlib.sha256(words).hexdigest(), notes=(*data.notes, note))
