"""`PublishedTable`: numbers printed in a paper, by our coordinates and names of scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from raysweep.data.expressions import EXPRESSIONS

Row = tuple[Mapping[str, str], Mapping[str, str]]
"""Our coordinates, and score name to the number as printed."""


@dataclass(frozen=True)
class Peer:
    """A method that a paper compares itself with: its name, and its scores as printed by our names."""

    name: str
    scores: Mapping[str, str]


LATER = ", later work"
"""End of the name of methods that are not in the paper, after what they were measured on."""

EIGHT, SEVEN = EXPRESSIONS, EXPRESSIONS[:7]


@dataclass(frozen=True)
class Setting:
    """What numbers of a paper were measured on, by our names.

    Args:
        data: kind of the set that was scored: its reader (`raysweep.data.kind`).
        classes: its expressions; None where the paper does not print how many.
        encoder: where it is not the one of the paper's recipe.
        extras: kinds of the extra sets, in order, for arms that train on any.
        target: kind of the target, where another set was fine-tuned and scored on; else empty.
        va_only: whether RMSE and CCC are also of images without an expression.
    """

    data: str
    classes: tuple[str, ...] | None = SEVEN
    encoder: str = ""
    extras: tuple[str, ...] = ()
    target: str = ""
    va_only: bool = False

    @property
    def recipe_of(self) -> str:
        """The data set whose recipe the paper trained by."""
        return self.target or self.data


@dataclass(frozen=True)
class PublishedTable:
    """One published table: where it stands, what it was measured on, its numbers by our coordinates and names.

    `study`: the study of ours that reproduces it: what its levels change is what the paper's rows are. `settings`: by
    data set. `peers` are methods that we do not train, the paper's own best among them, by what they were measured on.
    `trained_on_all`: whether no training image was held out of the models that the numbers are of.
    """

    source: str
    study: str
    settings: Mapping[str, Setting]
    rows: Mapping[str, tuple[Row, ...]]  # by data set
    notes: tuple[str, ...] = ()
    peers: Mapping[str, tuple[Peer, ...]] = field(default_factory=dict)
    trained_on_all: bool = True

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
