"""Perceptual hashes: short descriptors of thumbnails, and keys by which similar ones are sorted next to each other.

A descriptor has the low frequencies of a thumbnail (its discrete cosine transform), scaled to length one, which removes
brightness and contrast. A key has a bit for each of 32 random planes: the side on which the descriptor lies (Charikar,
STOC 2002: two descriptors at angle t agree in a bit with probability 1 - t/pi). Sorted by such a key, pictures that
agree in many leading bits are neighbours. Comparing each with the next few in many such orders costs the same for every
data set: hash buckets would fill up with the frames of one video, or with faces that are all aligned alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

from .thumbnails import CHUNK, THUMB

HIGHEST_FREQUENCY = 6.0
"""Frequencies from here on (in half periods a side) differ between two crops of one picture."""

_BITS = 32
_BATCH = 64 * CHUNK

_ROW, _COLUMN = np.mgrid[:THUMB, :THUMB]
_FREQUENCY = np.hypot(_ROW, _COLUMN)
_KEPT = (_FREQUENCY > 0) & (_FREQUENCY < HIGHEST_FREQUENCY)
_WEIGHTS = np.sqrt(_FREQUENCY[_KEPT]).astype(np.float32)
"""Higher frequencies are weaker in pictures: the weights make up for half of that."""
_MIRRORED = np.where(_COLUMN[_KEPT] % 2, -1, 1).astype(np.float32)
"""Signs by which the descriptor of a mirrored picture differs."""

Descriptors = NDArray[np.float32]


def describe(thumbs: NDArray[np.uint8]) -> Descriptors:
    """(N, THUMB, THUMB) to rows of length one, (N, D); a constant thumbnail gives zeros."""
    described = np.empty((len(thumbs), len(_WEIGHTS)), np.float32)
    for start in range(0, len(thumbs), _BATCH):
        batch = thumbs[start : start + _BATCH].astype(np.float32)
        spectrum = dctn(batch, axes=(1, 2), norm="ortho")[:, _KEPT] * _WEIGHTS
        lengths = np.sqrt(np.einsum("nd,nd->n", spectrum, spectrum))
        described[start : start + _BATCH] = spectrum / np.maximum(lengths, np.float32(1e-3))[:, None]
    return described


def mirror(descriptors: Descriptors) -> Descriptors:
    """The descriptors of the mirrored pictures."""
    return descriptors * _MIRRORED


def keys(descriptors: Descriptors, table: int) -> NDArray[np.uint32]:
    """Which side of the 32 planes of this table each descriptor lies on, the first plane leading. Shape (N,)."""
    planes = np.random.default_rng([_BITS, table]).standard_normal((descriptors.shape[1], _BITS)).astype(np.float32)
    packed = np.packbits(descriptors @ planes > 0, axis=1)
    return packed.view(">u4")[:, 0].astype(np.uint32)
