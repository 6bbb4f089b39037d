"""Drawing attention in the manner of DDAF's Figure 6, and below it how alike maps stay along an axis."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from raysweep.core.formatting import arm_name
from raysweep.plotting.attention import enlarged, inches, overlaid, prediction, tile
from raysweep.report.formatting import listed, plural
from raysweep.report.results.aggregate import Summary
from raysweep.report.results.statistics import paired
from raysweep.report.tables.arms import difference_words

from .attention_data import Constancy, Gallery, constancy, gallery
from .scores import count_words, frame, line_styles
from .series import ScorePanel
from .style import FAINT, WIDTH

_LEFT, _GAP, _APART, _WORDS = 0.24, 0.05, 0.16, 0.17
"""Inches: the names of the rows, the space between two faces and between groups, a line of words."""

_SIDE = 1.3
"""Inches: a face, at most."""

_PANEL = 2.5


def draw_attention(shown: Gallery, along: Constancy | None, classes: Sequence[str]) -> Figure:
    """Faces down, models across in their groups; below, `along` where there is one."""
    groups = len({group for group, _ in shown.columns})
    count = len(shown.columns) + 1
    gaps = (count - 1) * _GAP + groups * (_APART - _GAP)
    side = min(_SIDE, (WIDTH - _LEFT - gaps - _GAP) / count)
    width = WIDTH if along else _LEFT + gaps + _GAP + count * side
    top = 2 * _WORDS + 0.05
    faces = top + len(shown.faces) * (side + _WORDS + 0.03)
    height = faces + (_PANEL if along else 0.03)
    figure = Figure(figsize=(width, height), dpi=150)
    axes = inches(figure)
    _draw_faces(axes, shown, classes, side)
    if along:
        panel = figure.add_axes((0.62 / width, 0.45 / height, 1 - 0.72 / width, (_PANEL - 0.8) / height))
        _draw_constancy(panel, along)
    return figure


def _draw_faces(axes: Axes, shown: Gallery, classes: Sequence[str], side: float) -> None:
    places = _places([group for group, _ in shown.columns], side)
    for row, face in enumerate(shown.faces):
        y = 2 * _WORDS + 0.05 + row * (side + _WORDS + 0.03)
        axes.text(_LEFT - 0.05, y + side / 2, classes[face.label], rotation=90, ha="right", va="center", fontsize=8)
        tile(axes, enlarged(face.pixels), _LEFT, y, side)
        for x, one in zip(places, face.tiles, strict=True):
            tile(axes, overlaid(face.pixels, one.map), x, y, side)
            words, color = prediction(one.probs, face.label, classes)
            axes.text(x + side / 2, y + side + 0.55 * _WORDS, words, ha="center", va="center", fontsize=6, color=color)
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
    low, high, _ = frame(ScorePanel("likeness", along.lines))
    ends = [low, high, *along.between.values()]
    reach = 0.06 * (max(ends) - min(ends))
    axes.set_ylim(min(ends) - reach, max(ends) + reach)
    _legend(axes, along)


def _legend(axes: Axes, along: Constancy) -> None:
    handles, labels = axes.get_legend_handles_labels()
    points = [point for line in along.lines for point in line.points]
    if max(point.spread.n for point in points) > 1:
        cut = " (some leave the frame)" if frame(ScorePanel("likeness", along.lines))[2] else ""
        handles.append(Line2D([], [], color=FAINT, lw=1.3))
        labels.append(f"95 % t-interval, {count_words(points)}{cut}")
    if along.between:
        handles.append(Line2D([], [], color=FAINT, ls="", marker="x", ms=6, mew=1.5))
        labels.append(f"two replicates at {along.axis.name}={along.first}")
    axes.legend(handles, labels, loc="best")


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
