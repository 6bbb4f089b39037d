"""Near twins: the same photograph twice, re-encoded, brightened, scaled, cropped by a few pixels, mirrored.

    thumbnails -> keys in sorted order -> candidates -> descriptors agree -> thumbnails agree -> pictures agree

Only the last step reads images. Pictures that are already linked are not compared again, so ten thousand frames of
one face cost ten thousand comparisons, not fifty million; the links suffice to join every group. Memory: about 1 KB
an image, and 8 bytes a compared pair that is no twin.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from raysweep.data.progress import OnProgress, ignore_progress

from .duplicate_groups import join
from .perceptual_hash import Descriptors, describe, keys, mirror
from .similarity import band_thumbs, likeness, thumb_likeness
from .thumbnails import CHUNK, Pixels, Thumbnails

THRESHOLD = 0.85
"""Least likeness of twins. On FERPlus the 48 weakest links above it are all one photograph twice; from 0.84 down
there are other photographs of one session. Drawn faces need 0.92: people with one haircut differ in colours only."""

DRAWN_THRESHOLD = 0.92
"""The same for the built-in faces."""

VERSION = 1
"""Of the search; bumped when it finds other twins, so that cached results of an older one are not used."""

TABLES = 32
"""Orders in which neighbours are compared. More find more of the twins whose crops differ."""

WINDOW = 16
"""How many neighbours each picture is compared with in an order."""

FLAT = 2.0
"""A thumbnail whose grey levels have a smaller standard deviation is not compared."""

_ALIKE_DESCRIPTORS, _ALIKE_THUMBS = 0.75, 0.66
"""Least similarities of descriptors and of thumbnails. Each loses 1 % of the twins of FERPlus; of other pairs that pass
the first, 3 % pass the second."""

_BATCH = 1 << 18

Rows = NDArray[np.int64]


class Links(NamedTuple):
    """Pairs of rows of one picture, `left` < `right`; each (P,). `flat`: rows that were not compared, (F,)."""

    left: Rows
    right: Rows
    likeness: NDArray[np.float32]
    mirrored: NDArray[np.bool_]
    flat: Rows


def near_links(
    images: Pixels,
    surveyed: Thumbnails,
    threshold: float = THRESHOLD,
    mirrored: bool = True,
    tables: int = TABLES,
    window: int = WINDOW,
    on_progress: OnProgress = ignore_progress,
) -> Links:
    """Links between the distinct pictures among `images`.

    The rows of a link are the lowest of their pixel-identical copies. Links do not depend on the order of the
    images. A link is left out where others already join the two.

    Args:
        images: (N, 3, H, W) uint8.
        surveyed: their `survey`.
        threshold: least `likeness`, in (0, 1].
        mirrored: whether a mirrored picture is a twin.
        tables, window: extent of the search; time and candidates grow with their product.
        on_progress: called with the tables done, and all tables.
    """
    distinct = surveyed.distinct()
    textured = surveyed.thumbs[distinct].std((1, 2)) >= FLAT if len(distinct) else np.zeros(0, bool)
    rows = distinct[textured]
    search = _Search(images, rows, surveyed.thumbs[rows], threshold, mirrored)
    for table in range(tables):
        search.search(table, window)
        on_progress(table + 1, tables)
    return search.links(flat=np.sort(distinct[~textured]))


@dataclass
class _Search:
    """Pictures are numbered 0 to M - 1 in the order of `rows`; a pair (a < b) has the code (a M + b) 2 + mirrored."""

    images: Pixels
    rows: Rows
    thumbs: NDArray[np.uint8]
    threshold: float
    mirrored: bool
    rejected: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    found: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    scores: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))

    def __post_init__(self) -> None:
        self.descriptors = describe(self.thumbs)
        self.bands = band_thumbs(self.thumbs)
        self.component = np.arange(len(self.rows))

    def search(self, table: int, window: int) -> None:
        """Compare neighbours under one set of planes and join those that are twins.

        Nearest neighbours first: pictures that they join, such as frames of a video, are not compared at larger
        distances.
        """
        order = np.argsort(keys(self._all_descriptors(), table), kind="stable")
        for distances in (range(1, 2), range(2, window + 1)):
            self._compare(self._candidates(order, distances))

    def _compare(self, candidates: NDArray[np.int64]) -> None:
        codes = np.setdiff1d(candidates, self.rejected, assume_unique=True)
        scores = self._likeness(codes)
        twins = scores >= self.threshold
        self.rejected = np.union1d(self.rejected, codes[~twins])
        self.found = np.concatenate([self.found, codes[twins]])
        self.scores = np.concatenate([self.scores, scores[twins]])
        left, right, _ = self._pairs(self.found)
        self.component = join(len(self.rows), left, right)

    def links(self, flat: Rows) -> Links:
        left, right, mirrored = self._pairs(self.found)
        ends = np.sort(np.stack([self.rows[left], self.rows[right]]), axis=0)
        order = np.lexsort((ends[1], ends[0]))
        return Links(ends[0][order], ends[1][order], self.scores[order], mirrored[order], flat)

    def _candidates(self, order: Rows, distances: range) -> NDArray[np.int64]:
        """Codes, ascending, of neighbours at these distances that are not joined yet and whose descriptors agree."""
        count = len(self.rows)
        codes = [np.empty(0, np.int64)]
        for distance in distances:
            first, second = order[:-distance], order[distance:]
            a, b = first % count, second % count
            fresh = self.component[a] != self.component[b]
            first, second, a, b = first[fresh], second[fresh], a[fresh], b[fresh]
            flipped = (first >= count) != (second >= count)
            code = (np.minimum(a, b) * count + np.maximum(a, b)) * 2 + flipped
            codes.append(code[self._agree(a, b, flipped)])
        return np.unique(np.concatenate(codes))

    def _all_descriptors(self) -> Descriptors:
        """Descriptors of the pictures, followed by those of the mirrored pictures."""
        if not self.mirrored:
            return self.descriptors
        return np.concatenate([self.descriptors, mirror(self.descriptors)])

    def _agree(self, a: Rows, b: Rows, flipped: NDArray[np.bool_]) -> NDArray[np.bool_]:
        agree = np.empty(len(a), bool)
        for start in range(0, len(a), _BATCH):
            part = slice(start, start + _BATCH)
            other = self.descriptors[b[part]]
            other[flipped[part]] = mirror(other[flipped[part]])
            agree[part] = np.einsum("pd,pd->p", self.descriptors[a[part]], other) >= _ALIKE_DESCRIPTORS
        return agree

    def _likeness(self, codes: NDArray[np.int64]) -> NDArray[np.float32]:
        """Likeness of pairs whose thumbnails agree; 0 of others."""
        rough = _in_threads(self._thumb_likeness, codes, 16 * CHUNK) >= _ALIKE_THUMBS
        scores = np.zeros(len(codes), np.float32)
        scores[rough] = _in_threads(self._image_likeness, codes[rough], CHUNK)
        return scores

    def _thumb_likeness(self, codes: NDArray[np.int64]) -> NDArray[np.float32]:
        left, right, flipped = self._pairs(codes)
        return thumb_likeness(self.bands[left], self.bands[right], flipped)

    def _image_likeness(self, codes: NDArray[np.int64]) -> NDArray[np.float32]:
        left, right, flipped = self._pairs(codes)
        return likeness(self.images, self.rows[left], self.rows[right], flipped)

    def _pairs(self, codes: NDArray[np.int64]) -> tuple[Rows, Rows, NDArray[np.bool_]]:
        count = max(len(self.rows), 1)
        pair, flipped = np.divmod(codes, 2)
        left, right = np.divmod(pair, count)
        return left, right, flipped.astype(bool)


def _in_threads(
    measure: Callable[[NDArray[np.int64]], NDArray[np.float32]], codes: NDArray[np.int64], size: int
) -> NDArray[np.float32]:
    """`measure` of the codes, `size` at a time in threads: its arithmetic releases the GIL."""
    parts = [codes[start : start + size] for start in range(0, len(codes), size)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.concatenate([np.empty(0, np.float32), *pool.map(measure, parts)])
