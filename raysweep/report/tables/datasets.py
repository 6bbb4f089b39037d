"""One study on several data sets as one table, a block of rows a data set: the shape of DDAF's Tables 3 and 4."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from raysweep.core.errors import UserError
from raysweep.report.formatting import DASH, listed, title
from raysweep.report.published.comparable import printed_on_same_data, published_table
from raysweep.report.results.aggregate import Summary
from raysweep.report.text.caption import caption, label_of, notes
from raysweep.report.text.overrides import label_tag

from .arms import arm_columns, arm_row
from .table import Column, Entry, ReportTable

TOGETHER = "together"
"""Files are `<study>_together.*`."""

Summaries = Sequence[Summary]
"""Of launches of one study, one a data set."""


def check_alike(summaries: Summaries) -> None:
    """Raises UserError unless the launches vary the same things and can stand in one table."""
    first, *others = (summary.study for summary in summaries)
    names = [summary.study.data.name for summary in summaries]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"one table needs data sets of different names, but two are called {name!r}")
    for other in others:
        for what, ours, theirs in (
            ("axes", first.axes, other.axes),
            ("headline score", first.metric, other.metric),
            ("published numbers", first.published, other.published),
            ("reference", dict(first.reference), dict(other.reference)),
            ("preset", first.preset, other.preset),
        ):
            if ours != theirs:
                raise UserError(
                    f"one table needs launches with the same {what}, but {first.launch} "
                    f"({first.data.name}) and {other.launch} ({other.data.name}) differ there: "
                    "ask for a report of each, or run the study again on all of them at once (--on)"
                )


def together_table(summaries: Summaries) -> ReportTable:
    """One row a data set and arm: coordinates, n, scores, headline difference, the paper's numbers for these data."""
    study = summaries[0].study
    scores = _union(summary.columns for summary in summaries)
    printed = [score for score in scores if any(_knows(summary, score) for summary in summaries)]
    columns = [Column("data", left=True), *arm_columns(study, scores)]
    columns += [Column(title(score), "paper, same data") for score in printed]
    rows: list[tuple[Entry, ...]] = []
    rules = set()
    for summary in summaries:
        rules.add(len(rows))
        for arm in summary.arms:
            theirs = (_printed(summary, arm.coordinates, score) for score in printed)
            rows.append((Entry(summary.study.data.name), *arm_row(summary, arm, scores), *theirs))
    above, below = _words(summaries)
    label = f"{label_of(study)}_{TOGETHER}"
    return ReportTable(label, tuple(columns), tuple(rows), above, below, frozenset(rules - {0}), _tag(summaries))


def _tag(summaries: Summaries) -> str:
    return label_tag([summary.study for summary in summaries])


def _words(summaries: Summaries) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Caption and notes: what holds for every data set is said once, the rest with the data set's name before it."""
    study = summaries[0].study
    names = [summary.study.data.name for summary in summaries]
    head = f"{study.title}{f' ({study.source})' if study.source else ''} on {listed(names)}."
    above = _merged([[("", text) for text in caption(summary)[1:]] for summary in summaries], names)
    each = "Differences are within a data set."
    shown = published_table(study)
    below = _merged([notes(summary, published=bool(shown and shown.datasets)) for summary in summaries], names)
    return (head, *(text for _, text in above), *([each] if study.reference else [])), tuple(below)


def _merged(each: Sequence[Sequence[tuple[str, str]]], names: Sequence[str]) -> list[tuple[str, str]]:
    """Marked sentences of several lists, those of all lists once."""
    common = [line for line in each[0] if all(line in lines for lines in each)]
    merged: list[tuple[str, str]] = []
    for name, lines in zip(names, each, strict=True):
        merged += [(mark, f"{name}: {text}") for mark, text in lines if (mark, text) not in common]
    return [*merged, *common]


def _printed(summary: Summary, coordinates: Mapping[str, str], score: str) -> Entry:
    return Entry(printed_on_same_data(summary, coordinates, score) or DASH)


def _knows(summary: Summary, score: str) -> bool:
    """Whether the paper prints the score for any arm on this data set."""
    return any(_printed(summary, arm.coordinates, score).text != DASH for arm in summary.arms)


def _union(lists: Iterable[Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(name for names in lists for name in names))
