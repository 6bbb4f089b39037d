"""Reliability diagrams: accuracy by confidence, before and after temperature scaling."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from raysweep.metrics.calibration import COLDEST, HOTTEST, Reliability
from raysweep.report.figures.chosen_arms import panels_across, second_axis, side_by_side
from raysweep.report.figures.style import COLORS, FAINT, WIDTH
from raysweep.report.formatting import PLUS_MINUS, number
from raysweep.report.results.aggregate import Summary
from raysweep.report.results.arm_diagnostics import ArmDiagnostics, of_arm
from raysweep.report.results.statistics import Spread

_BEFORE, _AFTER = COLORS[1], COLORS[0]


@dataclass(frozen=True, eq=False)
class ReliabilityPanel:
    """One arm: bins over all replicates, and the error of each replicate. `after`: None where nothing was scaled."""

    name: str
    before: Reliability
    error: Spread | None
    after: Reliability | None = None
    error_after: Spread | None = None
    temperatures: tuple[float, ...] = ()


def reliability_panels(summary: Summary) -> list[ReliabilityPanel]:
    """Of the arms side by side; [] without predictions."""
    study = summary.study
    arms = [summary.arm(where) for _, _, where in side_by_side(study, second_axis(study))]
    made = [of_arm(arm, len(study.data.classes)) for arm in arms if arm is not None]
    return [_panel(arm) for arm in made if arm is not None]


def _panel(arm: ArmDiagnostics) -> ReliabilityPanel:
    name, plain = arm.arm.name, (arm.pooled(False), arm.errors(False))
    if not arm.scaled:
        return ReliabilityPanel(name, *plain)
    temperatures = tuple(scaled.temperature for scaled in arm.scaled.values())
    return ReliabilityPanel(name, *plain, arm.pooled(True), arm.errors(True), temperatures)


def reliability_figure(summary: Summary) -> tuple[Figure, str] | None:
    """Accuracy against confidence; and its caption."""
    panels = reliability_panels(summary)
    if not panels:
        return None
    return draw_reliability(panels), (
        "Reliability on test images: accuracy against confidence in 15 bins over all replicates; on the diagonal a "
        "model is right as often as it says. Bars: share of the images in a bin, before scaling. ECE: mean over "
        f"replicates and standard deviation. {scaling_words(panels, summary.study.protocol)}"
    )


def scaling_words(panels: Sequence[ReliabilityPanel], protocol: str) -> str:
    """How the temperature was fitted, or why none was."""
    without = [panel.name for panel in panels if panel.after is None]
    if len(without) == len(panels):
        why = "the launch holds out no validation images of the scored model" if protocol != "validation" else (
            "the runs, of an earlier version, kept no predictions of validation images: launch the study again, which "
            "evaluates them without training"
        )  # fmt: skip
        return f"No temperature is fitted: {why}."
    text = "T: temperature of the least log loss on each replicate's validation images (Guo et al., 2017), mean."
    if any(not COLDEST * 1.01 < t < HOTTEST * 0.99 for panel in panels for t in panel.temperatures):
        text += f" Some lie at an end of what is searched, {COLDEST:g} to {HOTTEST:g}."
    return text + (f" Without one: {', '.join(without)}." if without else "")


def draw_reliability(panels: Sequence[ReliabilityPanel]) -> Figure:
    """At most three panels a row."""
    across = panels_across(len(panels))
    rows = math.ceil(len(panels) / across)
    figure = Figure(figsize=(max(WIDTH * across / 3, 3.4), 2.75 * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, across, sharex=True, sharey=True, squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw(axes, panel)
    for axes in grid.flat[len(panels) :]:
        axes.axis("off")
    figure.supxlabel("confidence", fontsize=8.5)
    figure.supylabel("accuracy", fontsize=8.5)
    handles = [Line2D([], [], color=_BEFORE, marker="s", ms=4, lw=1.2, label="as trained")]
    if any(panel.after is not None for panel in panels):
        handles.append(Line2D([], [], color=_AFTER, marker="o", ms=4, lw=1.2, label="after temperature scaling"))
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def _draw(axes: Axes, panel: ReliabilityPanel) -> None:
    axes.plot([0, 1], [0, 1], color=FAINT, lw=0.8, ls=(0, (4, 3)))
    count = len(panel.before.images)
    middles = (np.arange(count) + 0.5) / count
    axes.bar(middles, panel.before.images / panel.before.images.sum(), width=0.9 / count, color="#e3e3e3", zorder=0)
    lines = [("", panel.before, panel.error, _BEFORE, "s")]
    lines += [("scaled ", panel.after, panel.error_after, _AFTER, "o")] if panel.after is not None else []
    words = [textwrap.fill(panel.name, 32)]
    for name, bins, error, color, marker in lines:
        there = bins.images > 0
        axes.plot(bins.confidence[there] / bins.images[there], bins.right[there] / bins.images[there], color=color,
                  marker=marker, ms=3.2, lw=1.2)  # fmt: skip
        words.append(f"{name}ECE {_spread_words(error)}")
    if panel.temperatures:
        words[-1] += f", T = {np.mean(panel.temperatures):.2f}"
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    axes.set_title("\n".join(words), fontsize=7.5)


def _spread_words(error: Spread | None) -> str:
    if error is None:
        return "unknown"
    return number(error.mean) + (f" {PLUS_MINUS} {number(error.std)}" if error.std is not None else "")
