"""Drawing one study on several data sets: the headline score, a panel a data set."""

from __future__ import annotations

import math
from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from raysweep.report.formatting import title

from .levels import draw_level_panel
from .scores import Dependence, draw_panel, interval_handles, line_styles
from .style import WIDTH

_ROW = 2.6
"""Height in inches of a row of panels."""

_ACROSS = 3


def draw_together(data: Mapping[str, Dependence], compared: str) -> Figure:
    """Means with 95 % t-intervals, replicates faint, every panel on an axis of its own.

    Args:
        data: name of the data set to how its scores depend on the axis. All along the same axis.
        compared: name of the axis whose levels are the lines.
    """
    across = min(_ACROSS, len(data))
    rows = math.ceil(len(data) / across)
    figure = Figure(figsize=(WIDTH, _ROW * rows + 0.6), layout="constrained")
    grid = figure.subplots(rows, across, squeeze=False)
    first = next(iter(data.values()))
    lines = {line.name: line for one in data.values() for line in one.panels[0].lines}
    styles = line_styles(list(lines.values()))
    for axes, (name, one) in zip(grid.flat, data.items(), strict=False):
        panel = one.panels[0]
        if one.axis.numeric:
            draw_panel(axes, panel, styles, big=True)
        else:
            draw_level_panel(axes, panel, one, styles, big=True)
        axes.set_title(name, loc="left")
        axes.set_xlabel(one.axis.name)
    for axes in grid.flat[len(data) :]:
        axes.axis("off")
    for row in grid:
        row[0].set_ylabel(title(first.panels[0].score, arrow=True))
    handles = [
        Line2D([], [], color=color, marker=marker, ms=5, lw=1.4 if first.axis.numeric else 0,
               label=(name or compared) + (" (reference)" if lines[name].is_reference else ""))
        for name, (color, marker) in styles.items()
    ]  # fmt: skip
    handles += interval_handles([one.panels[0] for one in data.values()])
    figure.legend(handles=handles, loc="outside upper center", ncols=min(4, len(handles)), columnspacing=1.4)
    return figure
