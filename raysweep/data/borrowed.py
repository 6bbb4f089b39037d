"""Class Gaussians of another data set: DDAF 4.1 labels Aff-Wild with those of AffectNet's training images."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from raysweep.core.errors import UserError, unknown_name
from raysweep.core.hashing import file_checksum
from raysweep.labels.gaussians import ClassGaussians, class_gaussians

from .listing import TRAIN

if TYPE_CHECKING:
    from .prepare.location import Home

BOX = 1.0
"""`within_std` of the paper, section 4.2, for the Gaussians that give classes."""

BOXES = (BOX, None)
"""Values of `within_std` that are stored: the paper's box, and all points."""


@dataclass(frozen=True)
class BorrowedGaussians:
    """Gaussians of the classes of a data set that has none of its own.

    `origin`: their source, for captions; `fits`: by `labels.within_std`, float64; `reader`: the reader of that set.
    """

    origin: str
    fits: Mapping[float | None, ClassGaussians]
    reader: str = ""

    def within(self, std: float | None) -> ClassGaussians:
        """The Gaussians for this `within_std`. Raises UserError: they are not stored for it."""
        if std not in self.fits:
            raise UserError(
                f"`labels.within_std` must be 1.0 or none where Gaussians are borrowed ({self.origin}), but got {std}"
            )
        return self.fits[std]

    def moved(self, places: Sequence[int], count: int) -> BorrowedGaussians | None:
        """The Gaussians of `count` new classes; old class k becomes `places[k]`, or is dropped (-1). None where
        classes merge.

        A new class without an old one has prior 0; the other priors sum to 1.
        """
        kept = [(old, new) for old, new in enumerate(places) if new >= 0]
        if not kept or len({new for _, new in kept}) < len(kept):
            return None
        old, new = (torch.tensor(column) for column in zip(*kept, strict=True))
        fits = {std: _moved(fit, old, new, count) for std, fit in self.fits.items()}
        return BorrowedGaussians(self.origin, fits, self.reader)

    def numbers(self) -> dict[str, dict[str, list[object]]]:
        """`fits` as plain lists, for a manifest and a fingerprint."""
        return {
            str(std).lower(): {name: part.tolist() for name, part in fit._asdict().items()}
            for std, fit in self.fits.items()
        }

    @classmethod
    def of_numbers(
        cls, origin: str, numbers: Mapping[str, Mapping[str, Sequence[object]]], reader: str
    ) -> BorrowedGaussians:
        """The inverse of `numbers`."""

        def fit(parts: Mapping[str, Sequence[object]]) -> ClassGaussians:
            return ClassGaussians(*(torch.tensor(parts[name], dtype=torch.float64) for name in ClassGaussians._fields))

        return cls(
            origin, {None if std == "none" else float(std): fit(parts) for std, parts in numbers.items()}, reader
        )


def _moved(fit: ClassGaussians, old: Tensor, new: Tensor, count: int) -> ClassGaussians:
    priors, means = torch.zeros(count, dtype=torch.float64), torch.zeros(count, 2, dtype=torch.float64)
    covariances = torch.eye(2, dtype=torch.float64).repeat(count, 1, 1)
    priors[new] = fit.priors[old] / fit.priors[old].sum()
    means[new], covariances[new] = fit.means[old], fit.covariances[old]
    return ClassGaussians(priors, means, covariances)


def borrowed_gaussians(source: str, classes: Sequence[str]) -> BorrowedGaussians:
    """Priors, means and covariances of `classes`, fitted to the training images of a prepared set.

    Eq. 1 with the one-std box of section 4.2, as the authors fit AffectNet's, and without it. The set is read at the
    smallest size at which it is prepared: labels are equal at all of them.

    Args:
        source: its name, or PLACE/NAME where it is not beside other prepared sets.
        classes: names.

    Raises:
        UserError: no such prepared set, it lacks a class, or no training image of a class has valence and arousal.
    """
    from .prepare.location import home, is_name  # pydantic and pyarrow: not every reader needs them

    where, _, name = source.rpartition("/")
    place = home(where)
    sizes = place.sizes(name) if is_name(name) else []
    if not sizes:
        raise _not_prepared(place, name)
    manifest = place.manifest(name, sizes[0])
    assert manifest is not None
    lacking = [expression for expression in classes if expression not in manifest.classes]
    if lacking:
        advice = ": give --option classes=7" if lacking == ["contempt"] else ""
        raise UserError(f"gaussians={name}: {name} has no class {' or '.join(lacking)}{advice}")
    va, labels = _training(place, name, sizes[0])
    count = len(manifest.classes)
    places = [classes.index(own) if own in classes else -1 for own in manifest.classes]
    known = va.isfinite().all(1)
    counts = torch.bincount(labels[known], minlength=count).tolist()
    empty = [own for own, images in zip(manifest.classes, counts, strict=True) if own in classes and not images]
    if empty:
        raise UserError(f"gaussians={name}: no training image of {', '.join(empty)} in {name} has valence and arousal")
    used = sum(images for images, new in zip(counts, places, strict=True) if new >= 0)
    origin = f"priors, means and covariances of {used:,} training images of {name}"
    origin += "" if manifest.read_by == "affectnet" else ", which was not prepared from AffectNet's own release"
    fits = {std: class_gaussians(va, labels, count, std) for std in BOXES}
    moved = BorrowedGaussians(origin, fits, manifest.read_by).moved(places, len(classes))
    assert moved is not None
    return moved


def _not_prepared(place: Home, name: str) -> UserError:
    if name == "affectnet" or not place.names():
        return UserError(
            f"gaussians={name}: nothing is prepared under that name in {place.place}; prepare AffectNet first: "
            "`python -m raysweep.data prepare affectnet PATH`"
        )
    return unknown_name("prepared set", name, place.names(), f"(gaussians=, in {place.place})")


def _training(place: Home, name: str, size: int) -> tuple[Tensor, Tensor]:
    """Valence and arousal (N, 2) float64 and classes (N,) int64 of the training images with an expression."""
    from .prepare.manifest import LABELS
    from .prepare.reader import read_labels

    manifest = place.manifest(name, size)
    assert manifest is not None
    with tempfile.TemporaryDirectory(prefix="raysweep-") as draft:
        folder = place.folder(name, size)
        if not place.is_local:  # a URL: labels are fetched, images are not
            folder, path = Path(draft), f"{name}/{size}px/{LABELS}"
            fetched = place.files.fetch(path, folder / LABELS)
            if not fetched or file_checksum(folder / LABELS) != manifest.files[LABELS].sha256:
                raise UserError(f"{place.place}/{path} is not what its manifest says: prepare it again")
        va, labels, splits = read_labels(folder, manifest)
    rows = (splits == TRAIN) & (labels >= 0)
    return va[rows].double(), labels[rows]
