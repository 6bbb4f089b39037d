"""Drawing curves over epochs: memorisation of flipped labels, and learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from raysweep.artifacts.study_record import AxisRecord
from raysweep.report.formatting import title
from raysweep.report.results.aggregate import Summary

from .series import MOST_PANELS, CurvePanel, curves, monitored
from .style import FAINT, WIDTH, looks, shades

FIT_TITLES = {
    "fit/unflipped": "untouched labels\npredicted as given",
    "fit/flipped": "flipped labels\npredicted as given",
    "fit/recovered": "flipped labels\npredicted as before",
}
"""Rows of the memorisation figure. "Flipped, as given" is memorised noise."""


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
            axes.set_title(group if row == 0 else "")
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
        axes.set_title(panel.group)
    for axes in grid.ravel()[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("epoch")
    for line in grid:
        line[0].set_ylabel(what)
    _legend(figure, colors, compared, references)
    return figure


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
    if not fits["fit/flipped"]:
        return None
    words = _memorisation_words(summary, fits["fit/flipped"])
    groups = {panel.group for panel in fits["fit/flipped"][:MOST_PANELS]}
    fits = {name: [panel for panel in panels if panel.group in groups] for name, panels in fits.items()}
    return draw_memorisation(fits, summary.study.compared_axis), words


def learning_figure(summary: Summary) -> tuple[Figure, str] | None:
    """The score that chooses the epoch, along epochs; and its caption."""
    study = summary.study
    watched = monitored(study)
    learning = curves(summary, watched, most=None)
    if not learning:
        return None
    images, score = "test" if study.protocol == "best_on_test" else "validation", title(watched.split("/")[1])
    figure = draw_learning(learning[:MOST_PANELS], f"{images} {score}", study.compared_axis)
    return figure, _learning_words(summary, learning, f"{score} on {images} images")


def _memorisation_words(summary: Summary, panels: Sequence[CurvePanel]) -> str:
    second = " Second training, on all images." if summary.study.protocol == "select_then_retrain" else ""
    return (
        "Memorisation: share of training labels that the model predicts while it trains. Flipped labels that are "
        "predicted as given are memorised noise. Bold: mean over replicates; thin: each replicate."
        f"{second}{_cut(panels)}"
    )


def _learning_words(summary: Summary, panels: Sequence[CurvePanel], what: str) -> str:
    first = " First training, which chooses the epoch." if summary.study.protocol == "select_then_retrain" else ""
    return f"Learning curves: {what}. Bold: mean over replicates; thin: each replicate.{first}{_cut(panels)}"


def _cut(panels: Sequence[CurvePanel]) -> str:
    return f" The first {MOST_PANELS} panels." if len(panels) > MOST_PANELS else ""
