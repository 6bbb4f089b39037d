"""Intervals with replicates and test images random, of an arm and of its difference from the reference.

Predictions of all cells are read for them once: results are kept in the user's cache, by what MLflow says of the runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from raysweep.core.hashing import canonical_json
from raysweep.core.user_cache import cache_values, cached_values
from raysweep.report.results.statistics import LEVEL

from .arm_images import ArmImages, arm_images
from .crossed import Crossed, crossed

if TYPE_CHECKING:  # it imports this package
    from raysweep.report.results.aggregate import ArmSummary
    from raysweep.report.results.records import CellRecord

CACHE = "new-images"
"""Folder in the user's cache."""

VERSION = 1
"""Raised when the same predictions give other intervals."""


@dataclass(frozen=True)
class ImageIntervals:
    """Of one score. `why`: reason why one lacks that could be expected."""

    mean: Crossed | None = None
    difference: Crossed | None = None
    why: str = ""


class ImageReader:
    """Reads arms once each, and keeps those of reference arms in memory."""

    def __init__(self, scores: Sequence[str]) -> None:
        self._scores = scores
        self._references: dict[str, ArmImages] = {}

    def intervals(
        self, arm: ArmSummary, reference: ArmSummary | None, levels: Mapping[str, float]
    ) -> dict[str, ImageIntervals]:
        """By score. `levels`: 1 - confidence of the interval of the difference."""
        cells = [cell for one in (arm, reference) if one for cell in one.cells if cell.complete]
        if not cells:
            return {}
        key = _digest(arm, reference, levels)
        if not any(cell.again for cell in cells) and (found := _parsed(cached_values(CACHE, key))) is not None:
            return found
        ours = self._images(arm)
        theirs = None if reference is None else self._images(reference)
        made = {score: _of_score(ours, theirs, score, level) for score, level in levels.items()}
        if not (ours.why.get("") or (theirs and theirs.why.get(""))):  # else files may be away for a while
            cache_values(CACHE, key, {score: asdict(one) for score, one in made.items()})
        return made

    def _images(self, arm: ArmSummary) -> ArmImages:
        if arm.name in self._references:
            return self._references[arm.name]
        found = arm_images(arm.cells, self._scores)
        if arm.is_reference:
            self._references[arm.name] = found
        return found


def _of_score(ours: ArmImages, theirs: ArmImages | None, score: str, level: float) -> ImageIntervals:
    if why := ours.reason(score):
        return ImageIntervals(why=why)
    own = ours.values[score]
    mean = _interval(list(own.values()), LEVEL)
    if theirs is None:
        return ImageIntervals(mean)
    if why := theirs.reason(score):
        return ImageIntervals(mean, why=f"of the reference, {why}")
    if ours.images != theirs.images:
        return ImageIntervals(mean, why="the arm and its reference are scored on different test images")
    other = theirs.values[score]
    return ImageIntervals(mean, _interval([own[r] - other[r] for r in sorted(own.keys() & other.keys())], level))


def _interval(rows: Sequence[np.ndarray], level: float) -> Crossed | None:
    return crossed(np.stack(rows), level=level) if len(rows) > 1 else None


def _digest(arm: ArmSummary, reference: ArmSummary | None, levels: Mapping[str, float]) -> str:
    """Another one when any run says something else in MLflow."""
    told = [[_told(cell) for cell in one.cells if cell.complete] for one in (arm, reference) if one]
    said = [VERSION, told, {score: repr(level) for score, level in sorted(levels.items())}]
    return hashlib.sha256(canonical_json(said).encode()).hexdigest()


def _told(cell: CellRecord) -> list[Any]:
    scores = {name: repr(value) for name, value in sorted(cell.scores.items())}
    return [cell.replicate, cell.run_id, cell.key, scores, cell.code_version, cell.data_fingerprint]


def _parsed(found: Any) -> dict[str, ImageIntervals] | None:
    """None for values that are no intervals."""
    try:
        return {
            score: ImageIntervals(_crossed(one["mean"]), _crossed(one["difference"]), one["why"])
            for score, one in found.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _crossed(told: dict[str, Any] | None) -> Crossed | None:
    return None if told is None else Crossed(**told)
