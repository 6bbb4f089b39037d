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


@dataclass(frozen=True)
class Entry:
    """One cell of a table: words, or a mean with its standard deviation (None for a single value).

    `count`: the values behind the mean, where they are fewer than the row says; `values`: by replicate, as `runs`.
    """

    text: str = ""
    value: float | None = None
    std: float | None = None
    marks: str = ""
    bold: bool = False
    runs: tuple[str, ...] = ()
    count: int | None = None
    values: tuple[tuple[int, float], ...] = ()

    @property
    def plain(self) -> str:
        """Without bold and marks, for example "0.612 ± 0.011"."""
        if self.value is None:
            return self.text or DASH
        text = number(self.value) + (f" {PLUS_MINUS} {number(self.std)}" if self.std is not None else "")
        return f"{text}{self.count_words}"

    @property
    def count_words(self) -> str:
        return "" if self.count is None else f" (n = {self.count})"


@dataclass(frozen=True)
class Column:
    """A column's title, and the group it stands under."""

    title: str
    group: str = ""
    left: bool = False

    @property
    def full_title(self) -> str:
        """For formats with one header row."""
        return f"{self.group}: {self.title}" if self.group else self.title


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
        groups = itertools.groupby(column.group for column in self.columns)
        return [(name, len(list(same))) for name, same in groups] if any(c.group for c in self.columns) else []

    @property
    def runs(self) -> tuple[str, ...]:
        """Every run that a number of this table comes from."""
        return tuple(dict.fromkeys(run for row in self.rows for entry in row for run in entry.runs))
