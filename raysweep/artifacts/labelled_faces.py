"""A few training faces with the labels that a cell made of them, and the class Gaussians behind these.

Imports neither matplotlib nor MLflow. K classes; M faces of the set that every epoch trains on, L of an extra set.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar, TypeVar

from .array_file import Array, ArrayFile


@dataclass(frozen=True, eq=False)
class TrainedFaces:
    """Faces of the set that every epoch trains on: the first part of `LabelledFaces`, by the same names."""

    pixels: Array
    labels_true: Array
    labels: Array
    va: Array
    mixed: Array
    fused: Array


@dataclass(frozen=True, eq=False)
class ExtraFaces:
    """Faces of an extra set, before and after it was adapted."""

    pixels: Array
    labels_given: Array
    labels_new: Array
    va_given: Array
    va_new: Array


@dataclass(frozen=True, eq=False)
class GaussianArrays:
    """Gaussians of the classes; a class of prior 0 has none."""

    priors: Array
    means: Array
    covariances: Array


@dataclass(frozen=True, eq=False)
class LabelledFaces(ArrayFile):
    """Faces, one a class and classes in order; each of the three parts may lack.

    `pixels` (M, H, W, 3) uint8; `labels_true` (M,) before label noise, `labels` (M,) as given; `va` (M, 2) as trained
    on, NaN where unknown; `mixed` (M, K): p(y|x) of VA or votes, NaN where the given label is kept; `fused` (M, K): the
    target. `extra_*` (L, ...): of what M_A does not agree with, before (`_given`) and after (`_new`) mapping and
    relabelling. `priors` (K,), `means` (K, 2), `covariances` (K, 2, 2): of the Gaussians that `mixed` comes from.
    """

    FILE: ClassVar[str] = "faces.npz"

    pixels: Array | None = None
    labels_true: Array | None = None
    labels: Array | None = None
    va: Array | None = None
    mixed: Array | None = None
    fused: Array | None = None
    extra_pixels: Array | None = None
    extra_labels_given: Array | None = None
    extra_labels_new: Array | None = None
    extra_va_given: Array | None = None
    extra_va_new: Array | None = None
    priors: Array | None = None
    means: Array | None = None
    covariances: Array | None = None

    @property
    def trained(self) -> TrainedFaces | None:
        """The first part."""
        return _part(self, TrainedFaces)

    @property
    def extra(self) -> ExtraFaces | None:
        """The part of the extra set."""
        return _part(self, ExtraFaces, "extra_")

    @property
    def gaussians(self) -> GaussianArrays | None:
        """The part of the Gaussians."""
        return _part(self, GaussianArrays)

    def __post_init__(self) -> None:
        faces = ("pixels", "labels_true", "labels", "va", "mixed", "fused")
        extra = ("extra_pixels", "extra_labels_given", "extra_labels_new", "extra_va_given", "extra_va_new")
        for part in (faces, extra, ("priors", "means", "covariances")):
            self._check_part(part)
        if self.mixed is not None and self.fused is not None and self.labels is not None:
            count, classes = len(self.labels), self.fused.shape[1]
            if self.mixed.shape != self.fused.shape or (count and int(self.labels.max()) >= classes):
                raise ValueError(f"labels of {classes} classes do not belong together")

    def _check_part(self, names: tuple[str, ...]) -> None:
        arrays = {name: getattr(self, name) for name in names}
        if all(array is None for array in arrays.values()):
            return
        if lacking := [name for name, array in arrays.items() if array is None]:
            raise ValueError(f"{lacking[0]} is missing")
        count = len(arrays[names[0]]) if arrays[names[0]].ndim else -1
        for name, array in arrays.items():
            kind, ends = _shape(name.removeprefix("extra_").split("_")[0])
            fits = array.dtype.kind in kind and array.ndim == 1 + len(ends) and len(array) == count
            sizes = array.shape[1:] if fits else ()
            if not fits or any(end not in (None, size) for end, size in zip(ends, sizes, strict=True)):
                raise ValueError(f"{name} is {array.dtype} {array.shape}")


Part = TypeVar("Part")


def _part(faces: LabelledFaces, part: type[Part], prefix: str = "") -> Part | None:
    """A part, or None where it lacks; `__post_init__` has seen that no array of it does."""
    arrays = {field.name: getattr(faces, prefix + field.name) for field in fields(part)}  # type: ignore[arg-type]
    return None if any(array is None for array in arrays.values()) else part(**arrays)


def _shape(what: str) -> tuple[str, tuple[int | None, ...]]:
    """Kinds of numbers, and lengths of the axes after the first; None: any."""
    shapes: dict[str, tuple[str, tuple[int | None, ...]]] = {
        "pixels": ("u", (None, None, 3)),
        "labels": ("iu", ()),
        "va": ("f", (2,)),
        "mixed": ("f", (None,)),
        "fused": ("f", (None,)),
        "priors": ("f", ()),
        "means": ("f", (2,)),
        "covariances": ("f", (2, 2)),
    }
    return shapes[what]
