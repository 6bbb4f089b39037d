"""Counts and moments of valence and arousal by split and class, summed up row by row."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from raysweep.data.listing import SPLITS

from .manifest import VaMoments

SPLIT_NAMES = {SPLITS[name]: name for name in ("train", "validation", "test")}

VA_ONLY = ""
"""The class name of images without an expression."""


class Moments:
    """Sums over rows that are added. `classes`: names by index; -1 counts as `VA_ONLY`."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._names = (*classes, VA_ONLY)  # index -1 is the last
        self._counts: dict[tuple[int, int], int] = defaultdict(int)
        self._sums: dict[tuple[int, int], np.ndarray] = defaultdict(lambda: np.zeros(6))

    def add(self, splits_N: np.ndarray, expressions_N: np.ndarray, va_N2: np.ndarray) -> None:
        """Add rows. `va_N2` float, NaN where missing."""
        for split in np.unique(splits_N):
            for expression in np.unique(expressions_N[splits_N == split]):
                mine = (splits_N == split) & (expressions_N == expression)
                v, a = va_N2[mine & np.isfinite(va_N2).all(1)].astype(np.float64).T
                key = int(split), int(expression)
                self._counts[key] += int(mine.sum())
                sums = (len(v), v.sum(), a.sum(), (v * v).sum(), (a * a).sum(), (v * a).sum())
                self._sums[key] += np.array(sums)

    def counts(self) -> dict[str, dict[str, int]]:
        """Images by split and class."""
        table: dict[str, dict[str, int]] = {}
        for split, expression in sorted(self._counts, key=self._order):
            table.setdefault(SPLIT_NAMES[split], {})[self._names[expression]] = self._counts[split, expression]
        return table

    def spreads(self) -> dict[str, dict[str, VaMoments]]:
        """Moments by split and class, where any image of them has valence and arousal."""
        table: dict[str, dict[str, VaMoments]] = {}
        for split, expression in sorted(self._sums, key=self._order):
            n, v, a, vv, aa, va = self._sums[split, expression].tolist()
            if n:
                spread = VaMoments(
                    count=int(n),
                    mean=(v / n, a / n),
                    std=(_root(vv / n - (v / n) ** 2), _root(aa / n - (a / n) ** 2)),
                    covariance=va / n - v / n * a / n,
                )
                table.setdefault(SPLIT_NAMES[split], {})[self._names[expression]] = spread
        return table

    def _order(self, key: tuple[int, int]) -> tuple[int, int]:
        return key[0], key[1] % len(self._names)


def _root(variance: float) -> float:
    return math.sqrt(max(variance, 0.0))
