"""Where values of a searched field lie on an axis, and how they are written."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from raysweep.artifacts.study_record import PlannedSearch, RangeRecord, Value
from raysweep.report.formatting import MINUS
from raysweep.report.results.searches import SearchRecord


@dataclass(frozen=True)
class Scale:
    """The axis of one searched field: from `low` to `high` (`log`: in decades), or its choices.

    Wide enough for every value that was tried: known good points may lie outside the range that is searched.
    """

    path: str
    label: str
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    whole: bool = False
    categories: tuple[str, ...] = ()

    def place(self, value: Value) -> float | None:
        """From 0 (low) to 1 (high); None for a value that has no place here."""
        if self.categories:
            text = value_words(value)
            if text not in self.categories:
                return None
            return 0.5 if len(self.categories) == 1 else self.categories.index(text) / (len(self.categories) - 1)
        x = number_of(value)
        if x is None or (self.log and x <= 0):
            return None
        if self.high == self.low:
            return 0.5
        if self.log:
            return math.log(x / self.low) / math.log(self.high / self.low)
        return (x - self.low) / (self.high - self.low)

    def x(self, value: Value) -> float:
        """A value that has a place, as a number: itself, or which choice it is."""
        if self.categories:
            return float(self.categories.index(value_words(value)))
        number = number_of(value)
        assert number is not None
        return number

    def marks(self, most: int = 5) -> list[tuple[Value, str]]:
        """A few values with their texts, for an axis."""
        if self.categories:
            return [(mark, mark) for mark in self.categories]
        values = [self.low] if self.low == self.high else _round_values(self, most)
        return [(value, value_words(value)) for value in values]

    def ticks(self, most: int = 5) -> list[tuple[float, str]]:
        """Places and texts of a few marks."""
        return [(self.place(value) or 0.0, mark) for value, mark in self.marks(most)]


def scale_of(range_: RangeRecord, label: str, tried: Iterable[Value]) -> Scale:
    """The axis of a field, given the values that trials had."""
    if range_.kind == "choice":
        names = dict.fromkeys(value_words(value) for value in (*range_.choices, *tried))
        return Scale(range_.path, label, categories=tuple(names))
    assert range_.low is not None
    assert range_.high is not None
    log = range_.kind == "log"
    numbers = [x for value in tried if (x := number_of(value)) is not None and (x > 0 or not log)]
    low, high = min([range_.low, *numbers]), max([range_.high, *numbers])
    return Scale(range_.path, label, low, high, log, range_.kind == "int")


def scales(plan: PlannedSearch, searches: Sequence[SearchRecord]) -> list[Scale]:
    """The axis of every searched field, the same for all arms."""
    labels = labels_of([range_.path for range_ in plan.space])
    tried = [trial.point for search in searches for trial in search.trials]
    return [scale_of(r, labels[r.path], [point[r.path] for point in tried if r.path in point]) for r in plan.space]


def objective_scales(plan: PlannedSearch, searches: Sequence[SearchRecord]) -> list[Scale]:
    """The axis of every objective, over all scored trials of all arms; from 0 to 1 without any."""
    values = [trial.values for search in searches for trial in search.scored]
    columns = list(zip(*values, strict=True)) if values else [(0.0, 1.0)] * len(plan.objectives)
    return [Scale("", name, min(c), max(c)) for name, c in zip(plan.objectives, columns, strict=True)]


def labels_of(paths: Sequence[str]) -> dict[str, str]:
    """Short names: the last word of a path, or all of it where two would be the same.

    >>> labels_of(["labels.alpha", "train.rate", "joint.rate"])
    {'labels.alpha': 'alpha', 'train.rate': 'train.rate', 'joint.rate': 'joint.rate'}
    """
    last = Counter(path.rsplit(".", 1)[-1] for path in paths)
    return {path: word if last[word := path.rsplit(".", 1)[-1]] == 1 else path for path in paths}


def value_words(value: Value) -> str:
    """How a value is written: four significant digits.

    >>> value_words(0.00123456), value_words(20), value_words(None), value_words(True), value_words("swa")
    ('0.001235', '20', 'none', 'true', 'swa')
    """
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        text = str(value) if isinstance(value, int) else f"{value:.4g}"
        return MINUS + text[1:] if text.startswith("-") else text
    return str(value)


def number_of(value: Value) -> float | None:
    """A finite number as it is, anything else as None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def _round_values(scale: Scale, most: int) -> list[float]:
    """Round numbers between the ends: steps of 1, 2 or 5 times a power of ten; decades on a log scale."""
    if scale.log:
        first, last = math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high))
        for subs in ((1,), (1, 3), (1, 2, 5)):
            values = [float(f"{sub}e{p}") for p in range(first, last + 1) for sub in subs]
            inside = [value for value in values if scale.low * (1 - 1e-9) <= value <= scale.high * (1 + 1e-9)]
            if len(inside) >= 3:
                break
        return inside[:: max(1, -(-len(inside) // most))] or [scale.low, scale.high]
    span = scale.high - scale.low
    power = math.floor(math.log10(span / most))
    steps = (sub * 10.0**p for p in (power, power + 1) for sub in (1, 2, 5))
    step = next(step for step in steps if span / step <= most and (not scale.whole or step >= 1))
    from_, to = math.ceil(scale.low / step - 1e-9), math.floor(scale.high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(from_, to + 1)]
