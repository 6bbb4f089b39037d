"""The scale of a list's valence and arousal: by the option `va_range`, or -1 to 1, which is checked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from raysweep.core.errors import UserError

from .rows import Row
from .values import MISSING_AFFECT, AffectScale, Rejected, quoted

RANGE = "va_range"
MAX_OFF, MOST_SLIPS = 0.05, 2
"""A file with a larger share and a larger number of values outside [-1, 1] is on another scale."""

SCALES = (
    *((-1, 1), (0, 1), (1, 5), (1, 7), (1, 9), (-2, 2), (-3, 3), (-4, 4), (-5, 5)),
    *((0, 10), (-10, 10), (0, 100), (-100, 100), (0, 255), (-1000, 1000)),
)
"""Usual scales, the most likely first."""


def scale_of(option: str, delimiter: str) -> AffectScale:
    """The scale that the option gives ("" is -1 to 1). Where columns are not separated by commas, 0,5 is a number.

    Raises:
        UserError: not LOW:HIGH, two finite numbers in order.
    """
    comma = delimiter != ","
    if not option:
        return AffectScale(decimal_comma=comma)
    low, _, high = option.partition(":")
    try:
        ends = float(low), float(high)
    except ValueError:
        ends = (math.nan, math.nan)
    if not (math.isfinite(ends[0]) and math.isfinite(ends[1]) and ends[0] < ends[1]):
        raise UserError(f"`{RANGE}` must be LOW:HIGH, two numbers in order such as 1:9, but got {quoted(option)}")
    return AffectScale(*ends, decimal_comma=comma)


@dataclass
class VaRange:
    """Statistics of a file's numbers, updated row by row.

    `low` and `high` are of the values; `marked` is the lowest number that may be a value or mark a missing one.
    """

    comma: int = 0
    numbers: int = 0
    off: int = 0
    low: float = math.inf
    high: float = -math.inf
    marked: float = math.inf

    def add(self, row: Row) -> None:
        for column in ("valence", "arousal"):
            text = row.get(column, "")
            point = text.replace(",", ".") if text.count(",") == 1 else text
            self.comma += point != text
            try:
                value = AffectScale(-math.inf, math.inf).number(point)
            except Rejected:
                continue
            if math.isfinite(value):
                self._take(value)

    def _take(self, value: float) -> None:
        if value in MISSING_AFFECT:
            self.marked = min(self.marked, value)
            return
        self.numbers += 1
        self.off += abs(value) > 1
        self.low, self.high = min(self.low, value), max(self.high, value)

    def check(self, file: Path, given: AffectScale) -> Iterator[str]:
        """A remark where all numbers are in [0, 1], which may be their scale.

        Raises:
            UserError: they are on another scale than -1 to 1, and none is given; or decimal commas in a file whose
                columns are separated by commas.
        """
        if self.comma and not given.decimal_comma:
            raise UserError(f"{file}: valence and arousal have decimal commas: write 0.5, or separate columns by ;")
        if not given.is_usual or not self.numbers:
            return
        if self.off > max(MAX_OFF * self.numbers, MOST_SLIPS):
            low = min(self.low, self.marked) if self.low < 0 else self.low
            likely = next((f"{a:g}:{b:g}" for a, b in SCALES if a <= low and self.high <= b), f"{low:g}:{self.high:g}")
            raise UserError(
                f"{file}: valence and arousal must be in [-1, 1], but reach from {low:g} to {self.high:g}: say which "
                f"scale they are on with --option {RANGE}=LOW:HIGH, perhaps {likely}, which is mapped to [-1, 1]"
            )
        if self.low >= 0 and self.high <= 1 and self.numbers > 2:
            yield (
                f"valence and arousal of {file.name} are all within [0, 1]: if that is their scale, "
                f"give --option {RANGE}=0:1"
            )
