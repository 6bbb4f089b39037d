"""Attention by method, a row a data set (DDAF, Figure 6)."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raysweep.plotting.attention import enlarged, inches, overlaid, prediction, tile
from raysweep.report.figures.attention import Gallery, gallery
from raysweep.report.figures.style import FAINT, WIDTH
from raysweep.report.formatting import listed
from raysweep.report.results.aggregate import Summary

_LEFT, _GAP, _APART, _WORDS, _SIDE = 0.95, 0.05, 0.14, 0.17, 1.2
"""Inches: names of data sets, the space between faces and between groups, a line of words, a face at most."""


def galleries(summaries: Sequence[Summary]) -> dict[str, tuple[Gallery, Sequence[str]]]:
    """Name of the data set to its faces under its models, and its classes; of sets whose runs have maps."""
    found = {summary.study.data.name: (gallery(summary), summary.study.data.classes) for summary in summaries}
    return {name: (shown, classes) for name, (shown, classes) in found.items() if shown is not None}


def attention_together(summaries: Sequence[Summary]) -> tuple[Figure, str] | None:
    """One face a data set under the models of each; and its caption. None unless two sets have maps."""
    found = galleries(summaries)
    if len(found) < 2:
        return None
    lacking = [summary.study.data.name for summary in summaries if summary.study.data.name not in found]
    without = f" Without maps in their runs: {listed(lacking)}." if lacking else ""
    return draw_rows(found), (
        "Attention in the manner of DDAF's Figure 6: a row a data set, a column a method. Left the first test image "
        "of a class (another class in each row), then Grad-CAM maps for its label over it, each scaled by itself, and "
        f"what the model predicts.{without}"
    )


def chosen_face(shown: Gallery, row: int) -> tuple[int, int]:
    """Class and number of the face of a row: rows differ in class as long as there are classes."""
    faces = list(shown.faces.items())
    return faces[row % len(faces)]


def draw_rows(found: Mapping[str, tuple[Gallery, Sequence[str]]]) -> Figure:
    """Columns are those of all sets together; a set without a column leaves it empty."""
    columns = list(dict.fromkeys(column for shown, _ in found.values() for column in shown.columns))
    groups = len({group for group, _ in columns})
    gaps = len(columns) * _GAP + groups * (_APART - _GAP)
    side = min(_SIDE, (WIDTH - _LEFT - gaps) / (len(columns) + 1))
    width = _LEFT + gaps + (len(columns) + 1) * side
    figure = Figure(figsize=(width, 2 * _WORDS + 0.08 + len(found) * (side + _WORDS + 0.05)), dpi=150)
    axes = inches(figure)
    places = _places(columns, side)
    _draw_headings(axes, places, side)
    for row, (name, (shown, classes)) in enumerate(found.items()):
        y = 2 * _WORDS + 0.08 + row * (side + _WORDS + 0.05)
        axes.text(_LEFT - 0.08, y + side / 2, textwrap.fill(name, 15), ha="right", va="center", fontsize=8)
        _draw_row(axes, shown, classes, chosen_face(shown, row), places, (y, side))
    return figure


def _places(columns: Sequence[tuple[str, str]], side: float) -> dict[tuple[str, str], float]:
    """Left edge of every column, groups apart."""
    found, x, before = {}, _LEFT + side, None
    for column in columns:
        x += _APART if column[0] != before else _GAP
        found[column], before = x, column[0]
        x += side
    return found


def _draw_headings(axes: Axes, places: Mapping[tuple[str, str], float], side: float) -> None:
    axes.text(_LEFT + side / 2, 1.6 * _WORDS, "face", ha="center", va="center", fontsize=8, color=FAINT)
    for (_, name), x in places.items():
        axes.text(x + side / 2, 1.6 * _WORDS, name, ha="center", va="center", fontsize=8)
    for group, members in itertools.groupby(places.items(), key=lambda one: one[0][0]):
        xs = [x for _, x in members]
        axes.text((xs[0] + xs[-1] + side) / 2, 0.6 * _WORDS, group, ha="center", va="center", fontsize=8.5,
                  weight="bold")  # fmt: skip


def _draw_row(
    axes: Axes,
    shown: Gallery,
    classes: Sequence[str],
    face: tuple[int, int],
    places: Mapping[tuple[str, str], float],
    where: tuple[float, float],
) -> None:
    """`where`: y of the upper edge, and the side of a face."""
    (k, m), (y, side) = face, where
    pixels, n = shown.looks[0].pixels[m], shown.looks[0].shown[m]
    tile(axes, enlarged(pixels), _LEFT, y, side)
    below = y + side + 0.55 * _WORDS
    axes.text(_LEFT + side / 2, below, classes[k], ha="center", va="center", fontsize=7)
    for column, looks in zip(shown.columns, shown.looks, strict=True):
        x = places[column]
        tile(axes, overlaid(pixels, looks.maps[n]), x, y, side)
        text, color = prediction(looks.probs[n], k, classes)
        axes.text(x + side / 2, below, text, ha="center", va="center", fontsize=6.5, color=color)
