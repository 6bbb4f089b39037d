"""A page of built-in faces, to judge the data set and whether faces show their labels."""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from raysweep.data.expressions import AFFECTNET_MEANS, EXPRESSIONS
from raysweep.data.synthetic import Affect, affect_at, render_faces, sample_affect
from raysweep.data.synthetic.raters import class_log_likelihoods
from raysweep.data.synthetic.render import MIN_SIZE

_INK, _QUIET = "#1f2933", "#66727f"
_GAP, _DPI = 3, 100
_PEOPLE = (7, 44, 14, 38, 21, 49, 3, 46, 23, 27)
"""Identity numbers chosen for variety of skin, hair, age and glasses."""
_PERSON = 7
"""Identity number of the person shown over the whole valence-arousal plane."""
_VALENCES = (-0.9, -0.6, -0.3, 0.0, 0.3, 0.6, 0.9)
_AROUSALS = (0.8, 0.4, 0.0, -0.4, -0.8)


def draw_contact_sheet(path: Path, seed: int = 0, size: int = 96) -> None:
    """Write one PNG, about 1,100 pixels wide at size 96; every face is shown pixel by pixel.

    Above: rows of classes, columns of people, without variation of pose, light and noise. Below, at two thirds
    of the size: one person over the valence-arousal plane, and samples as a model sees them.
    """
    small = max(MIN_SIZE, size * 2 // 3)
    classes, plane, samples = class_faces(seed, size), plane_faces(seed, small), sample_faces(seed, small)
    (tall, wide), (low, half) = _extent(classes), _extent(plane)
    sheet = _Sheet(width=90 + wide + 16, height=46 + tall + 60 + low + 52)
    axes = sheet.show(classes, 90, 46, "Eight expressions, ten people, nothing else varies")
    axes.set_yticks([row + 0.5 for row in range(len(EXPRESSIONS))], EXPRESSIONS, fontsize=10.5, color=_INK)
    axes = sheet.show(plane, 66, 46 + tall + 60, "One person over the affect plane")
    axes.set_xticks([c + 0.5 for c in range(len(_VALENCES))], [f"{v:+.1f}" for v in _VALENCES])
    axes.set_yticks([r + 0.5 for r in range(len(_AROUSALS))], [f"{a:+.1f}" for a in _AROUSALS])
    axes.set_xlabel("valence", fontsize=9.5, color=_QUIET)
    axes.set_ylabel("arousal", fontsize=9.5, color=_QUIET)
    axes = sheet.show(samples, sheet.width - 16 - half, 46 + tall + 60, "As a model sees them")
    axes.set_xlabel("pose, light, blur, noise and occlusion vary on their own", fontsize=9.5, color=_QUIET)
    sheet.save(path)


def class_faces(seed: int, size: int) -> Tensor:
    """Every class at its mean affect on several people. Shape (K, people, 3, size, size) uint8."""
    classes = torch.arange(len(EXPRESSIONS)).repeat_interleave(len(_PEOPLE))
    people = torch.tensor(_PEOPLE).repeat(len(EXPRESSIONS))
    affect = affect_at(classes, torch.tensor(AFFECTNET_MEANS)[classes])
    faces = render_faces(people, people, affect, size, seed, nuisance=0.0)
    return faces.view(len(EXPRESSIONS), len(_PEOPLE), 3, size, size)


def plane_faces(seed: int, size: int) -> Tensor:
    """One person over the plane, arousal falling, valence rising. Shape (5, 7, 3, size, size) uint8."""
    arousal, valence = torch.meshgrid(torch.tensor(_AROUSALS), torch.tensor(_VALENCES), indexing="ij")
    va = torch.stack([valence.flatten(), arousal.flatten()], 1)
    person = torch.full((len(va),), _PERSON)
    faces = render_faces(person, person, _affect_of_points(va), size, seed, nuisance=0.0)
    return faces.view(len(_AROUSALS), len(_VALENCES), 3, size, size)


def sample_faces(seed: int, size: int, rows: int = 5, columns: int = 7) -> Tensor:
    """Samples with variation as in the data set, classes in turn. Shape (rows, columns, 3, size, size) uint8."""
    indices = torch.arange(rows * columns)
    affect = sample_affect(indices, indices % len(EXPRESSIONS), seed)
    return render_faces(indices, indices, affect, size, seed).view(rows, columns, 3, size, size)


def _affect_of_points(va_N2: Tensor) -> Affect:
    """Affect of points without a class: a blend of the expressions that are likely at the point."""
    weights = (class_log_likelihoods(va_N2) / 3).softmax(1)
    likeliest = affect_at(weights.argmax(1), va_N2)
    return Affect(likeliest.expressions, va_N2, likeliest.intensity, weights)


class _Sheet:
    """A white page laid out in pixels from its upper left corner."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
        FigureCanvasAgg(self._figure)

    def show(self, faces: Tensor, left: int, top: int, title: str) -> Axes:
        """Place a grid of faces (R, C, 3, s, s); one data unit is one face."""
        page = _tile(faces)
        high, wide = page.shape[:2]
        box = (left / self.width, 1 - (top + high) / self.height, wide / self.width, high / self.height)
        axes = self._figure.add_axes(box)
        axes.imshow(page.numpy(), interpolation="nearest", extent=(0, faces.shape[1], faces.shape[0], 0), aspect="auto")
        axes.set_title(title, loc="left", fontsize=12, color=_INK, fontweight="bold", pad=9)
        axes.set_frame_on(False)
        axes.tick_params(length=0, colors=_QUIET, labelsize=9, pad=5)
        axes.set_xticks([])
        axes.set_yticks([])
        return axes

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._figure.savefig(path, dpi=_DPI, metadata={"Software": None})


def _extent(faces: Tensor) -> tuple[int, int]:
    """Height and width in pixels of a tiled grid (R, C, 3, s, s)."""
    rows, columns, _, size, _ = faces.shape
    return rows * (size + _GAP) - _GAP, columns * (size + _GAP) - _GAP


def _tile(faces: Tensor) -> Tensor:
    """Rows and columns of faces as one picture with white gaps. (R, C, 3, s, s) to (H, W, 3) uint8."""
    rows, columns, _, size, _ = faces.shape
    pitch = size + _GAP
    page = torch.full((rows, pitch, columns, pitch, 3), 255, dtype=torch.uint8)
    page[:, :size, :, :size] = faces.permute(0, 3, 1, 4, 2)
    return page.reshape(rows * pitch, columns * pitch, 3)[:-_GAP, :-_GAP]
