"""Pictures of one cell's attention: a face of each class, and the map over it, in the manner of DDAF's Figure 6."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from raysweep.artifacts.array_file import Array
from raysweep.artifacts.attention_maps import AttentionMaps

SIDE = 112
"""Pixels of a drawn face, its longer side."""

RIGHT, WRONG = "#222222", "#B03A00"
"""Colours of a prediction."""

_TILE, _GAP, _WORDS = 1.18, 0.06, 0.22
"""Inches: a face, the space between two, a line of words."""

_QUICK = {"compress_level": 2}


def draw_attention(attention: AttentionMaps, classes: Sequence[str], folder: Path) -> None:
    """`attention.png` in `folder`; nothing where no face was kept."""
    if len(attention.shown):
        draw_faces(attention, classes).savefig(folder / "attention.png", dpi=100, pil_kwargs=_QUICK)


def draw_faces(attention: AttentionMaps, classes: Sequence[str]) -> Figure:
    """One column a class: its first face, the map over it, what the model predicts. Scaled map by map."""
    faces = attention.first_faces()
    width = len(faces) * (_TILE + _GAP) + _GAP
    figure = Figure(figsize=(width, 2 * (_TILE + _WORDS) + 3 * _GAP))
    axes = inches(figure)
    for column, (k, m) in enumerate(faces.items()):
        x, n = _GAP + column * (_TILE + _GAP), int(attention.shown[m])
        axes.text(x + _TILE / 2, _WORDS / 2 + _GAP, classes[k], ha="center", va="center", fontsize=9)
        tile(axes, enlarged(attention.pixels[m]), x, _WORDS + _GAP, _TILE)
        y = _WORDS + _TILE + 2 * _GAP
        tile(axes, overlaid(attention.pixels[m], attention.maps[n]), x, y, _TILE)
        text, color = prediction(attention.probs[n], k, classes)
        axes.text(x + _TILE / 2, y + _TILE + _WORDS / 2, text, ha="center", va="center", fontsize=8, color=color)
    return figure


def prediction(probs_K: Array, label: int, classes: Sequence[str]) -> tuple[str, str]:
    """The likeliest class with its probability, and the colour of it being right or wrong."""
    guess = int(probs_K.argmax())
    return f"{classes[guess]} {probs_K[guess]:.2f}", RIGHT if guess == label else WRONG


def inches(figure: Figure) -> Axes:
    """Axes over the whole figure without frame: x to the right, y down, in inches."""
    axes = figure.add_axes((0, 0, 1, 1))
    width, height = figure.get_size_inches()
    axes.axis("off")
    axes.set(xlim=(0, width), ylim=(height, 0))
    return axes


def tile(axes: Axes, pixels: Array, x: float, y: float, side: float) -> None:
    """A picture (H, W, 3) in a square of `side` inches whose upper left corner is there, in the middle of it."""
    height, width = (side * length / max(pixels.shape[:2]) for length in pixels.shape[:2])
    left, top = x + (side - width) / 2, y + (side - height) / 2
    axes.imshow(pixels, extent=(left, left + width, top + height, top), aspect="auto")


def enlarged(pixels_HW3: Array) -> Array:
    """The face with `SIDE` pixels on its longer side."""
    return np.asarray(Image.fromarray(pixels_HW3).resize(_size(pixels_HW3), Image.Resampling.BICUBIC))


def overlaid(pixels_HW3: Array, map_hw: Array) -> Array:
    """The face in grey and dimmed, the map over it from clear (0) to strong yellow (its maximum).

    Between places the map is interpolated, as usual. A map that is 0 everywhere leaves the grey face.
    """
    face = Image.fromarray(pixels_HW3).convert("L").resize(_size(pixels_HW3), Image.Resampling.BICUBIC)
    grey = 0.85 * np.repeat(np.asarray(face, dtype=np.float64)[:, :, None] / 255, 3, axis=2)
    scaled = Image.fromarray((map_hw / (map_hw.max() or 1.0)).astype(np.float32))
    heat = np.asarray(scaled.resize(_size(pixels_HW3), Image.Resampling.BICUBIC), dtype=np.float64).clip(0, 1)
    alpha = 0.7 * heat[:, :, None] ** 0.7
    color = mpl.colormaps["inferno"](0.25 + 0.7 * heat)[:, :, :3]
    return np.asarray(np.rint(255 * ((1 - alpha) * grey + alpha * color)), dtype=np.uint8)


def _size(pixels_HW3: Array) -> tuple[int, int]:
    """Width and height of the face as it is drawn."""
    height, width = pixels_HW3.shape[:2]
    scale = SIDE / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))
