"""`FaceData`: faces and everything people said about them, as plain tensors; images may stay on disk."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from .borrowed import BorrowedGaussians
from .image_subset import Images, pick
from .listing import TEST, TRAIN, VALIDATION

__all__ = ["TEST", "TRAIN", "VALIDATION", "FaceData"]


@dataclass(frozen=True)
class FaceData:
    """One data set. N images, K expressions; every per-image tensor has N rows.

    Shapes: `images` (N, 3, H, W) uint8, a tensor (perhaps over a memory map), some rows of one (`Picked`), or still to
    be drawn (`Drawn`); `labels` (N,) int64 in [0, K), or -1 of an image with valence and arousal alone; `va` (N, 2)
    float32 in [-1, 1], valence first, NaN where not annotated; `votes` (N, K) float32 rows summing to 1 or all NaN
    where nobody voted (the soft truth); `subjects` (N,) int64, -1 where unknown; `splits` (N,) int64, one of TRAIN,
    VALIDATION, TEST.
    `notes` are sentences a table's caption must carry (for example "derived VA, no claim").
    `gaussians`: those that its classes were taken from, where they are another set's; Gaussian labels use them, too.
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
    info: dict[str, Any] = field(default_factory=dict)
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
        """The images that have an expression; what left is in the notes."""
        if not bool(self.va_only.any()):
            return self
        gone = int(self.va_only.sum())
        note = f"{gone:,} {'image' if gone == 1 else 'images'} with valence and arousal but no expression left out"
        kept = self.take(torch.nonzero(~self.va_only).flatten())
        return replace(kept, fingerprint=f"{self.fingerprint} with expressions", notes=(*self.notes, note))

    def with_splits(self, splits: Tensor) -> FaceData:
        """The same faces under another division into training, validation and test."""
        return replace(self, splits=splits)

    def take(self, rows: Tensor) -> FaceData:
        """The images at `rows` only, not copied; per-image tensors of `info` follow."""
        per_image = ("labels", "va", "votes", "subjects", "splits")
        info = {k: v[rows] if isinstance(v, Tensor) and len(v) == len(self) else v for k, v in self.info.items()}
        values = {name: getattr(self, name)[rows] for name in per_image}
        return replace(self, info=info, images=pick(self.images, rows), **values)
