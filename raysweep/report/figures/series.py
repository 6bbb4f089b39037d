"""What the figures show, as plain values. Drawing is in `figures`; tests look here."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from raysweep.artifacts.study_record import AxisRecord, StudyRecord
from raysweep.core.formatting import arm_name
from raysweep.metrics.registry import needing
from raysweep.report.published.comparable import comparable, printed, published_table, value
from raysweep.report.results.aggregate import ArmSummary, Summary
from raysweep.report.results.records import CellRecord
from raysweep.report.results.statistics import Comparison, Spread

MOST_PANELS = 6
MORE_SCORES = 3


@dataclass(frozen=True)
class Point:
    """One arm on the axis that is drawn along; on an axis of words `x` is the number of the level."""

    x: float
    values: Mapping[int, float]  # by replicate
    spread: Spread
    is_reference: bool
    flagged: bool = False  # some cells are not complete, or degenerate


@dataclass(frozen=True)
class Line:
    """Arms that differ in the axis drawn along only. `name` is empty when there is just one line."""

    name: str
    points: tuple[Point, ...]
    is_reference: bool


@dataclass(frozen=True)
class PaperLine:
    """Published values along the axis."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class ScorePanel:
    """One score against the axis; `paper` shares the axes only where the setting is the same."""

    score: str
    lines: tuple[Line, ...]
    paper: tuple[PaperLine, ...] = ()


@dataclass(frozen=True)
class PaperPanel:
    """The paper's values of the headline score on a data set that is not ours."""

    dataset: str
    lines: tuple[PaperLine, ...]


@dataclass(frozen=True)
class Dependence:
    """How scores depend on an axis: our panels, the headline first, then the paper's."""

    axis: AxisRecord
    panels: tuple[ScorePanel, ...]
    paper: tuple[PaperPanel, ...]


@dataclass(frozen=True)
class ForestRow:
    """One paired difference to a reference arm."""

    name: str
    group: str
    comparison: Comparison


@dataclass(frozen=True)
class Curve:
    """Mean over replicates of a metric by epoch."""

    name: str
    is_reference: bool
    epochs: tuple[int, ...]
    means: tuple[float, ...]
    each: tuple[tuple[float, ...], ...]  # one a replicate


@dataclass(frozen=True)
class CurvePanel:
    """Curves of the compared arms where the other axes are equal. `group` says where; empty for one axis."""

    group: str
    curves: tuple[Curve, ...]


def numeric_axis(study: StudyRecord) -> AxisRecord | None:
    """The axis to draw along: the first numeric one that is not the compared axis, else the first numeric one."""
    numeric = [axis for axis in study.axes if axis.numeric]
    return next((axis for axis in numeric if axis != study.compared_axis), numeric[0] if numeric else None)


def drawn_axis(study: StudyRecord) -> AxisRecord | None:
    """The numeric axis; without one, but with two axes, the one whose levels are not compared."""
    if numeric_axis(study) is None and len(study.axes) == 2:
        return next(axis for axis in study.axes if axis != study.compared_axis)
    return numeric_axis(study)


def dependence(summary: Summary) -> Dependence | None:
    """The headline and up to three more scores along an axis; None without such an axis or any score.

    Scores of adapted labels have a figure of their own.
    """
    study = summary.study
    axis = drawn_axis(study)
    if axis is None:
        return None
    others = [score for score in summary.columns if score != study.metric and score not in needing("labels")][
        :MORE_SCORES
    ]
    panels = tuple(
        ScorePanel(s, _lines(summary, axis, s), _shared_paper(summary, axis, s)) for s in (study.metric, *others)
    )
    if not panels[0].lines:
        return None
    return Dependence(axis, tuple(panel for panel in panels if panel.lines), _paper_panels(summary, axis))


def forest(summary: Summary) -> list[ForestRow]:
    """Headline differences of every compared arm, grouped by the levels of the axes that are equal."""
    study = summary.study
    rows = []
    for arm in summary.arms:
        comparison = arm.scores[study.metric].comparison
        if comparison is None:
            continue
        compared = {a: level for a, level in arm.coordinates.items() if a in study.reference}
        rest = {a: level for a, level in arm.coordinates.items() if a not in study.reference}
        rows.append(ForestRow(", ".join(compared.values()), arm_name(rest), comparison))
    return rows


