"""`PublishedTable`: numbers printed in a paper, by our coordinates and names of scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Row = tuple[Mapping[str, str], Mapping[str, str]]
"""Our coordinates, and score name to the number as printed."""


@dataclass(frozen=True)
class PublishedTable:
    """One published table: where it stands, what it was measured on, its numbers by our coordinates and names."""

    source: str
    rows: Mapping[str, tuple[Row, ...]]  # by data set
    notes: tuple[str, ...] = ()

    @property
    def datasets(self) -> tuple[str, ...]:
        return tuple(self.rows)

    def printed(self, dataset: str, coordinates: Mapping[str, str], score: str) -> str | None:
        """The number as printed, or None. A study may have further axes that the paper does not know."""
        for where, scores in self.rows[dataset]:
            if all(coordinates.get(axis) == level for axis, level in where.items()):
                return scores.get(score)
        return None

    def value(self, dataset: str, coordinates: Mapping[str, str], score: str) -> float | None:
        """The number, or None."""
        text = self.printed(dataset, coordinates, score)
        return None if text is None else float(text)

    def knows(self, dataset: str, axis: str) -> bool:
        """Whether the numbers of a data set are told apart by this axis."""
        return any(axis in where for where, _ in self.rows[dataset])

    def scores(self, dataset: str) -> list[str]:
        """Names of the scores printed for a data set, in the table's order."""
        return list(dict.fromkeys(score for _, scores in self.rows[dataset] for score in scores))
