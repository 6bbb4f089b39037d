"""The figures of adapted labels: VA planes in the manner of DCJT's Figure 4, and what labels gain against the truth."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from raysweep.artifacts.adapted_labels import AdaptedLabels, Plane
from raysweep.plotting.adapted_labels import PLANE_TITLES, draw_plane, plane_handles, plane_limit
from raysweep.plotting.style import GRID_WORDS, is_grid
from raysweep.report.formatting import better_way, listed
from raysweep.report.results.aggregate import ArmSummary, Summary
from raysweep.report.results.statistics import Spread, spread

from .style import COLORS, FAINT, INK, WIDTH

MOST_ARMS = 4

PAIRS = (
    ("A's pseudo VA:\nRMSE", ("", "pseudo_rmse")),
    ("B's labels:\nshare right", ("given_right", "kept_right")),
    ("rest of B, labels:\nshare right", ("remainder_right", "relabelled_right")),
    ("rest of B, VA:\nRMSE", ("given_va_rmse", "mapped_va_rmse")),
)
"""Title of a panel, and its scores: as given (if there is such a thing), and as trained on."""

POINTS = 1500
"""Most points a plane."""

_BEFORE, _AFTER = FAINT, COLORS[0]


@dataclass(frozen=True, eq=False)
class ArmPlanes:
    """VA planes of one arm's first complete cell: "pseudo" (A), "given" and "adapted" (B). `name`: a line an axis."""

    name: str
    replicate: int
    planes: Mapping[str, Plane]


@dataclass(frozen=True)
class TruthRow:
    """One arm: score as given and as trained on, over its replicates. `group`: a line an axis."""

    name: str
    group: str
    before: Spread | None
    after: Spread | None


@dataclass(frozen=True)
class TruthPanel:
    """One pair of scores for every arm that has labels to judge; all panels have the same rows."""

    title: str
    score: str  # after; says which way is better
    rows: tuple[TruthRow, ...]


def arm_planes(summary: Summary, most: int = MOST_ARMS) -> list[ArmPlanes]:
    """The first `most` arms whose labels differ from those of the arms before, by their first complete cell."""
    found: dict[str, ArmPlanes] = {}
    for arm in summary.arms:
        cell = next((cell for cell in arm.cells if cell.complete), None)
        labels = cell.labels() if cell is not None else None
        if cell is None or labels is None:
            continue
        shown = labels.planes(len(summary.study.data.classes))
        if len(shown) > 1:
            found.setdefault(_digest(labels), ArmPlanes(_lines(arm.coordinates), cell.replicate, shown))
        if len(found) == most:
            break
    return list(found.values())


def truth_panels(summary: Summary) -> list[TruthPanel]:
    """Panels that have any value; none where no truth is known."""
    arms = [arm for arm in summary.arms if any(_spread(arm, score) for _, pair in PAIRS for score in pair)]
    panels = [
        TruthPanel(title, after, _by_group([_row(summary, arm, before, after) for arm in arms]))
        for title, (before, after) in PAIRS
    ]
    return [panel for panel in panels if any(row.before or row.after for row in panel.rows)]


def _row(summary: Summary, arm: ArmSummary, before: str, after: str) -> TruthRow:
    """Grouped as the differences are: compared levels are the name, the other axes are the group."""
    compared = summary.study.reference or (summary.study.compared_axis.name,)
    name = ", ".join(level for axis, level in arm.coordinates.items() if axis in compared)
    rest = {axis: level for axis, level in arm.coordinates.items() if axis not in compared}
    return TruthRow(name, _lines(rest), _spread(arm, before), _spread(arm, after))


def _by_group(rows: list[TruthRow]) -> tuple[TruthRow, ...]:
    """Rows of one group together, groups in the order of their first rows."""
    groups = list(dict.fromkeys(row.group for row in rows))
    return tuple(sorted(rows, key=lambda row: groups.index(row.group)))


def _spread(arm: ArmSummary, score: str) -> Spread | None:
    return spread([cell.scores[score] for cell in arm.cells if cell.complete and score in cell.scores])


def _lines(coordinates: Mapping[str, str]) -> str:
    return "\n".join(f"{axis}={level}" for axis, level in coordinates.items())


def _digest(labels: AdaptedLabels) -> str:
    """Equal for equal arrays, the truth left out."""
    found = hashlib.sha256()
    for name, array in labels.arrays().items():
        if "truth" not in name:
            found.update(name.encode() + array.tobytes())
    return found.hexdigest()


