"""`PublishedTable`: numbers printed in a paper, by our coordinates and names of scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Row = tuple[Mapping[str, str], Mapping[str, str]]
"""Our coordinates, and score name to the number as printed."""


@dataclass(frozen=True)
class Peer:
    """A method that a paper compares itself with: its name, and its scores as printed by our names."""

    name: str
    scores: Mapping[str, str]


@dataclass(frozen=True)
class PublishedTable:
    """One published table: where it stands, what it was measured on, its numbers by our coordinates and names.

    `peers` are methods that we do not train, the paper's own best among them, by what they were measured on.
    """

    source: str
    rows: Mapping[str, tuple[Row, ...]]  # by data set
    notes: tuple[str, ...] = ()
    peers: Mapping[str, tuple[Peer, ...]] = field(default_factory=dict)

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
