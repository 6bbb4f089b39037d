"""Attention (DDAF, Figure 6): faces with maps of several models over them, and how alike maps stay along an axis."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from raysweep.artifacts.attention_maps import AttentionMaps, is_flat, mean_likeness
from raysweep.artifacts.study_record import AxisRecord
from raysweep.core.formatting import arm_name
from raysweep.plotting.attention import enlarged, inches, overlaid, prediction, tile
from raysweep.report.formatting import listed, plural
from raysweep.report.results.aggregate import ArmSummary, Summary
from raysweep.report.results.statistics import paired, spread
from raysweep.report.tables.arms import difference_words

from .chosen_arms import second_axis, side_by_side, some, standing
from .scores import Line, Point, ScorePanel, frame, interval_handles, line_styles, rest_name
from .style import FAINT, WIDTH

Maps = Mapping[tuple[str, int], AttentionMaps]
"""By name of the arm and replicate, complete cells only."""

MOST_FACES = 4

_LEFT, _GAP, _APART, _WORDS = 0.24, 0.05, 0.16, 0.17
"""Inches: the names of the rows, the space between two faces and between groups, a line of words."""

_SIDE, _PANEL = 1.3, 2.5
"""Inches: a face, at most; the panel below."""


@dataclass(frozen=True, eq=False)
class Gallery:
    """Faces under several models. `columns`: (words above the group a model is in, level of the compared axis).

    `looks`: maps of the same images, one a column; `faces`: class to the number of its image among those with pixels;
    `fixed`: levels of further axes.
    """

    columns: tuple[tuple[str, str], ...]
    looks: tuple[AttentionMaps, ...]
    faces: Mapping[int, int]
    replicate: int
    fixed: Mapping[str, str]

    @property
    def places(self) -> tuple[int, int]:
        """Height and width of a map."""
        _, height, width = self.looks[0].maps.shape
        return height, width

    @property
    def flat(self) -> int:
        """Maps of faces that are 0 everywhere."""
        rows = self.looks[0].shown[list(self.faces.values())]
        return sum(not face.any() for looks in self.looks for face in looks.maps[rows])


@dataclass(frozen=True)
class Constancy:
    """How alike maps stay along an axis: mean likeness to the maps at its lowest level, by replicate.

    `between`: by name of the line, the mean over pairs of replicates at the lowest level: what another seed alone does.
    `images`: maps a cell; `flat`: share of all maps that are the same everywhere.
    """

    axis: AxisRecord
    first: str
    lines: tuple[Line, ...]
    between: Mapping[str, float]
    images: int
    flat: float


def gallery(summary: Summary) -> Gallery | None:
    """The compared arms at the lowest and the highest level of another axis, in the first replicate that has most.

    None when the first complete cell has no maps (a launch of an earlier version): the others are like it.
    """
    study, other = summary.study, second_axis(summary.study)
    wanted = [(group, name, arm) for group, name, where in side_by_side(study, other) if (arm := summary.arm(where))]
    if not _has_maps([arm for _, _, arm in wanted]):
        return None
    best: list[tuple[tuple[str, str], AttentionMaps]] = []
    replicate = 0
    for number in study.replicates:
        cells = [((g, name), cell) for g, name, arm in wanted for cell in arm.cells
                 if cell.complete and cell.replicate == number]  # fmt: skip
        found = [(column, looks) for column, cell in cells if (looks := cell.attention())]
        found = [(column, looks) for column, looks in found if found[0][1].same_images(looks)]
        if len(found) > len(best):
            best, replicate = found, number
        if len(best) == len(wanted):
            break
    shown = {study.compared_axis.name, *([other.name] if other else [])}
    fixed = {axis: level for axis, level in standing(study).items() if axis not in shown}
    first = best[0][1].first_faces() if best else {}
    kept = some([str(k) for k in first], MOST_FACES)
    faces = {k: m for k, m in first.items() if str(k) in kept}
    columns, looks_of_each = tuple(column for column, _ in best), tuple(looks for _, looks in best)
    return Gallery(columns, looks_of_each, faces, replicate, fixed) if faces else None


def constancy(summary: Summary) -> Constancy | None:
    """Along the numeric axis that is not compared; None without one, or without two levels to compare."""
    axis = second_axis(summary.study)
    if axis is None or not axis.numeric or not _has_maps(summary.arms):
        return None
    first, *further = sorted(axis.levels, key=float)
    there = {
        (arm.name, cell.replicate): looks
        for arm in summary.arms
        for cell in arm.cells
        if cell.complete and (looks := cell.attention())
    }
    lines: list[Line] = []
    between: dict[str, float | None] = {}
    for base in (arm for arm in summary.arms if arm.coordinates[axis.name] == first):
        points = tuple(_points(there, base, axis, further))
        if points:
            lines.append(Line(rest_name(base.coordinates, axis), points, base.is_reference))
            between[lines[-1].name] = _between(there, base)
    if not lines:
        return None
    flat = np.concatenate([is_flat(looks.maps) for looks in there.values()])
    images = max(len(looks.rows) for looks in there.values())
    known = {name: mean for name, mean in between.items() if mean is not None}
    return Constancy(axis, first, tuple(lines), known, images, float(flat.mean()))


def _points(there: Maps, base: ArmSummary, axis: AxisRecord, further: Sequence[str]) -> Iterator[Point]:
    """The arms that differ from `base` in the axis alone: likeness to its maps in the same replicate."""
    for level in further:
        arm = arm_name({**base.coordinates, axis.name: level})
        numbers = [cell.replicate for cell in base.cells]
        means = {r: mean_likeness(there.get((base.name, r)), there.get((arm, r))) for r in numbers}
        values = {r: mean for r, mean in means.items() if mean is not None}
        if (found := spread(list(values.values()))) is not None:
            yield Point(float(level), values, found, is_reference=False)


def _between(there: Maps, arm: ArmSummary) -> float | None:
    """Mean likeness over pairs of replicates of one arm."""
    looks = [there.get((arm.name, cell.replicate)) for cell in arm.cells]
    means = [mean_likeness(*pair) for pair in itertools.combinations(looks, 2)]
    known = [mean for mean in means if mean is not None]
    return sum(known) / len(known) if known else None


def _has_maps(arms: Sequence[ArmSummary]) -> bool:
    first = next((cell for arm in arms for cell in arm.cells if cell.complete), None)
    return first is not None and first.attention() is not None


def draw_attention(shown: Gallery, along: Constancy | None, classes: Sequence[str]) -> Figure:
    """Faces down, models across in their groups; below, `along` where there is one."""
    groups = len({group for group, _ in shown.columns})
    count = len(shown.columns) + 1
    gaps = (count - 1) * _GAP + groups * (_APART - _GAP)
    side = min(_SIDE, (WIDTH - _LEFT - gaps - _GAP) / count)
    width = WIDTH if along else _LEFT + gaps + _GAP + count * side
    height = 2 * _WORDS + 0.05 + len(shown.faces) * (side + _WORDS + 0.03) + (_PANEL if along else 0.03)
    figure = Figure(figsize=(width, height), dpi=150)
    axes = inches(figure)
    _draw_faces(axes, shown, classes, side)
    if along:
        panel = figure.add_axes((0.62 / width, 0.45 / height, 1 - 0.72 / width, (_PANEL - 0.8) / height))
        _draw_constancy(panel, along)
    return figure


def _draw_faces(axes: Axes, shown: Gallery, classes: Sequence[str], side: float) -> None:
    places = _places([group for group, _ in shown.columns], side)
    for row, (k, m) in enumerate(shown.faces.items()):
        y = 2 * _WORDS + 0.05 + row * (side + _WORDS + 0.03)
        pixels, n = shown.looks[0].pixels[m], shown.looks[0].shown[m]
        axes.text(_LEFT - 0.05, y + side / 2, classes[k], rotation=90, ha="right", va="center", fontsize=8)
        tile(axes, enlarged(pixels), _LEFT, y, side)
        for x, looks in zip(places, shown.looks, strict=True):
            tile(axes, overlaid(pixels, looks.maps[n]), x, y, side)
            text, color = prediction(looks.probs[n], k, classes)
            axes.text(x + side / 2, y + side + 0.55 * _WORDS, text, ha="center", va="center", fontsize=6, color=color)
    axes.text(_LEFT + side / 2, 1.6 * _WORDS, "face", ha="center", va="center", fontsize=8, color=FAINT)
    for x, (_, name) in zip(places, shown.columns, strict=True):
        axes.text(x + side / 2, 1.6 * _WORDS, name, ha="center", va="center", fontsize=8)
    for group, members in itertools.groupby(zip(places, shown.columns, strict=True), key=lambda one: one[1][0]):
        xs = [x for x, _ in members]
        middle = (xs[0] + xs[-1] + side) / 2
        axes.text(middle, 0.6 * _WORDS, group, ha="center", va="center", fontsize=8.5, weight="bold")


def _places(groups: Sequence[str], side: float) -> list[float]:
    """Left edges of the columns, groups apart."""
    x, before, found = _LEFT + side, None, []
    for group in groups:
        x += _APART if group != before else _GAP
        found.append(x)
        x, before = x + side, group
    return found


def _draw_constancy(axes: Axes, along: Constancy) -> None:
    """Means with 95 % t-intervals and faint replicates, a little apart; crosses at the lowest level: other seeds."""
    styles = line_styles(along.lines)
    levels = sorted({float(along.first), *(point.x for line in along.lines for point in line.points)})
    step = 0.05 * min(right - left for left, right in itertools.pairwise(levels))
    middle = (len(along.lines) - 1) / 2
    for index, line in enumerate(along.lines):
        color, marker = styles[line.name]
        shift = (index - middle) * step
        for point in line.points:
            x, spread = point.x + shift, point.spread
            axes.scatter([x] * len(point.values), list(point.values.values()), s=8, color=color, alpha=0.35, lw=0)
            if spread.low is not None and spread.high is not None:
                axes.plot([x, x], [spread.low, spread.high], color=color, lw=1.3)
        means = [point.spread.mean for point in line.points]
        axes.plot([point.x + shift for point in line.points], means, color=color, marker=marker, ms=5, lw=1.5,
                  label=line.name)  # fmt: skip
        if line.name in along.between:
            axes.plot(float(along.first) + shift, along.between[line.name], color=color, marker="x", ms=6, mew=1.5)
    axes.set_xlim(levels[0] - 2 * step, levels[-1] + 2 * step)
    axes.set_xticks(levels, [f"{level:g}" for level in levels])
    axes.set_xlabel(along.axis.name)
    axes.set_ylabel("correlation of maps")
    axes.set_title(f"Maps at {along.axis.name}={along.first} and further on, same replicate", loc="left", fontsize=8.5)
    panel = ScorePanel("likeness", along.lines)
    low, high, _ = frame(panel)
    ends = [low, high, *along.between.values()]
    reach = 0.06 * (max(ends) - min(ends))
    axes.set_ylim(min(ends) - reach, max(ends) + reach)
    handles = axes.get_legend_handles_labels()[0] + interval_handles([panel])
    if along.between:
        label = f"two replicates at {along.axis.name}={along.first}"
        handles.append(Line2D([], [], color=FAINT, ls="", marker="x", ms=6, mew=1.5, label=label))
    axes.legend(handles=handles, loc="best")


def attention_figure(summary: Summary) -> tuple[Figure, str] | None:
    """Faces with attention maps over them, and how these keep along an axis; and its caption."""
    shown = gallery(summary)
    if shown is None:
        return None
    kept = constancy(summary)
    return draw_attention(shown, kept, summary.study.data.classes), attention_words(shown, kept)


def attention_words(shown: Gallery, along: Constancy | None) -> str:
    """What the faces show, and where there is an axis to follow, what is compared along it."""
    where = f", {arm_name(shown.fixed)}" if shown.fixed else ""
    text = (
        f"Attention in the manner of DDAF's Figure 6 (replicate {shown.replicate}{where}): the first test image of "
        f"{plural(len(shown.faces), 'expression')} and Grad-CAM maps over it, what in feature maps of "
        f"{shown.places[0]} x {shown.places[1]} places speaks for the image's own label (the paper does not say for "
        "which class; derivatives are kept place by place, which in a ResNet changes nothing), each map scaled by its "
        "own maximum. Below each: the prediction, red-brown where it is wrong."
    )
    if shown.flat:
        text += " A grey face without colour: nothing speaks for the label."
    if along is None:
        return text
    at = f"{along.axis.name}={along.first}"
    text += (
        f" Below: Pearson's correlation between the map of an image at {at} and at a further level, same method and "
        f"replicate, mean over {plural(along.images, 'test image')}; mean and 95 % t-interval over replicates (faint: "
        "each). 1 is the same map."
    )
    if differences := _likeness_differences(along):
        text += f" {differences}"
    if along.between:
        text += f" Crosses: the same between two replicates at {at}, which differ in all seeds; mean over pairs."
    if along.flat:
        text += (
            f" {along.flat:.1%}".replace("%", " %") + " of all maps are the same everywhere; such a map against "
            "another one counts as 0, and two such are left out."
        )
    return text


def _likeness_differences(along: Constancy) -> str:
    """The lines at the last level against the reference's, or nothing without one."""
    reference = next((line for line in along.lines if line.is_reference), None)
    if reference is None:
        return ""
    last = reference.points[-1]
    found = []
    for line in along.lines:
        if line is not reference and line.points[-1].x == last.x:
            comparison = paired(line.points[-1].values, last.values)
            found += [f"{line.name} {difference_words(comparison)}"] if comparison is not None else []
    if not found:
        return ""
    where = f"{along.axis.name}={last.x:g}"
    return f"At {where} against {reference.name}: {listed(found)} (paired by replicate, exploratory: 95 % one by one)."
