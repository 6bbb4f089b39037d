"""Similarity of two pictures, independent of brightness, contrast, encoding and a crop by a few pixels.

All faces are similar: two people who face the camera correlate at 0.9. Pictures differ at scales finer than
a face and coarser than the noise of an encoder, so both are filtered out first.
Shapes: P pairs of pictures of S x S pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from .thumbnails import CHUNK, Pixels, grey, shrink

VIEW = 48
"""Side in pixels at which pictures are compared."""

REACH = 3
"""Largest shift of one picture against the other, in pixels of a view: 6 % of its side."""

_FINE, _COARSE = 1.0, 4.0
"""Standard deviations, in pixels of a view, of the band that is kept."""

_THUMB_COARSE = 1.5
"""The same in pixels of a thumbnail, which is fine enough already."""

_LEAST_TEXTURE = 1.0
"""Standard deviation in grey levels below which a filtered view is not compared."""

_NOTHING = 1e-3
"""Variance in squared grey levels that is only rounding."""

Picture = NDArray[np.float32]
Bands = NDArray[np.int8]


def likeness(
    images: Pixels, left: NDArray[np.int64], right: NDArray[np.int64], mirrored: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Correlation of image rows `left` with `right` (mirrored where `mirrored`), each (P,).

    The smaller of the correlations of the whole view and of its inner two thirds, at the best shift: a common
    frame, mask or watermark does not make twins. 0 where one of them has no texture.
    """
    rows, where = np.unique(np.concatenate([left, right]), return_inverse=True)
    views = band_views(images, rows)
    first, second = views[where[: len(left)]], views[where[len(left) :]]
    second[mirrored] = second[mirrored, :, ::-1]
    enough = np.minimum(first.std((1, 2)), second.std((1, 2))) >= _LEAST_TEXTURE
    return np.where(enough, best_correlation(first, second, REACH, margin=VIEW // 6), np.float32(0))


def thumb_likeness(left: Bands, right: Bands, mirrored: NDArray[np.bool_]) -> Picture:
    """The same of two stacks of filtered thumbnails (P, THUMB, THUMB): coarse, but needs no image. Shape (P,)."""
    first, second = left.astype(np.float32), right.astype(np.float32)
    second[mirrored] = second[mirrored, :, ::-1]
    return best_correlation(first, second, reach=1, margin=0)


def band_thumbs(thumbs: NDArray[np.uint8]) -> Bands:
    """Band-pass filtered thumbnails (N, THUMB, THUMB), in grey levels."""
    bands = np.empty(thumbs.shape, np.int8)
    for start in range(0, len(thumbs), 16 * CHUNK):
        levels = thumbs[start : start + 16 * CHUNK].astype(np.float32)
        band = np.rint(levels - _blurred(levels, _THUMB_COARSE))
        bands[start : start + 16 * CHUNK] = np.clip(band, -127, 127)
    return bands


def band_views(images: Pixels, rows: NDArray[np.int64]) -> Picture:
    """The images at `rows`, grey, VIEW pixels wide, band-pass filtered."""
    view = shrink(grey(np.asarray(images[rows])), VIEW)
    return _blurred(view, _FINE) - _blurred(view, _COARSE)


def best_correlation(first: Picture, second: Picture, reach: int, margin: int) -> Picture:
    """The best normalised correlation over all shifts up to `reach`, of the part where both overlap. (P,)

    `margin` > 0: at each shift the lesser of that and of the overlap without so many pixels at each edge.
    """
    best = np.full(len(first), -1, np.float32)
    sums = _Sums(first), _Sums(second)
    side = first.shape[1]
    for down in range(-reach, reach + 1):
        for across in range(-reach, reach + 1):
            here = max(down, 0), max(across, 0), side + min(down, 0), side + min(across, 0)
            there = max(-down, 0), max(-across, 0), side + min(-down, 0), side + min(-across, 0)
            score = _correlation(*sums, here, there)
            if margin:
                score = np.minimum(score, _correlation(*sums, _inside(here, margin), _inside(there, margin)))
            best = np.maximum(best, score)
    return best


Window = tuple[int, int, int, int]
"""Top, left, bottom, right."""


class _Sums:
    """Pictures with their integral images, which give the sum over any window in four look-ups."""

    def __init__(self, pictures: Picture) -> None:
        self.pictures = pictures
        self._of_values = _integral(pictures)
        self._of_squares = _integral(pictures * pictures)

    def window(self, at: Window) -> Picture:
        top, left, bottom, right = at
        return self.pictures[:, top:bottom, left:right]

    def moments(self, at: Window) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sum of the values, and sum of squares about their mean, in a window. Each (P,)."""
        top, left, bottom, right = at
        values, squares = (
            table[:, bottom, right] - table[:, top, right] - table[:, bottom, left] + table[:, top, left]
            for table in (self._of_values, self._of_squares)
        )
        return values, squares - values * values / ((bottom - top) * (right - left))


def _correlation(first: _Sums, second: _Sums, here: Window, there: Window) -> Picture:
    """Pearson correlation of a window of the first with one of the second, by picture; 0 where one is constant."""
    area = (here[2] - here[0]) * (here[3] - here[1])
    (sum_a, about_a), (sum_b, about_b) = first.moments(here), second.moments(there)
    together = np.einsum("pij,pij->p", first.window(here), second.window(there)) - sum_a * sum_b / area
    scale = np.sqrt(np.maximum(about_a, 0) * np.maximum(about_b, 0))
    return np.where(scale > _NOTHING * area, together / np.maximum(scale, _NOTHING), 0).astype(np.float32)


def _inside(window: Window, margin: int) -> Window:
    top, left, bottom, right = window
    return top + margin, left + margin, bottom - margin, right - margin


def _integral(pictures: Picture) -> NDArray[np.float64]:
    """(P, S, S) to (P, S + 1, S + 1): entry (i, j) is the sum over the first i rows and j columns."""
    table = np.zeros((len(pictures), pictures.shape[1] + 1, pictures.shape[2] + 1))
    np.cumsum(np.cumsum(pictures, 1, dtype=np.float64), 2, out=table[:, 1:, 1:])
    return table


def _blurred(pictures: Picture, sigma: float) -> Picture:
    blurred: Picture = gaussian_filter(pictures, (0, sigma, sigma))
    return blurred