def curves(summary: Summary, metric: str, least: int = 2, most: int | None = MOST_PANELS) -> list[CurvePanel]:
    """A metric's curves over epochs, complete cells only, at most `most` panels.

    A cell without the metric has no curve; panels with curves of fewer than `least` epochs are left
    out. After `select_then_retrain` the curves of `fit/*` are those of the second training.
    """
    groups: dict[str, list[Curve]] = {}
    compared = summary.study.compared_axis.name
    for arm in summary.arms:
        series = [points for cell in arm.cells if cell.complete and (points := _series(cell, metric, summary.study))]
        curve = _curve(arm, compared, series)
        if curve is not None and len(curve.epochs) >= least:
            rest = {a: level for a, level in arm.coordinates.items() if a != compared}
            groups.setdefault(arm_name(rest), []).append(curve)
    return [CurvePanel(group, tuple(lines)) for group, lines in itertools.islice(groups.items(), most)]


def monitored(study: StudyRecord) -> str:
    """The metric that was watched while training: the score that chooses the epoch (macro-F1 in runs of old)."""
    score = study.recipe.get("selection.metric", "macro_f1")
    return f"test_epoch/{score}" if study.protocol == "best_on_test" else f"val/{score}"


def _series(cell: CellRecord, metric: str, study: StudyRecord) -> dict[int, float]:
    points = dict(cell.history(metric))
    if study.protocol == "select_then_retrain" and metric.startswith("fit/"):
        first = max((step for step, _ in cell.history("val/macro_f1")), default=0)
        second = {step - first: value for step, value in points.items() if step > first}
        return second or points  # an arm that nothing was held out of is trained once
    return points


def _curve(arm: ArmSummary, compared: str, series: Sequence[Mapping[int, float]]) -> Curve | None:
    if not series:
        return None
    epochs = sorted(set.intersection(*(set(points) for points in series)))
    each = tuple(tuple(points[e] for e in epochs) for points in series)
    means = tuple(sum(values) / len(values) for values in zip(*each, strict=True))
    return Curve(arm.coordinates[compared], arm.is_reference, tuple(epochs), means, each)


def _lines(summary: Summary, axis: AxisRecord, score: str) -> tuple[Line, ...]:
    grouped: dict[str, list[tuple[ArmSummary, Point]]] = {}
    for arm in summary.arms:
        values = arm.scores[score]
        if values.spread is None:
            continue
        x = _place(axis, arm.coordinates)
        point = Point(x, values.values, values.spread, arm.is_reference, arm.flagged)
        grouped.setdefault(_rest(arm.coordinates, axis), []).append((arm, point))
    return tuple(
        Line(name, tuple(sorted((p for _, p in members), key=lambda p: p.x)), all(a.is_reference for a, _ in members))
        for name, members in grouped.items()
    )


def _place(axis: AxisRecord, coordinates: Mapping[str, str]) -> float:
    level = coordinates[axis.name]
    return float(level) if axis.numeric else float(axis.levels.index(level))


def _rest(coordinates: Mapping[str, str], axis: AxisRecord) -> str:
    """Name of the line an arm lies on: its other levels."""
    rest = {a: level for a, level in coordinates.items() if a != axis.name}
    return next(iter(rest.values())) if len(rest) == 1 else arm_name(rest)


def _shared_paper(summary: Summary, axis: AxisRecord, score: str) -> tuple[PaperLine, ...]:
    """Published lines whose every number may be compared with ours."""
    table = published_table(summary.study)
    datasets = [d for d in table.datasets if _all_comparable(summary, d)] if table else []
    return tuple(line for dataset in datasets for line in _paper_lines(summary, axis, score, dataset))


def _paper_panels(summary: Summary, axis: AxisRecord) -> tuple[PaperPanel, ...]:
    """The other ones, each data set on axes of its own."""
    table = published_table(summary.study)
    datasets = [d for d in table.datasets if not _all_comparable(summary, d)] if table else []
    panels = (PaperPanel(d, _paper_lines(summary, axis, summary.study.metric, d)) for d in datasets)
    return tuple(panel for panel in panels if panel.lines)


def _all_comparable(summary: Summary, dataset: str) -> bool:
    table = published_table(summary.study)
    assert table is not None
    with_number = [
        arm.coordinates
        for arm in summary.arms
        if any(printed(summary, dataset, arm.coordinates, score) for score in table.scores(dataset))
    ]
    return all(comparable(summary, dataset, coordinates) for coordinates in with_number)


def _paper_lines(summary: Summary, axis: AxisRecord, score: str, dataset: str) -> tuple[PaperLine, ...]:
    table = published_table(summary.study)
    if table is None or not table.knows(dataset, axis.name):
        return ()
    lines: dict[str, list[tuple[float, float]]] = {}
    for arm in summary.arms:
        number = value(summary, dataset, arm.coordinates, score)
        if number is not None:
            lines.setdefault(_rest(arm.coordinates, axis), []).append((_place(axis, arm.coordinates), number))
    return tuple(PaperLine(name, tuple(sorted(points))) for name, points in lines.items())
