"""A prepared folder as `FaceData`: images stay on disk, and all processes of a machine share their pages."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch import Tensor

from raysweep.core.errors import UserError
from raysweep.data.dataset import FaceData
from raysweep.data.expressions import EXPRESSIONS

from .manifest import IMAGES, LABELS, Manifest, read_manifest
from .rows import va_of

_COLUMNS = ["expression", "valence", "arousal", "votes", "subject", "split"]


def read_prepared(folder: Path, name: str) -> FaceData:
    """The images of a prepared folder that have an expression.

    Raises:
        UserError: it is broken, or has images with valence and arousal alone.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise UserError(f"{folder}: nothing is prepared there")
    count = manifest.images - manifest.va_only
    if not count:
        raise UserError(f"{name}: all {manifest.images:,} images have valence and arousal alone, no expression")
    labels = _labels(folder, manifest).slice(0, count)
    return FaceData(
        name=name,
        classes=manifest.classes,
        images=_images(folder, manifest)[:count],
        labels=torch.from_numpy(labels["expression"].to_numpy().astype(np.int64)),
        va=torch.from_numpy(va_of(labels)),
        votes=_votes(labels["votes"].combine_chunks(), manifest.classes),
        subjects=_subjects(labels["subject"].combine_chunks()),
        splits=torch.from_numpy(labels["split"].to_numpy().astype(np.int64)),
        fingerprint=manifest.fingerprint,
        notes=(*manifest.notes, *_notes(manifest)),
        info={"problems": [f"{kind}: {count:,}" for kind, count in manifest.problems.items()]},
    )


def _notes(manifest: Manifest) -> list[str]:
    if not manifest.va_only:
        return []
    return [f"{manifest.va_only:,} images with valence and arousal but no expression are left out"]


def _images(folder: Path, manifest: Manifest) -> Tensor:
    """The whole array, mapped copy-on-write: torch refuses pages that cannot be written, nobody writes them."""
    try:
        images = np.load(folder / IMAGES, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _broken(folder / IMAGES, str(error)) from None
    expected = (manifest.images, 3, manifest.size, manifest.size)
    if images.shape != expected or images.dtype != np.uint8:
        raise _broken(folder / IMAGES, f"{images.dtype} {images.shape} instead of uint8 {expected}")
    return torch.from_numpy(images)


def _labels(folder: Path, manifest: Manifest) -> pa.Table:
    try:
        labels = pq.read_table(folder / LABELS, columns=_COLUMNS, read_dictionary=["subject"])
    except (OSError, pa.ArrowException) as error:
        raise _broken(folder / LABELS, str(error)) from None
    if len(labels) != manifest.images:
        raise _broken(folder / LABELS, f"{len(labels):,} rows instead of {manifest.images:,}")
    return labels


def _broken(path: Path, why: str) -> UserError:
    return UserError(f"{path} is broken ({why}): remove its folder and prepare it anew")


def _votes(votes: pa.ListArray, classes: tuple[str, ...]) -> Tensor:
    """(N, K) float32 rows that sum to 1 over the set's classes; NaN where nobody voted for any of them."""
    given = np.full((len(votes), len(EXPRESSIONS)), math.nan, dtype=np.float32)
    given[pc.is_valid(votes).to_numpy(zero_copy_only=False)] = votes.flatten().to_numpy().reshape(-1, len(EXPRESSIONS))
    mine = np.zeros((len(votes), len(classes)), dtype=np.float32)
    for k, name in enumerate(classes):
        if name in EXPRESSIONS:
            mine[:, k] = given[:, EXPRESSIONS.index(name)]
    total = mine.sum(1, keepdims=True)
    return torch.from_numpy(np.divide(mine, total, out=np.full_like(mine, math.nan), where=total > 0))


def _subjects(subjects: pa.DictionaryArray) -> Tensor:
    """A number for every subject, in the order of their names; -1 where it is not known."""
    names = subjects.dictionary.to_pylist()
    number = {name: i for i, name in enumerate(sorted(set(names) - {""}))}
    numbers = np.array([number.get(name, -1) for name in names], dtype=np.int64)
    return torch.from_numpy(numbers[subjects.indices.to_numpy()])
