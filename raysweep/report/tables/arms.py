"""A study's table of all arms: one row an arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from raysweep.artifacts.study_record import StudyRecord
from raysweep.core.formatting import arm_name
from raysweep.metrics.registry import needing
from raysweep.report.formatting import DASH, limit, number, p_value, title
from raysweep.report.published.comparable import printed, published_table
from raysweep.report.results.aggregate import ArmSummary, ScoreSummary, Summary
from raysweep.report.results.statistics import Comparison, simultaneous
from raysweep.report.text.caption import caption, label_of, notes
from raysweep.report.text.overrides import label_tag
from raysweep.report.text.searches import hours_words, search_of

from .table import BETTER, DEGENERATE, INCOMPLETE, WORSE, Column, Entry, ReportTable


def results_table(summary: Summary, published: bool = True) -> ReportTable:
    """One row an arm: coordinates, n, scores, headline difference, and the paper's numbers beside them."""
    study = summary.study
    theirs = _printed_columns(summary) if published else []
    columns = arm_columns(study, summary.columns)
    columns += [Column(title(score), f"paper, {dataset}") for dataset, score in theirs]
    rows = tuple((*arm_row(summary, arm, summary.columns), *_printed(summary, arm, theirs)) for arm in summary.arms)
    rules = {i for i in range(1, len(rows)) if rows[i][0].text != rows[i - 1][0].text} if len(study.axes) > 1 else set()
    above, below = caption(summary), notes(summary, published)
    return ReportTable(label_of(study), tuple(columns), rows, above, below, frozenset(rules), label_tag([study]))


def compact_table(summary: Summary) -> ReportTable:
    """The results without the paper's columns and the scores of made labels, with short notes: for a terminal."""
    study = summary.study
    shown = tuple(score for score in summary.columns if score not in needing("labels") or score == study.metric)
    table = results_table(replace(summary, columns=shown), published=False)
    titles = {"difference [95 %]": f"Δ {title(study.metric)} [95 %]"}
    columns = tuple(replace(column, title=titles.get(column.title, column.title), group="") for column in table.columns)
    notes_here = [note for note in table.notes if note[0]]
    if study.reference:
        text = f"Paired difference from {arm_name(study.reference)}, with {simultaneous(summary.family)}."
        notes_here.insert(0, ("Δ", text))
    return replace(table, columns=columns, caption=(), notes=tuple(notes_here))


def difference_words(comparison: Comparison) -> str:
    """For example "+0.041 [+0.012, +0.070]"."""
    text = number(comparison.difference, signed=True)
    if comparison.low is None or comparison.high is None:
        return text
    return f"{text} [{limit(comparison.low)}, {limit(comparison.high)}]"


def arm_columns(study: StudyRecord, scores: Sequence[str]) -> list[Column]:
    """What stands in a row of `arm_row`."""
    columns = [Column(axis.name, left=True) for axis in study.axes]
    columns.append(Column("n"))
    columns += [Column("trials", "search"), Column("device-hours", "search")] if study.search else []
    columns += [Column(title(score, arrow=True)) for score in scores]
    if study.reference:
        group = f"{title(study.metric)} against {arm_name(study.reference)}"
        columns += [Column("difference [95 %]", group), Column("adjusted p", group)]
    return columns


def arm_row(summary: Summary, arm: ArmSummary, scores: Sequence[str]) -> tuple[Entry, ...]:
    """An arm's coordinates, cells, scores (a dash for one that it lacks) and headline difference."""
    study = summary.study
    entries = [Entry(level) for level in arm.coordinates.values()]
    entries.append(_count(arm))
    entries += _search_cost(summary, arm) if study.search else []
    entries += [score_entry(arm, arm.scores[score]) if score in arm.scores else Entry(DASH) for score in scores]
    if study.reference:
        entries += _difference(arm, arm.scores[study.metric])
    return tuple(entries)


def _printed(summary: Summary, arm: ArmSummary, columns: list[tuple[str, str]]) -> list[Entry]:
    """The paper's numbers that stand beside an arm."""
    return [Entry(printed(summary, dataset, arm.coordinates, score) or DASH) for dataset, score in columns]


def _count(arm: ArmSummary) -> Entry:
    short = arm.complete < arm.planned
    return Entry(f"{arm.complete} of {arm.planned}" if short else str(arm.complete), marks=_marks(arm))


def _search_cost(summary: Summary, arm: ArmSummary) -> list[Entry]:
    """Trials and device-hours that the arm's point took to find; dashes for an arm that was not searched."""
    search = search_of(summary, arm.coordinates)
    if search is None:
        return [Entry(DASH), Entry(DASH)]
    hours = search.device_hours
    return [Entry(str(search.counts["trials"])), Entry(DASH if hours is None else hours_words(hours))]


def _marks(arm: ArmSummary) -> str:
    return (INCOMPLETE if arm.complete < arm.planned else "") + (DEGENERATE if arm.degenerate else "")


def score_entry(arm: ArmSummary, score: ScoreSummary, marks: bool = False) -> Entry:
    """A mean, with its own n where fewer cells have the score than the row counts."""
    shown = _marks(arm) if marks else ""
    if score.spread is None:
        return Entry(DASH, marks=shown)
    verdict = score.comparison.verdict if score.comparison else ""
    shown += {"better": BETTER, "worse": WORSE}.get(verdict, "")
    count = None if score.spread.n == arm.complete else score.spread.n
    mean, std = score.spread.mean, score.spread.std
    bold, values = verdict == "better", tuple(score.values.items())
    return Entry(value=mean, std=std, marks=shown, bold=bold, runs=score.runs, count=count, values=values)


def _difference(arm: ArmSummary, score: ScoreSummary) -> list[Entry]:
    if arm.is_reference:
        return [Entry("reference"), Entry(DASH)]
    if score.comparison is None:
        return [Entry(DASH), Entry(DASH)]
    corrected = score.comparison.p_adjusted
    p = Entry(DASH if corrected is None else p_value(corrected))
    return [Entry(difference_words(score.comparison), runs=score.runs), p]


def _printed_columns(summary: Summary) -> list[tuple[str, str]]:
    """(data set, score) of every printed number that stands beside one of ours."""
    table = published_table(summary.study)
    if table is None:
        return []
    return [
        (dataset, score)
        for dataset in table.datasets
        for score in summary.columns
        if any(printed(summary, dataset, arm.coordinates, score) for arm in summary.arms)
    ]
