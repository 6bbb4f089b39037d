"""The figures of curves over epochs: memorisation of flipped labels, and learning curves."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from raysweep.artifacts.study_record import AxisRecord, StudyRecord
from raysweep.core.formatting import arm_name
from raysweep.report.formatting import title
from raysweep.report.results.aggregate import ArmSummary, Summary
from raysweep.report.results.records import CellRecord

from .style import FAINT, WIDTH, looks, shades

MOST_PANELS = 6

_LETTERS = {1: 60, 2: 44, 3: 28}
"""That fit above a panel, by the number of panels side by side."""

FIT_TITLES = {
    "fit/unflipped": "untouched labels\npredicted as given",
    "fit/flipped": "flipped labels\npredicted as given",
    "fit/recovered": "flipped labels\npredicted as before",
}
"""Rows of the memorisation figure. "Flipped, as given" is memorised noise."""


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


def draw_memorisation(panels: Mapping[str, Sequence[CurvePanel]], compared: AxisRecord) -> Figure:
    """Rows: which labels the model predicts while it trains; columns: the other axes; colours: the compared arms."""
    names = [name for name in FIT_TITLES if panels.get(name)]
    shown = [panel for name in names for panel in panels[name]]
    groups = list(dict.fromkeys(panel.group for panel in shown))
    colors, references = _colors(shown, compared)
    width = WIDTH if len(groups) > 1 else 0.55 * WIDTH
    figure = Figure(figsize=(width, 0.7 + 1.55 * len(names)), layout="constrained")
    grid = figure.subplots(len(names), len(groups), sharex=True, sharey="row", squeeze=False)
    for row, name in enumerate(names):
        for axes, group in zip(grid[row], groups, strict=True):
            _draw_curves(axes, next((p for p in panels[name] if p.group == group), None), colors)
            axes.set_title(heading(group, 76 // len(groups)) if row == 0 else "")
        grid[row][0].set_ylabel(FIT_TITLES[name])
        grid[row][0].set_ylim(bottom=0)
    for axes in grid[-1]:
        axes.set_xlabel("epoch")
    _legend(figure, colors, compared, references)
    return figure


def draw_learning(panels: Sequence[CurvePanel], what: str, compared: AxisRecord) -> Figure:
    """Macro-F1 on the watched images over epochs, a panel for each combination of the other axes."""
    colors, references = _colors(panels, compared)
    columns = 2 if len(panels) == 4 else min(3, len(panels))
    rows = -(-len(panels) // columns)
    width = WIDTH if columns > 1 else 0.7 * WIDTH
    figure = Figure(figsize=(width, 2.2 * rows + 0.6), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, panel in zip(grid.ravel(), panels, strict=False):
        _draw_curves(axes, panel, colors)
        axes.set_title(heading(panel.group, _LETTERS[columns]))
    for axes in grid.ravel()[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("epoch")
    for line in grid:
        line[0].set_ylabel(what)
    _legend(figure, colors, compared, references)
    return figure


def heading(group: str, most: int) -> str:
    """A panel's title; where it has more than `most` letters a line an axis, and words on further lines.

    >>> heading("pseudo VA=CLE, remainder=original", 28)
    'pseudo VA=CLE\\nremainder=original'
    """
    if len(group) <= most:
        return group
    return "\n".join(textwrap.fill(part, max(most, 8)) for part in group.split(", "))


def _colors(panels: Sequence[CurvePanel], compared: AxisRecord) -> tuple[dict[str, str], set[str]]:
    """Colour of every compared level that has a curve, in the axis's order; and which levels are references."""
    references = {curve.name: curve.is_reference for panel in panels for curve in panel.curves}
    levels = [level for level in compared.levels if level in references]
    flags = [references[level] for level in levels]
    colors = shades(flags) if compared.numeric else [color for color, _ in looks(flags)]
    return dict(zip(levels, colors, strict=True)), {level for level in levels if references[level]}


def _draw_curves(axes: Axes, panel: CurvePanel | None, colors: Mapping[str, str]) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if panel is None:
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", color=FAINT)
        return
    for curve in panel.curves:
        color = colors[curve.name]
        for values in curve.each if len(curve.each) > 1 else ():
            axes.plot(curve.epochs, values, color=color, lw=0.5, alpha=0.25)
        axes.plot(curve.epochs, curve.means, color=color, lw=1.6)


def _legend(figure: Figure, colors: Mapping[str, str], compared: AxisRecord, references: set[str]) -> None:
    """One entry a compared level, above all panels."""
    handles = [Line2D([], [], color=color, lw=1.6) for color in colors.values()]
    labels = [f"{level} (reference)" if level in references else level for level in colors]
    across = 5 if figure.get_figwidth() == WIDTH else 3
    figure.legend(handles, labels, title=compared.name, loc="outside upper center",
                  ncols=min(across, len(labels)), columnspacing=1.4)  # fmt: skip


def memorisation_figure(summary: Summary) -> tuple[Figure, str] | None:
    """What the model makes of flipped labels while it trains; and its caption."""
    fits = {name: curves(summary, name, most=None) for name in FIT_TITLES}
    flipped = fits["fit/flipped"]
    if not flipped:
        return None
    groups = {panel.group for panel in flipped[:MOST_PANELS]}
    fits = {name: [panel for panel in panels if panel.group in groups] for name, panels in fits.items()}
    second = " Second training, on all images." if summary.study.protocol == "select_then_retrain" else ""
    return draw_memorisation(fits, summary.study.compared_axis), (
        "Memorisation: share of training labels that the model predicts while it trains. Flipped labels that are "
        "predicted as given are memorised noise. Bold: mean over replicates; thin: each replicate."
        f"{second}{_cut(flipped)}"
    )


def learning_figure(summary: Summary) -> tuple[Figure, str] | None:
    """The score that chooses the epoch, along epochs; and its caption."""
    study = summary.study
    watched = monitored(study)
    panels = curves(summary, watched, most=None)
    if not panels:
        return None
    images, score = "test" if study.protocol == "best_on_test" else "validation", title(watched.split("/")[1])
    first = " First training, which chooses the epoch." if study.protocol == "select_then_retrain" else ""
    return draw_learning(panels[:MOST_PANELS], f"{images} {score}", study.compared_axis), (
        f"Learning curves: {score} on {images} images. Bold: mean over replicates; thin: each replicate."
        f"{first}{_cut(panels)}"
    )


def _cut(panels: Sequence[CurvePanel]) -> str:
    return f" The first {MOST_PANELS} panels." if len(panels) > MOST_PANELS else ""
