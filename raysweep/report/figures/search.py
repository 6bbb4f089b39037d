"""Drawing a search: its history, what mattered, and what trades off against what. A panel an arm."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from raysweep.report.formatting import plural, title

from .search_series import FrontPanel, HistoryPanel, ImportancePanel
from .style import COLORS, FAINT, INK, WIDTH

_MARKS: dict[str, tuple[str, str]] = {
    "pruned": ("d", FAINT),
    "failed": ("x", COLORS[1]),
    "stopped": ("|", FAINT),
    "running": ("2", FAINT),
    "complete": ("_", FAINT),
}
"""Marker and colour of trials that have no value of their own; "complete" here: without a finite value."""

_BOTTOM = 0.035
"""Height of those marks above the axis, in shares of the panel."""


def draw_history(panels: Sequence[HistoryPanel], directions: Mapping[str, str]) -> Figure:
    """Trials in order with the best so far; pruned ones open, those without a value on the axis."""
    figure, grid = _panels(len(panels), 2.3)
    for axes, panel in zip(grid, panels, strict=True):
        axes.plot(*_xy(panel.points), ls="", marker="o", ms=4, color=COLORS[0], alpha=0.75, mew=0)
        axes.plot(*_xy(panel.pruned), ls="", marker="D", ms=3.4, mfc="none", mec=FAINT, mew=0.9)
        axes.step(*_xy(_to_the_end(panel)), where="post", color=INK, lw=1.3)
        if panel.chosen:
            axes.plot(*panel.chosen, marker="*", ms=11, mfc=COLORS[4], mec=INK, mew=0.7, ls="", zorder=5)
        axes.margins(x=0.03, y=0.1)
        _draw_marks(axes, panel)
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, -0.5), max(high, 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        axes.set(
            xlabel="trial",
            ylabel=f"validation {objective_title(panel.objective, directions)}",
            title=_arm_words(panel.arm, len(panels)),
        )
    figure.legend(handles=_history_handles(panels), loc="outside upper center", ncols=5, columnspacing=1.4)
    return figure


def _to_the_end(panel: HistoryPanel) -> list[tuple[int, float]]:
    """The best so far, drawn on to the last trial of any kind."""
    numbers = [number for points in (panel.points, panel.pruned, panel.marks) for number, _ in points]
    return [*panel.best, (max(numbers), panel.best[-1][1])] if panel.best else []


def _draw_marks(axes: Axes, panel: HistoryPanel) -> None:
    """Trials without a value, along the lower edge; the values keep clear of it."""
    if not panel.marks:
        return
    if panel.points or panel.pruned:
        low, high = axes.get_ylim()
        axes.set_ylim(low - 0.08 * (high - low), high)
    else:
        axes.set_yticks([])
    for number, state in panel.marks:
        marker, color = _MARKS[state]
        axes.plot([number], [_BOTTOM], marker=marker, ms=5, color=color, mfc="none", mew=1.2,
                  transform=axes.get_xaxis_transform())  # fmt: skip


def _history_handles(panels: Sequence[HistoryPanel]) -> list[Line2D]:
    states = {state for panel in panels for _, state in panel.marks}
    handles: list[Line2D] = []
    if any(panel.points for panel in panels):
        handles += [_handle("o", COLORS[0], "complete", ms=4), Line2D([], [], color=INK, lw=1.3, label="best so far")]
    if any(panel.chosen for panel in panels):
        handles.append(Line2D([], [], ls="", marker="*", ms=10, mfc=COLORS[4], mec=INK, mew=0.7, label="chosen"))
    if any(panel.pruned for panel in panels):
        handles.append(_handle("D", FAINT, "pruned, at its last epoch", ms=3.4))
    values = {"pruned": "pruned, no value", "complete": "complete, no value"}
    return handles + [_handle(*_MARKS[state], values.get(state, state)) for state in _MARKS if state in states]


def _handle(marker: str, color: str, label: str, ms: float = 5) -> Line2D:
    fill = color if marker == "o" else "none"
    return Line2D([], [], ls="", marker=marker, ms=ms, color=color, mfc=fill, mew=1.1, label=label)


def draw_importance(
    panels: Sequence[ImportancePanel], labels: Mapping[str, str], directions: Mapping[str, str]
) -> Figure:
    """Bars, largest first; where too little is known, words instead. `labels`: short names of the fields."""
    most = max([len(panel.shares) for panel in panels] + [3])
    figure, grid = _panels(len(panels), 0.75 + 0.21 * most, across=2)
    for axes, panel in zip(grid, panels, strict=True):
        parts = [
            _arm_words(panel.arm, 2),
            f"{objective_title(panel.objective, directions)}, {plural(panel.complete, 'complete trial')}",
        ]
        axes.set_title("\n".join(word for word in parts if word), fontsize=8.5)
        if panel.why:
            _say(axes, panel.why)
        else:
            _draw_bars(axes, panel, labels, most)
    return figure


def _draw_bars(axes: Axes, panel: ImportancePanel, labels: Mapping[str, str], most: int) -> None:
    names = [labels[path] + (f" (set in {seen})" if seen < panel.complete else "") for path, _, seen in panel.shares]
    shares = [share for _, share, _ in panel.shares]
    axes.barh(range(len(names)), shares, height=0.62, color=COLORS[0])
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(most - 0.4, -0.6), xlim=(0, 1.16 * max(shares)), xlabel=f"share of importance ({panel.evaluator})")
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    for y, share in enumerate(shares):
        axes.text(share, y, f" {share:.2f}", va="center", fontsize=7.5)


def draw_front(panels: Sequence[FrontPanel], directions: Mapping[str, str]) -> Figure:
    """Two objectives a panel: the front filled (joined where there are just two objectives), the rest open."""
    figure, grid = _panels(len(panels), 2.6)
    joined = len({name for panel in panels for name in panel.objectives}) == 2
    for axes, panel in zip(grid, panels, strict=True):
        members = sorted((x, y) for number, x, y in panel.points if number in panel.front)
        others = [(x, y) for number, x, y in panel.points if number not in panel.front]
        axes.plot(*_xy(others), ls="", marker="o", ms=4, mfc="none", mec=FAINT, mew=0.9)
        axes.plot(*_xy(members), ls="-" if joined else "", lw=0.8, marker="o", ms=5, color=COLORS[0])
        for number, x, y in panel.points:
            if number == panel.chosen:
                axes.plot([x], [y], marker="*", ms=11, mfc=COLORS[4], mec=INK, mew=0.7, ls="", zorder=5)
        if not panel.points:
            _say(axes, "no complete trial")
        across, up = (f"validation {objective_title(name, directions)}" for name in panel.objectives)
        axes.set(xlabel=across, ylabel=up, title=_arm_words(panel.arm, len(panels)))
        axes.xaxis.set_major_locator(MaxNLocator(5))
    handles = [_handle("o", COLORS[0], "on the front"), Line2D([], [], ls="", marker="o", ms=4, mfc="none", mec=FAINT,
               label="beaten by another trial")]  # fmt: skip
    if any(panel.chosen is not None for panel in panels):
        handles.append(Line2D([], [], ls="", marker="*", ms=10, mfc=COLORS[4], mec=INK, mew=0.7, label="chosen"))
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


def objective_title(name: str, directions: Mapping[str, str]) -> str:
    """For example "macro-F1 ↑"."""
    return f"{title(name)} {'↑' if directions[name] == 'maximize' else '↓'}"


def _panels(count: int, height: float, across: int = 3) -> tuple[Figure, list[Axes]]:
    """A figure with that many panels, at most `across` in a row."""
    columns = 2 if count == 4 else min(across, count)
    rows = -(-count // columns)
    width = WIDTH if columns > 1 else 0.75 * WIDTH
    figure = Figure(figsize=(width, height * rows + 0.5), layout="constrained")
    grid: list[Any] = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for axes in grid[count:]:
        axes.set_visible(False)
    return figure, grid[:count]


def _arm_words(arm: str, panels: int) -> str:
    """The title of a panel, in lines that fit above it."""
    return textwrap.fill(arm, 30 if panels == 3 or panels > 4 else 48)


def _say(axes: Axes, words: str) -> None:
    """Words where there is nothing to draw."""
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", color="#555555")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _xy(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