def draw_label_planes(arms: Sequence[ArmPlanes], classes: Sequence[str]) -> Figure:
    """Rows: arms; columns: A with its pseudo VA, B as given, B adapted. The same limits everywhere."""
    names = [name for name in PLANE_TITLES if any(name in arm.planes for arm in arms)]
    left = 0.45 + 0.15 * max(arm.name.count("\n") + 1 for arm in arms)
    side = (WIDTH - left) / 3
    entries = len(classes) + 2
    lines = -(-entries // 6)
    size = (left + side * len(names), side * len(arms) + 0.6 + 0.2 * lines)
    figure = Figure(figsize=size, layout="constrained", dpi=200)
    grid = figure.subplots(len(arms), len(names), sharex=True, sharey=True, squeeze=False)
    limit = max(plane_limit(arm.planes) for arm in arms)
    for row, arm in zip(grid, arms, strict=True):
        for axes, name in zip(row, names, strict=True):
            _draw_arm_plane(axes, arm, name, limit)
        row[0].set_ylabel(f"{arm.name}\narousal")
    for axes, name in zip(grid[0], names, strict=True):
        axes.set_title(PLANE_TITLES[name], fontsize=8.5)
    for axes in grid[-1]:
        axes.set_xlabel("valence")
    target = any("pseudo" in arm.planes for arm in arms)
    figure.legend(handles=plane_handles(classes, target), loc="outside lower center", ncols=-(-entries // lines),
                  columnspacing=1.0, handletextpad=0.3)  # fmt: skip
    return figure


def _draw_arm_plane(axes: Axes, arm: ArmPlanes, name: str, limit: float) -> None:
    plane: Plane | None = arm.planes.get(name)
    axes.grid(visible=False)
    if plane is None:
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", color=FAINT)
        return
    draw_plane(axes, plane, limit, arm.planes.get("pseudo") if name != "pseudo" else None, POINTS, scale=0.62)
    axes.text(0.98, 0.02, f"{plane.count:,}", transform=axes.transAxes, ha="right", va="bottom", fontsize=7, color=INK)


def draw_truth_scores(panels: Sequence[TruthPanel]) -> Figure:
    """One row an arm, grouped; open: as given, filled: as trained on; lines: 95 % t-intervals."""
    rows = panels[0].rows
    places, headings = _places([row.group for row in rows])
    figure = Figure(figsize=(WIDTH, 1.4 + 0.24 * places[-1]), layout="constrained")
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, panel in zip(grid, panels, strict=True):
        _draw_truth_panel(axes, panel, places)
    first = grid[0]
    first.set_yticks(places, [row.name for row in rows])
    first.set_ylim(places[-1] + 0.7, -0.7)
    for group, y in headings:
        first.text(-0.06, y, group, transform=first.get_yaxis_transform(), ha="right", va="top", fontsize=8,
                   weight="bold", linespacing=1.1)  # fmt: skip
    handles = [Line2D([], [], ls="", marker="o", color=_AFTER, ms=5, label="pseudo, kept, relabelled, mapped")]
    if any(row.before for panel in panels for row in panel.rows):
        text = "as given (all of B, or its rest)"
        handles.insert(0, Line2D([], [], ls="", marker="o", mfc="white", color=_BEFORE, ms=5, label=text))
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def _draw_truth_panel(axes: Axes, panel: TruthPanel, places: Sequence[float]) -> None:
    for row, y in zip(panel.rows, places, strict=True):
        if row.before is not None and row.after is not None:
            axes.plot([row.before.mean, row.after.mean], [y, y], color="#c4c4c4", lw=1.0, zorder=1)
        _draw_spread(axes, row.before, y - 0.13, _BEFORE, "white")
        _draw_spread(axes, row.after, y + 0.13 if row.before is not None else y, _AFTER, _AFTER)
    axes.set_title(f"{panel.title} {better_way(panel.score)}".rstrip(), fontsize=8)
    axes.locator_params(axis="x", nbins=4)
    axes.margins(x=0.08)
    axes.tick_params(axis="y", length=0)


def _draw_spread(axes: Axes, spread: Spread | None, y: float, color: str, fill: str) -> None:
    if spread is None:
        return
    if spread.low is not None and spread.high is not None:
        axes.plot([spread.low, spread.high], [y, y], color=color, lw=1.4, solid_capstyle="round", zorder=2)
    axes.plot([spread.mean], [y], marker="o", ms=4.8, color=color, mfc=fill, mew=1.2, zorder=3)


def _places(groups: Sequence[str]) -> tuple[list[float], list[tuple[str, float]]]:
    """Height of every row, and of the top of the heading above each group that has a name.

    >>> _places(["a", "a", "b"])
    ([0.9, 1.9, 3.8], [('a', -0.3), ('b', 2.6)])
    """
    places: list[float] = []
    headings: list[tuple[str, float]] = []
    y = 0.0
    for index, group in enumerate(groups):
        if group and (index == 0 or groups[index - 1] != group):
            headings.append((group, round(y - 0.3, 6)))
            y += 0.9 + 0.6 * group.count("\n")
        places.append(round(y, 6))
        y += 1
    return places, headings


def truth_figure(summary: Summary) -> tuple[Figure, str] | None:
    """How right the labels are that methods give; and its caption."""
    panels = truth_panels(summary)
    if not panels:
        return None
    return draw_truth_scores(panels), (
        "Labels of the training images against the truth, which the method never sees: mean over replicates with 95 % "
        "t-intervals. A is the target, B the extra set; right: the likeliest label by A's criteria. Kept: what a model "
        "trained on A agrees with; rest: what it does not."
    )


def labels_figure(summary: Summary) -> tuple[Figure, str] | None:
    """Labels in the plane of valence and arousal, before and after; and its caption."""
    arms = arm_planes(summary, MOST_ARMS + 1)
    if not arms:
        return None
    return draw_label_planes(arms[:MOST_ARMS], summary.study.data.classes), _planes_words(arms)


def _grid_words(arms: Sequence[ArmPlanes]) -> str:
    if any(is_grid(plane.va_N2) for arm in arms for plane in arm.planes.values()):
        return f" {GRID_WORDS}"
    return ""


def _planes_words(arms: Sequence[ArmPlanes]) -> str:
    replicates = listed([str(number) for number in sorted({arm.replicate for arm in arms[:MOST_ARMS]})])
    more = f" The first {MOST_ARMS} arms whose labels differ." if len(arms) > MOST_ARMS else ""
    word = "replicates" if " " in replicates else "replicate"
    return (
        f"Labels in the valence/arousal plane ({word} {replicates}), at most {POINTS:,} points a panel. Colour "
        "and shape: class; large: class centres of what is shown; open: those of A, to which B is mapped. "
        f"The number in a corner counts the images.{_grid_words(arms)}{more}"
    )
