"""`Table`: a table of results in the layout of a paper, as a study declares it and `plan.json` records it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from raysweep.core.errors import UserError

DATA, ENCODER = "data", "encoder"
"""Blocks that are no axes: the scored data set, and the encoder."""

_LISTS = ("rows", "columns", "metrics", "blocks", "ticks")


@dataclass(frozen=True)
class Table:
    """The layout of a table. Axes that it does not mention become blocks, so that no arm is averaged over or left out.

    Args:
        rows: axes that go down, the outermost first.
        columns: axes that go across; under each of their levels stand the metrics.
        metrics: scores, among the study's columns; default its headline score.
        blocks: what rows are grouped by: axes, "data" (the scored set) or "encoder".
        title: default that of the study.
        source: the table of a paper that it lays out, for example "DDAF, Table 3".
        data: kind of the scored set that the paper's table is about ("rafdb"); default: all of the published numbers.
        methods: whether published methods that are not trained here stand as rows above ours.
        ticks: axes of `rows` that are shown as one column a level with a tick, in this order; a pair (group, title) is
            a column that is ticked in every row.
        percent: whether scores are written in percent, with two decimals.
        levels: axis to those of its levels that the table has; default all.
        words: how axes, levels, metrics, data sets and encoders are written.
        groups: title to the metrics that stand under it.
    """

    rows: Sequence[str]
    columns: Sequence[str] = ()
    metrics: Sequence[str] = ()
    blocks: Sequence[str] = ()
    title: str = ""
    source: str = ""
    data: str = ""
    methods: bool = False
    ticks: Sequence[str | tuple[str, str]] = ()
    percent: bool = False
    levels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _LISTS:
            object.__setattr__(self, name, _names(name, getattr(self, name)))
        for name in ("levels", "groups"):
            given = _mapping(name, getattr(self, name))
            object.__setattr__(self, name, {key: _names(name, values) for key, values in given.items()})
        object.__setattr__(self, "words", dict(_mapping("words", self.words)))
        if not self.rows:
            raise UserError("a study's table needs at least one axis in rows=[...]")

    @property
    def axes(self) -> tuple[str, ...]:
        """Every axis that the layout mentions, once."""
        named = (*self.blocks, *self.rows, *self.columns, *self.ticked_axes, *self.levels)
        return tuple(dict.fromkeys(name for name in named if name not in (DATA, ENCODER)))

    @property
    def ticked_axes(self) -> tuple[str, ...]:
        return tuple(tick for tick in self.ticks if isinstance(tick, str))

    def word(self, name: str, default: str | None = None) -> str:
        """How a name is written."""
        return self.words.get(name, name if default is None else default)

    def describe(self) -> dict[str, Any]:
        """Plain values for the file: what is not at its default."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if value}


def _names(what: str, given: Any) -> tuple[Any, ...]:
    """A list of names; one name alone is a list of one."""
    listed = (given,) if isinstance(given, str) else given
    if not isinstance(listed, (list, tuple)) or not all(map(_is_name, listed)):
        raise UserError(f"a study's table: {what} must be a list of names, but got {given!r}")
    return tuple(tuple(name) if isinstance(name, list) else name for name in listed)


def _is_name(value: Any) -> bool:
    pair = isinstance(value, (list, tuple)) and len(value) == 2 and all(isinstance(part, str) for part in value)
    return isinstance(value, str) or pair


def _mapping(what: str, given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
        raise UserError(f"a study's table: {what} must be a mapping from names, but got {given!r}")
    return given
