"""`ReportTable`: what a table says, before any format. Every number knows the MLflow runs it comes from."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from raysweep.report.formatting import DASH, PLUS_MINUS, number

INCOMPLETE = "†"
DEGENERATE = "‡"
BETTER = "⁺"
WORSE = "⁻"
"""Than the reference, beyond noise."""
TICK, NO_TICK = "✓", " "
"""In a column that stands for one level of an axis."""


@dataclass(frozen=True)
class Entry:
    """One cell of a table: words, or a mean with its standard deviation (None for a single value).

    `count`: the values behind the mean, where they are fewer than the row says; `values`: by replicate, as `runs`.
    `percent`: written in percent.
    """

    text: str = ""
    value: float | None = None
    std: float | None = None
    marks: str = ""
    bold: bool = False
    runs: tuple[str, ...] = ()
    count: int | None = None
    values: tuple[tuple[int, float], ...] = ()
    percent: bool = False

    @property
    def plain(self) -> str:
        """Without bold and marks, for example "0.612 ± 0.011"."""
        if self.value is None:
            return self.text or DASH
        text = self.digits(self.value) + (f" {PLUS_MINUS} {self.digits(self.std)}" if self.std is not None else "")
        return f"{text}{self.count_words}"

    def digits(self, value: float) -> str:
        """The mean or the standard deviation as written: three decimals, or percent with two."""
        return number(100 * value, decimals=2) if self.percent else number(value)

    @property
    def count_words(self) -> str:
        return "" if self.count is None else f" (n = {self.count})"


@dataclass(frozen=True)
class Column:
    """A column's title, the group it stands under, and what stands above that."""

    title: str
    group: str = ""
    left: bool = False
    above: str = ""

    @property
    def full_title(self) -> str:
        """For formats with one header row."""
        return ": ".join(filter(None, (self.above, self.group, self.title)))


@dataclass(frozen=True)
class ReportTable:
    """Columns, rows, sentences above (caption) and below (notes, each with its mark or none).

    `label`: name of its files; `tag`: what follows it in LaTeX's label, where launches with other settings differ;
    `rules`: rows before which a thin line is drawn.
    """

    label: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Entry, ...], ...]
    caption: tuple[str, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    rules: frozenset[int] = frozenset()
    tag: str = ""

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.columns) for row in self.rows)

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Titles of groups ("" where there is none), each with how many columns stand under it; [] without a group."""
        groups = itertools.groupby((column.above, column.group) for column in self.columns)
        return [(name, len(list(same))) for (_, name), same in groups] if any(c.group for c in self.columns) else []

    @property
    def headers(self) -> list[list[tuple[str, int]]]:
        """Rows of titles above those of the columns, as `groups`."""
        above = itertools.groupby(column.above for column in self.columns)
        top = [(name, len(list(same))) for name, same in above]
        return [*([top] if any(name for name, _ in top) else []), *([self.groups] if self.groups else [])]

    @property
    def runs(self) -> tuple[str, ...]:
        """Every run that a number of this table comes from."""
        return tuple(dict.fromkeys(run for row in self.rows for entry in row for run in entry.runs))
