"""The tables that a study declares, in their layout: ours beside a paper's printed numbers, or below its methods."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from raysweep.artifacts.declared_table import DATA, ENCODER, Table
from raysweep.artifacts.study_record import StudyRecord
from raysweep.metrics.registry import METRICS
from raysweep.report.formatting import DASH, file_stem, listed, title
from raysweep.report.published.comparable import published_table
from raysweep.report.published.table import LATER, PublishedTable
from raysweep.report.results.aggregate import Summary
from raysweep.report.text.caption import label_of, replicate_range
from raysweep.report.text.overrides import label_tag
from raysweep.study.discovery import own_study

from .arms import score_entry
from .places import Key, Places, is_about, places
from .table import BETTER, DEGENERATE, INCOMPLETE, NO_TICK, TICK, WORSE, Column, Entry, ReportTable

NOT_RUN = "n/r"
"""Where a launch has no arm."""
PAPER, OURS = "paper", "ours"

ENCODER_NAMES = {
    "arm": "ARM", "resnet18": "ResNet-18", "resnet50": "ResNet-50", "res2net50": "Res2Net-50",
}  # fmt: skip
_MARKS = {
    DASH: "the paper prints none, or the method is not trained here",
    NOT_RUN: "not part of this launch",
    INCOMPLETE: "cells failed or are missing",
    DEGENERATE: "a cell predicts one class for every image",
    BETTER: "better than the reference beyond noise",
    WORSE: "worse than the reference beyond noise",
}
"""What marks in declared tables mean."""


@dataclass(frozen=True)
class _Leaf:
    """One place across: levels of the axes of columns, and a metric."""

    where: Mapping[str, str]
    metric: str


def declared_tables(summaries: Sequence[Summary], stem: str | None = None) -> list[ReportTable]:
    """Every table that the study of these launches declares and that is about their data, in order. `stem`: start of
    their labels; default the study's."""
    study = summaries[0].study
    table = published_table(study)
    layouts = [one for one in layouts_of(study) if any(is_about(one, summary, table) for summary in summaries)]
    tables = []
    for layout in layouts:
        about = [summary for summary in summaries if is_about(layout, summary, table)]
        made = _methods_table(layout, about) if layout.methods else _axes_table(layout, about)
        tables.append(replace(made, label=f"{stem or made.label}_{_name(layout, layouts.index(layout))}"))
    return tables


def layouts_of(study: StudyRecord) -> list[Table]:
    """The tables that a study declares; in plans that do not say, those of the study that reproduces its published
    numbers; of two axes without any, one down and the compared one across."""
    if study.tables:
        return list(study.tables)
    table, axes = published_table(study), [axis.name for axis in study.axes]
    own = own_study(table.study).tables if table else ()
    found = [one for one in own if set(one.axes) <= set(axes) and set(one.metrics) <= set(study.columns)]
    if found or len(axes) != 2:
        return found
    across = study.compared_axis.name
    down = next(axis for axis in axes if axis != across)
    return [Table(rows=[down], columns=[across], blocks=[DATA])]


def _name(layout: Table, number: int) -> str:
    """Of a layout in labels: "table3" for "DDAF, Table 3"."""
    return file_stem(layout.source.split(",")[-1].lower().replace(" ", "")) if layout.source else f"table{number + 1}"


def _axes_table(layout: Table, summaries: Sequence[Summary]) -> ReportTable:
    """A row for the levels of the layout's axes, in blocks; across, the paper's number and ours."""
    found, study = places(layout, summaries), summaries[0].study
    shown = [name for name in found.blocks if (layout.blocks and name in layout.blocks) or _differ(found, name)]
    leaves = _leaves(layout, found, study.metric)
    columns = [Column(layout.word(name, _ENDS.get(name)), left=True) for name in shown]
    columns += [*_row_columns(layout, found), *_leaf_columns(layout, found, leaves, bool(found.printed))]
    rows: list[tuple[Entry, ...]] = []
    rules = set()
    for block in found.block_keys:
        rules.add(len(rows))
        head = [
            Entry(_block_word(layout, name, value))
            for name, value in zip(found.blocks, block, strict=True)
            if name in shown
        ]
        for key in found.row_keys(block):
            rows.append((*head, *_row_entries(layout, found, key), *_numbers(found, block, key, leaves)))
    several = frozenset(rules - {0}) if shown else frozenset[int]()
    return _with_words(
        ReportTable(label_of(study), tuple(columns), tuple(rows), rules=several), layout, summaries, found
    )


