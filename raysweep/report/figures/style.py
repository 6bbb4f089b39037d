"""How figures look: one style, colours that colour-blind readers tell apart, and files without dates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import Collection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

WIDTH = 7.2
"""Inches: a two-column text width."""

INK = "#222222"
FAINT = "#8a8a8a"
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's, the strong ones first. The reference is drawn in ink."""

MARKERS = ("s", "^", "D", "v", "P", "X")

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
    "axes.edgecolor": "#555555",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.85,
    "legend.fontsize": 8,
    "pdf.fonttype": 42,
    "text.usetex": False,
    "text.parse_math": False,  # a level may hold a dollar sign
}


@contextmanager
def style() -> Iterator[None]:
    """The style, whatever the reader's matplotlibrc says, for as long as the block lasts."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def look(index: int, is_reference: bool) -> tuple[str, str]:
    """Colour and marker of the index-th line."""
    return (INK, "o") if is_reference else (COLORS[index % len(COLORS)], MARKERS[index % len(MARKERS)])


def shades(references: Sequence[bool]) -> list[str]:
    """Colours of lines in order, light to dark, for levels that are numbers; the reference in ink."""
    count = max(len(references) - 1, 1)
    scale = mpl.colormaps["viridis"]
    return [INK if ref else to_hex(scale(0.88 - 0.75 * i / count)) for i, ref in enumerate(references)]


def looks(references: Sequence[bool]) -> list[tuple[str, str]]:
    """Colour and marker of every line; the reference does not use one up."""
    others = iter(range(len(references)))
    return [look(0, True) if is_reference else look(next(others), False) for is_reference in references]


def save(figure: Figure, folder: Path, stem: str) -> list[Path]:
    """`stem.png` and `stem.pdf` without dates and versions: equal figures give equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    png, pdf = folder / f"{stem}.png", folder / f"{stem}.pdf"
    figure.savefig(png, dpi=160, metadata={"Software": None})
    figure.savefig(pdf, metadata={"CreationDate": None, "Producer": None, "Creator": None})
    return [png, pdf]


def contents(figure: Figure) -> str:
    """A digest of what a figure shows: points, pictures, colours, words, limits; not of how they are rendered."""
    parts: list[object] = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        parts += [
            _rounded([*axes.get_xlim(), *axes.get_ylim()]),
            axes.get_title(),
            axes.get_xlabel(),
            axes.get_ylabel(),
        ]
        parts += [_artist(artist) for artist in axes.get_children()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _artist(artist: Artist) -> list[object]:
    """What an artist draws. Ticks and frames, which matplotlib makes by itself, say nothing."""
    if isinstance(artist, Line2D):
        return ["line", _rounded(artist.get_xydata()), to_hex(artist.get_color()), str(artist.get_marker())]
    if isinstance(artist, AxesImage):
        return ["image", _rounded(artist.get_array())]
    if isinstance(artist, Text):
        return ["text", artist.get_text(), _rounded(artist.get_position())]
    if isinstance(artist, Legend):
        return ["legend", *(text.get_text() for text in artist.get_texts())]
    if isinstance(artist, Collection):
        paths = [_rounded(path.vertices) for path in artist.get_paths()]
        return ["collection", _rounded(artist.get_offsets()), paths, _rounded(artist.get_facecolor())]
    if isinstance(artist, Patch):
        return ["patch", _rounded(artist.get_path().vertices), _rounded(artist.get_facecolor())]
    return []


def _rounded(values: object) -> list[object]:
    """Five significant digits: the last bits of a mean differ between machines."""
    numbers: np.ndarray = np.ma.filled(np.ma.asarray(values, dtype=float), np.nan)
    return [f"{value:.5g}" for value in numbers.ravel()]
