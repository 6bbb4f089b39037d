"""`FaceData`: images of faces and their annotations, as plain tensors; images may stay on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from pydantic import ConfigDict
from torch import Tensor

from .borrowed import BorrowedGaussians
from .image_subset import Images, pick
from .listing import TEST, TRAIN, VALIDATION

__all__ = ["TEST", "TRAIN", "VALIDATION", "DatasetInfo", "FaceData"]


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a data set besides what is trained on. Tensors have a row an image; N images, K classes.

    Of built-in faces, None for photographs:
        truth_expressions: true expression as a place in `EXPRESSIONS`, (N,) int64 in [0, 8).
        truth_va: true valence and arousal, (N, 2) float32 in [-1, 1].
        rater_probs: probability that one of the set's raters names each class, (N, K) float32, rows sum to 1.
        target_probs: the same of a rater of site A; None for "faces", which is of no site.
        pictures: numbers of the pictures (`synthetic.build.picture_numbers`), (N,) int64.
        version, sites_version: `FACES_VERSION`, and `SITES_VERSION` of a site.

    Of photographs:
        reader: which reader read them; "" where that was not recorded, None for built-in faces.
        options: of the reader, as they were given, by name.
        problems: what the reader could not use, "kind: count".
        remarks: sentences of the reader on what it passed over.
        bad_rows: the first rows that were left out, "where: kind: detail".

    Of any set whose classes were changed:
        came_with: the classes before; empty where they were not.
    """

    __pydantic_config__ = ConfigDict(arbitrary_types_allowed=True)

    truth_expressions: Tensor | None = None
    truth_va: Tensor | None = None
    rater_probs: Tensor | None = None
    target_probs: Tensor | None = None
    pictures: Tensor | None = None
    version: int | None = None
    sites_version: int | None = None
    reader: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    bad_rows: tuple[str, ...] = ()
    came_with: tuple[str, ...] = ()

    @property
    def arrays(self) -> dict[str, Tensor]:
        """The tensors that are known, by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}

    @property
    def facts(self) -> dict[str, Any]:
        """Whatever else is known, by name."""
        facts = {name: value for name, value in vars(self).items() if not isinstance(value, Tensor)}
        return {name: value for name, value in facts.items() if value not in (None, (), {})}

    def take(self, rows: Tensor) -> DatasetInfo:
        """Of the images at `rows` only."""
        return self.with_arrays({name: value[rows] for name, value in self.arrays.items()})

    def with_arrays(self, arrays: Mapping[str, Tensor]) -> DatasetInfo:
        """The same with other tensors, by name."""
        changes: dict[str, Any] = dict(arrays)
        return replace(self, **changes)


@dataclass(frozen=True)
class FaceData:
    """One data set. N images, K expressions; every per-image tensor has N rows.

    Shapes: `images` (N, 3, H, W) uint8, a tensor (perhaps over a memory map), some rows of one (`Picked`), or still to
    be drawn (`Drawn`); `labels` (N,) int64 in [0, K), or -1 of an image with valence and arousal alone; `va` (N, 2)
    float32 in [-1, 1], valence first, NaN where not annotated; `votes` (N, K) float32 rows summing to 1 or all NaN
    where nobody voted; `subjects` (N,) int64, -1 where unknown; `splits` (N,) int64, one of TRAIN, VALIDATION, TEST.
    `notes` are sentences a table's caption must carry (for example "derived VA, no claim").
    `gaussians`: another set's, if the classes were derived from them; Gaussian labels use them, too.
    """

    name: str
    classes: tuple[str, ...]
    images: Images
    labels: Tensor
    va: Tensor
    votes: Tensor
    subjects: Tensor
    splits: Tensor
    fingerprint: str
    notes: tuple[str, ...] = ()
    info: DatasetInfo = field(default_factory=DatasetInfo)
    gaussians: BorrowedGaussians | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @cached_property
    def knows_va(self) -> bool:
        """Whether any training image has valence and arousal."""
        return bool(self.va[self.rows(TRAIN, va_only=True)].isfinite().any())

    @cached_property
    def va_only(self) -> Tensor:
        """Images with valence and arousal but no expression. Shape (N,) bool."""
        return self.labels < 0

    def rows(self, split: int, va_only: bool = False) -> Tensor:
        """Indices of the images of one split, ascending. Shape (M,) int64.

        Args:
            split: TRAIN, VALIDATION or TEST.
            va_only: also those that have valence and arousal but no expression.
        """
        mine = self.splits == split
        return torch.nonzero(mine if va_only else mine & ~self.va_only).flatten()

    def without_va_only(self) -> FaceData:
        """The images that have an expression; a note says how many others there were."""
        if not bool(self.va_only.any()):
            return self
        gone = int(self.va_only.sum())
        note = f"{gone:,} {'image' if gone == 1 else 'images'} with valence and arousal but no expression left out"
        kept = self.take(torch.nonzero(~self.va_only).flatten())
        return replace(kept, fingerprint=f"{self.fingerprint} with expressions", notes=(*self.notes, note))

    def with_splits(self, splits: Tensor) -> FaceData:
        """The same images in other splits."""
        return replace(self, splits=splits)

    def take(self, rows: Tensor) -> FaceData:
        """The images at `rows` only, not copied."""
        per_image = ("labels", "va", "votes", "subjects", "splits")
        values = {name: getattr(self, name)[rows] for name in per_image}
        return replace(self, info=self.info.take(rows), images=pick(self.images, rows), **values)