_ENDS = {DATA: "data", ENCODER: "encoder"}


def _differ(found: Places, name: str) -> bool:
    """Whether blocks have several values of a dimension that the layout does not mention."""
    place = found.blocks.index(name)
    return len({key[place] for key in found.block_keys}) > 1


def _block_word(layout: Table, name: str, value: str | None) -> str:
    if value is None:
        return DASH
    return layout.word(value, ENCODER_NAMES.get(value, value) if name == ENCODER else value)


def _leaves(layout: Table, found: Places, metric: str) -> list[_Leaf]:
    across = itertools.product(*(found.levels(axis) for axis in layout.columns))
    return [
        _Leaf(dict(zip(layout.columns, levels, strict=True)), name)
        for levels in across
        for name in layout.metrics or (metric,)
    ]


def _row_columns(layout: Table, found: Places) -> Iterator[Column]:
    """The axes of rows that have no ticks, then a column a tick."""
    for axis in layout.rows:
        if axis not in layout.ticked_axes:
            yield Column(layout.word(axis), left=True)
    for tick in layout.ticks:
        if not isinstance(tick, str):
            yield Column(tick[1], tick[0])
            continue
        for level in found.levels(tick):
            yield Column(layout.word(level), layout.word(tick))


def _row_entries(layout: Table, found: Places, key: Key) -> Iterator[Entry]:
    at = dict(zip(layout.rows, key, strict=True))
    for axis, level in at.items():
        if axis not in layout.ticked_axes:
            yield Entry(DASH if level is None else layout.word(level))
    for tick in layout.ticks:
        for level in found.levels(tick) if isinstance(tick, str) else [None]:
            ticked = level is None or (isinstance(tick, str) and at[tick] == level)
            yield Entry(TICK if ticked else NO_TICK)


def _leaf_columns(layout: Table, found: Places, leaves: Sequence[_Leaf], both: bool) -> Iterator[Column]:
    """Titles of metrics and levels; the paper's and ours below them where both are shown."""
    names = list(dict.fromkeys(leaf.metric for leaf in leaves))
    for leaf in leaves:
        own = next((name for name, metrics in layout.groups.items() if leaf.metric in metrics), "")
        words = [own, *(layout.word(level) for level in leaf.where.values())]
        if len(names) > 1 or not leaf.where:
            words.append(_metric_word(layout, leaf.metric))
        *above, last = filter(None, words)
        if both:
            yield from (Column(origin, last, above=" ".join(above)) for origin in (PAPER, OURS))
        else:
            yield Column(last, " ".join(above))


def _metric_word(layout: Table, metric: str) -> str:
    return layout.word(metric, title(metric, arrow=True) + (" (%)" if layout.percent else ""))


def _numbers(found: Places, block: Key, key: Key, leaves: Sequence[_Leaf]) -> Iterator[Entry]:
    layout = found.layout
    for leaf in leaves:
        where = {**dict(zip(layout.rows, key, strict=True)), **leaf.where}
        if found.printed:
            text = found.printed_at(block, where, leaf.metric)
            yield Entry(DASH if text is None else _as_printed(layout, text))
        own = found.our_arm(block, where)
        yield Entry(NOT_RUN) if own is None else _our_entry(layout, own.summary, own.arm.coordinates, leaf.metric)


def _our_entry(layout: Table, summary: Summary, coordinates: Mapping[str, str], metric: str) -> Entry:
    arm = summary.arm(coordinates)
    assert arm is not None
    if metric not in arm.scores:
        return Entry(DASH)
    return replace(score_entry(arm, arm.scores[metric], marks=True), percent=layout.percent)


def _as_printed(layout: Table, text: str) -> str:
    """The paper's digits, in its unit.

    >>> _as_printed(Table(rows=["method"], percent=True), "0.8625")
    '86.25'
    """
    return str(Decimal(text).scaleb(2)) if layout.percent else text


