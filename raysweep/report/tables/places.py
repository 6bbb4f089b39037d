"""Where numbers of ours and of a paper stand in a declared table: its blocks, and its rows by the levels of axes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from raysweep.artifacts.declared_table import DATA, ENCODER, Table
from raysweep.core.formatting import arm_name
from raysweep.report.published.comparable import (
    DATA_NAMES,
    encoder_of,
    preset_encoder,
    published_table,
    same_data,
)
from raysweep.report.published.table import PublishedTable
from raysweep.report.results.aggregate import ArmSummary, Summary
from raysweep.study.discovery import own_study

Key = tuple[str | None, ...]
"""Values of dimensions in order; None: the paper does not tell them apart."""


@dataclass(frozen=True)
class Ours:
    """An arm of a launch, in the block `block`."""

    summary: Summary
    arm: ArmSummary
    block: Key


@dataclass(frozen=True)
class Printed:
    """One row of a paper's numbers, in the block `block`; `data`: the kind of set, and the encoder."""

    data: tuple[str, str]
    where: Mapping[str, str]
    scores: Mapping[str, str]
    block: Key


@dataclass(frozen=True)
class Places:
    """What a declared table can show. `blocks`: the dimensions whose values are a block's key."""

    layout: Table
    blocks: tuple[str, ...]
    ours: tuple[Ours, ...]
    printed: tuple[Printed, ...]

    @property
    def block_keys(self) -> list[Key]:
        """Blocks of ours that the paper does not have, then the paper's in its order, ours in them."""
        ours, theirs = [own.block for own in self.ours], [own.block for own in self.printed]
        placed = [b for b in ours if not any(covers(p, b) for p in theirs)]
        for key in theirs:
            placed += [b for b in ours if covers(key, b)] or [key]
        return list(dict.fromkeys(placed))

    def row_keys(self, block: Key) -> list[Key]:
        """Levels of the axes of rows that ours or the paper has in a block, in the order of levels."""
        axes = self.layout.rows
        found = [tuple(own.arm.coordinates[a] for a in axes) for own in self.ours if own.block == block]
        for own in self.printed:
            if covers(own.block, block) and all(axis in own.where for axis in axes):
                found.append(tuple(own.where[axis] for axis in axes))
        if not found:  # the paper does not vary an axis of the rows
            return [tuple(None for _ in axes)]
        orders = [self.levels(axis) for axis in axes]
        kept = [key for key in dict.fromkeys(found) if all(v in o for v, o in zip(key, orders, strict=True))]
        ranks = [{level: rank for rank, level in enumerate(order)} for order in orders]
        return sorted(kept, key=lambda key: [rank[str(v)] for v, rank in zip(key, ranks, strict=True)])

    def levels(self, axis: str) -> list[str]:
        """Levels of an axis that the table has: those that it names; else those of the paper, if all of ours are among
        them; else ours, then further ones of the paper."""
        ours = dict.fromkeys(own.arm.coordinates[axis] for own in self.ours)
        papers = dict.fromkeys(own.where[axis] for own in self.printed if axis in own.where)
        chosen, known = self.layout.levels.get(axis), papers if ours.keys() <= papers.keys() else {**ours, **papers}
        return list(known) if chosen is None else [level for level in chosen if level in known]

    def our_arm(self, block: Key, where: Mapping[str, str | None]) -> Ours | None:
        """The arm at these levels."""
        return next(
            (own for own in self.ours if own.block == block and _is_at(own.arm.coordinates, where)),
            None,
        )

    def printed_at(self, block: Key, where: Mapping[str, str | None], metric: str) -> str | None:
        """The number as printed, where the paper has one."""
        for own in self.printed:
            at = all(own.where.get(axis, level) == level for axis, level in where.items())
            if at and metric in own.scores and covers(own.block, block):
                return own.scores[metric]
        return None

    @property
    def left_out(self) -> list[str]:
        """Levels of ours that the table's own choice of levels does not show, as arms are named."""
        found = (
            {axis: own.arm.coordinates[axis]}
            for axis, chosen in self.layout.levels.items()
            for own in self.ours
            if own.arm.coordinates[axis] not in chosen
        )
        return list(dict.fromkeys(map(arm_name, found)))


def places(layout: Table, summaries: Sequence[Summary]) -> Places:
    """Sort the arms of launches of one study, and the paper's numbers, into the blocks of a layout."""
    table = published_table(summaries[0].study)
    blocks = _dimensions(layout, summaries)
    ours = tuple(
        Ours(summary, arm, tuple(_our_value(summary, arm, name) for name in blocks))
        for summary in summaries
        if is_about(layout, summary, table)
        for arm in summary.arms
    )
    return Places(
        layout, blocks, ours, () if layout.methods or table is None else tuple(_printed(layout, table, blocks))
    )


def is_about(layout: Table, summary: Summary, table: PublishedTable | None) -> bool:
    """Whether a launch stands in a table: not in one that is about another of the paper's data sets."""
    known = {setting.data for setting in table.settings.values()} if table else set()
    return not layout.data or summary.study.data.kind == layout.data or summary.study.data.kind not in known


def covers(printed: Key, ours: Key) -> bool:
    """Whether printed numbers belong in a block: those of a paper that does not tell a dimension apart repeat in it."""
    return all(value is None or value == own for value, own in zip(printed, ours, strict=True))


def _dimensions(layout: Table, summaries: Sequence[Summary]) -> tuple[str, ...]:
    """The layout's blocks, and the axes and data sets that it does not mention, but for one that only names
    encoders beside them."""
    several = [DATA] if len(summaries) > 1 and DATA not in layout.blocks else []
    placed = (*layout.blocks, *layout.rows, *layout.columns)
    more = [axis.name for axis in summaries[0].study.axes if axis.name not in placed]
    if ENCODER in layout.blocks:
        more = [name for name in more if not _names_encoders(name, summaries)]
    return (*several, *layout.blocks, *more)


def _names_encoders(axis: str, summaries: Sequence[Summary]) -> bool:
    """Whether every level of an axis has an encoder of its own."""
    pairs = {(arm.coordinates[axis], encoder_of(own, arm.coordinates)) for own in summaries for arm in own.arms}
    return len(pairs) == len({level for level, _ in pairs}) == len({encoder for _, encoder in pairs}) > 1


def _our_value(summary: Summary, arm: ArmSummary, dimension: str) -> str:
    if dimension == DATA:
        table = published_table(summary.study)
        same = [d for d in table.rows if same_data(summary, d)] if table else []
        return DATA_NAMES[table.settings[same[0]].data] if table and same else summary.study.data.name
    if dimension == ENCODER:
        return encoder_of(summary, arm.coordinates)
    return arm.coordinates[dimension]


def _printed(layout: Table, table: PublishedTable, blocks: Sequence[str]) -> Iterator[Printed]:
    for dataset, (where, scores) in itertools.chain.from_iterable(
        ((name, row) for row in rows) for name, rows in table.rows.items()
    ):
        setting = table.settings[dataset]
        if layout.data not in ("", setting.data):
            continue
        values = {
            DATA: DATA_NAMES[setting.data],
            ENCODER: setting.encoder or preset_encoder(own_study(table.study).paper),
        }
        if all(level in layout.levels.get(axis, (level,)) for axis, level in where.items()):
            yield Printed(
                (values[DATA], values[ENCODER]),
                where,
                scores,
                tuple(values.get(name, where.get(name)) for name in blocks),
            )


def _is_at(coordinates: Mapping[str, str], where: Mapping[str, str | None]) -> bool:
    return all(coordinates[axis] == level for axis, level in where.items())
