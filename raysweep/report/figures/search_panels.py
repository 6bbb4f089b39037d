"""What the figures of a search share: which arms, a panel an arm, words in it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from raysweep.artifacts.study_record import PlannedSearch
from raysweep.report.formatting import title
from raysweep.report.results.searches import SearchRecord

from .style import COLORS, INK, WIDTH

MOST_ARMS = 6
"""Panels of a figure; the interactive page has all arms."""

CHOSEN: dict[str, Any] = {"ls": "", "marker": "*", "mfc": COLORS[4], "mec": INK, "mew": 0.7}
"""The star of a chosen point."""


def shown_arms(searches: Sequence[SearchRecord]) -> list[SearchRecord]:
    """The first arms that have a trial at all."""
    return [search for search in searches if search.trials][:MOST_ARMS]


def objective_title(plan: PlannedSearch, name: str) -> str:
    """For example "macro-F1 ↑"."""
    return f"{title(name)} {'↑' if plan.directions[plan.objectives.index(name)] == 'maximize' else '↓'}"


def panels_of(count: int, height: float, across: int = 3) -> tuple[Figure, list[Axes]]:
    """A figure with that many panels, at most `across` in a row."""
    columns = 2 if count == 4 else min(across, count)
    rows = -(-count // columns)
    width = WIDTH if columns > 1 else 0.75 * WIDTH
    figure = Figure(figsize=(width, height * rows + 0.5), layout="constrained")
    grid: list[Any] = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for axes in grid[count:]:
        axes.set_visible(False)
    return figure, grid[:count]


def arm_title(arm: str, panels: int) -> str:
    """The title of a panel, in lines that fit above it."""
    return textwrap.fill(arm, 30 if panels == 3 or panels > 4 else 48)


def say(axes: Axes, text: str) -> None:
    """Words where there is nothing to draw."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="#555555")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def xy(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def trial_handle(marker: str, color: str, label: str, ms: float = 5) -> Line2D:
    """Legend entry of a kind of trials: dots filled, other markers open."""
    fill = color if marker == "o" else "none"
    return Line2D([], [], ls="", marker=marker, ms=ms, color=color, mfc=fill, mew=1.1, label=label)