def _methods_table(layout: Table, summaries: Sequence[Summary]) -> ReportTable:
    """A row a published method, then a row an arm of ours."""
    study = summaries[0].study
    table = published_table(study)
    metrics = list(layout.metrics or (study.metric,))
    leaves = [_Leaf({}, metric) for metric in metrics]
    names = [layout.word(name) for name in layout.rows]
    columns = [Column(names[0] if len(names) == 1 else "method", left=True)]
    columns += [*_leaf_columns(layout, places(layout, summaries), leaves, both=False)]
    rows: list[tuple[Entry, ...]] = []
    rules = set()
    for peers in _peers(layout, table):
        rules.add(len(rows))
        for name, scores in peers:
            rows.append(
                (Entry(name), *(Entry(_as_printed(layout, scores[m]) if m in scores else DASH) for m in metrics))
            )
    for summary in summaries:
        rules.add(len(rows))
        for arm in summary.arms:
            name = f"ours, {summary.study.data.name}: {', '.join(arm.coordinates.values())}"
            rows.append((Entry(name), *(_our_entry(layout, summary, arm.coordinates, m) for m in metrics)))
    made = ReportTable(label_of(study), tuple(columns), tuple(rows), rules=frozenset(rules - {0}))
    return _with_words(made, layout, summaries, None)


def _peers(
    layout: Table, table: PublishedTable | None, of: Callable[[str], bool] = lambda name: True
) -> list[list[tuple[str, Mapping[str, str]]]]:
    """Methods that have any of the metrics, by what they were measured on."""
    if table is None:
        return []
    metrics = layout.metrics or tuple(METRICS)
    kinds = {f"{dataset}{end}": setting.data for dataset, setting in table.settings.items() for end in ("", LATER)}
    lists = [
        [(one.name, one.scores) for one in peers if any(m in one.scores for m in metrics)]
        for name, peers in table.peers.items()
        if of(name) and layout.data in ("", kinds[name])
    ]
    return [peers for peers in lists if peers]


def _with_words(made: ReportTable, layout: Table, summaries: Sequence[Summary], found: Places | None) -> ReportTable:
    """The table with its caption of one sentence or two, and the notes that explain its marks."""
    study = summaries[0].study
    source = layout.source or study.source
    names = listed([summary.study.data.name for summary in summaries])
    head = f"{layout.title or study.title}{f' ({source})' if source else ''}"
    counts = listed(list(dict.fromkeys(replicate_range(summary) for summary in summaries)), "or")
    ours = f"Ours: mean ± standard deviation over {counts} on {names}"
    above = (f"{head}. {ours}{_printed_words(layout, found)}.",)
    used = {
        mark
        for row in made.rows
        for entry in row
        for mark in _MARKS
        if mark in (entry.marks, entry.plain) or mark in entry.marks
    }
    notes = [(mark, f"{words}.") for mark, words in _MARKS.items() if mark in used]
    if found is not None and found.left_out:
        notes.append(("", f"Not in this table, but in that of all arms: {listed(found.left_out)}."))
    if layout.methods and (later := _later(layout, published_table(study))):
        notes.append(("", f"Not in the paper, but later work as its authors print it: {listed(later)}."))
    return replace(made, caption=above, notes=tuple(notes), tag=label_tag([summary.study for summary in summaries]))


def _printed_words(layout: Table, found: Places | None) -> str:
    """For example "; the paper as printed, on RAF-DB with ARM"."""
    if layout.methods:
        return "; published methods as printed"
    if found is None or not found.printed:
        return ""
    sets, encoders = (listed(list(dict.fromkeys(own.data[i] for own in found.printed))) for i in (0, 1))
    on = "" if DATA in found.blocks else f", on {sets}"
    return f"; the paper as printed{on}" + (
        "" if ENCODER in found.blocks else f" with {ENCODER_NAMES.get(encoders, encoders)}"
    )


def _later(layout: Table, table: PublishedTable | None) -> list[str]:
    """Methods that are not in the paper."""
    found = _peers(layout, table, of=lambda name: name.endswith(LATER))
    return list(dict.fromkeys(name for peers in found for name, _ in peers))


def paper_tables(summaries: Sequence[Summary], stem: str | None = None) -> list[ReportTable]:
    """The declared tables; of a study without any, its axes and scores alone."""
    found = declared_tables(summaries, stem)
    if found:
        return found
    study = summaries[0].study
    scores = [score for score in study.columns if all(score in summary.columns for summary in summaries)]
    made = _axes_table(Table(rows=[axis.name for axis in study.axes], metrics=scores or [study.metric]), summaries)
    return [replace(made, label=stem or made.label)]
