"""A prepared folder as `FaceData`: images stay on disk, and all processes of a machine share their pages."""

from __future__ import annotations

import math
import mmap
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch import Tensor

from raysweep.core.bounds import NO_ARRAY, map_array
from raysweep.core.errors import UserError
from raysweep.core.formatting import plural
from raysweep.data.borrowed import BorrowedGaussians
from raysweep.data.dataset import DatasetInfo, FaceData
from raysweep.data.expressions import EXPRESSIONS
from raysweep.data.listing import BY_DESIGN, TEST, TRAIN
from raysweep.store.verified import altered_file

from .manifest import IMAGES, LABELS, PROBLEMS, Manifest, read_manifest
from .parquet_rows import SCHEMA, problem_rows, va_of

MOST_BAD_ROWS = 20

_COLUMNS = ["expression", "valence", "arousal", "votes", "subject", "split"]

_NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)  # Python names it since 3.13
"""Without this flag Linux reserves memory for every writable page, and refuses sets larger than its memory."""


def read_prepared(folder: Path, name: str) -> FaceData:
    """The images of a prepared folder, those with valence and arousal alone last (`FaceData.va_only`).

    Every file is checksummed once a machine (`store.verified`).

    Raises:
        UserError: it is damaged, or no image has an expression.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise UserError(f"{folder}: nothing is prepared there")
    if manifest.images == manifest.va_only:
        raise UserError(f"{name}: all {manifest.images:,} images have valence and arousal alone, no expression")
    labels = _labels(folder, manifest)
    return FaceData(
        name=name,
        classes=manifest.classes,
        images=_images(folder, manifest),
        labels=torch.from_numpy(labels["expression"].to_numpy().astype(np.int64)),
        va=torch.from_numpy(va_of(labels)),
        votes=_votes(labels["votes"].combine_chunks(), manifest.classes, manifest.images - manifest.va_only),
        subjects=_subjects(labels["subject"].combine_chunks()),
        splits=torch.from_numpy(labels["split"].to_numpy().astype(np.int64)),
        fingerprint=manifest.fingerprint + (f" with {manifest.va_only} of VA alone" if manifest.va_only else ""),
        notes=(*manifest.notes, *_notes(manifest)),
        info=DatasetInfo(
            reader=manifest.read_by,
            options=dict(manifest.options),
            problems=tuple(f"{kind}: {count:,}" for kind, count in manifest.problems.items()),
            remarks=manifest.remarks,
            bad_rows=_bad_rows(folder) if manifest.bad else (),
        ),
        gaussians=_gaussians(manifest),
    )


def read_labels(folder: Path, manifest: Manifest) -> tuple[Tensor, Tensor, Tensor]:
    """Valence and arousal (N, 2) float32, classes and splits (N,) int64 of all images, -1 where there is no class.

    Raises:
        UserError: `labels.parquet` is damaged.
    """
    labels = _labels(folder, manifest)
    expressions, splits = (
        torch.from_numpy(labels[name].to_numpy().astype(np.int64)) for name in ("expression", "split")
    )
    return torch.from_numpy(va_of(labels)), expressions, splits


def _gaussians(manifest: Manifest) -> BorrowedGaussians | None:
    found = manifest.gaussians
    return BorrowedGaussians.of_numbers(found.origin, found.numbers, found.reader) if found else None


def read_digests(folder: Path, count: int) -> np.ndarray:
    """The first 64 bits of SHA-256 over the pixels of each of the first `count` images, (count,) uint64."""
    column = pq.read_table(folder / LABELS, columns=["digest"])["digest"].slice(0, count)
    return np.array([int(digest, 16) for chunk in column.iterchunks() for digest in chunk.to_pylist()], np.uint64)


def _notes(manifest: Manifest) -> list[str]:
    notes = []
    if manifest.bad:
        count, rows = sum(manifest.bad.values()), manifest.images + sum(manifest.bad.values())
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in manifest.bad.items())
        is_ = "is" if count == 1 else "are"
        notes.append(f"{count:,} of {rows:,} rows or images could not be used and {is_} left out ({kinds})")
    return notes


def _bad_rows(folder: Path) -> tuple[str, ...]:
    """The first rows whose image was left out, and not by design, a line each."""
    try:
        bad = (row for row in problem_rows(folder / PROBLEMS) if row["fatal"] == "yes" and row["kind"] not in BY_DESIGN)
        return tuple(f"{row['where']}: {row['kind']}: {row['detail']}" for row in islice(bad, MOST_BAD_ROWS))
    except (OSError, ValueError, KeyError):
        return ()  # damaged: `check` says so


def _images(folder: Path, manifest: Manifest) -> Tensor:
    """The whole array, mapped copy-on-write: torch requires writable pages, which are never written."""
    try:
        images = map_array(folder / IMAGES)
    except NO_ARRAY as error:
        raise _broken(folder / IMAGES, str(error)) from None
    _check_content(folder, IMAGES, manifest)
    expected = (manifest.images, 3, manifest.size, manifest.size)
    if images.shape != expected or images.dtype != np.uint8:
        raise _broken(folder / IMAGES, f"{images.dtype} {images.shape} instead of uint8 {expected}")
    with (folder / IMAGES).open("rb") as stream:
        pages = mmap.mmap(stream.fileno(), 0, mmap.MAP_PRIVATE | _NO_RESERVE, mmap.PROT_READ | mmap.PROT_WRITE)
    return torch.from_numpy(np.ndarray(expected, np.uint8, pages, images.offset))


def _check_content(folder: Path, name: str, manifest: Manifest) -> None:
    """Raises UserError: a file has another checksum than in the manifest."""
    file = manifest.files.get(name)
    if file is None or altered_file(folder, {name: file.sha256}):
        raise _broken(folder / name, "its content is not what was prepared")


def _labels(folder: Path, manifest: Manifest) -> pa.Table:
    _check_content(folder, LABELS, manifest)
    try:
        labels = pq.read_table(folder / LABELS, columns=_COLUMNS, read_dictionary=["subject"])
    except (OSError, pa.ArrowException) as error:
        raise _broken(folder / LABELS, str(error)) from None
    if len(labels) != manifest.images:
        raise _broken(folder / LABELS, f"{plural(len(labels), 'row')} instead of {manifest.images:,}")
    fault = _wrong_column(labels) or _wrong_value(labels, manifest)
    if fault:
        raise _broken(folder / LABELS, fault)
    return labels


def _wrong_column(labels: pa.Table) -> str:
    for name in _COLUMNS:
        kind, expected = labels.schema.field(name).type, SCHEMA.field(name).type
        if (kind.value_type if pa.types.is_dictionary(kind) else kind) != expected:
            return f"{name} is {kind} instead of {expected}"
        if name != "votes" and labels[name].null_count:
            return f"{name} is empty in {labels[name].null_count:,} rows"
    return ""


def _wrong_value(labels: pa.Table, manifest: Manifest) -> str:
    """The first value out of range, which training would not notice, or only later; "" if there is none."""
    expression, split, va = labels["expression"].to_numpy(), labels["split"].to_numpy(), va_of(labels)
    count = manifest.images - manifest.va_only
    named, others = expression[:count], expression[count:]
    if not ((named >= 0) & (named < len(manifest.classes))).all() or (others != -1).any():
        return f"an expression that is none of the {len(manifest.classes)} classes"
    if not ((split >= TRAIN) & (split <= TEST)).all():
        return "a split that is none of train, validation and test"
    if (np.abs(va) > 1).any():
        return "valence or arousal outside [-1, 1]"
    votes = labels["votes"].combine_chunks()
    given = votes.flatten()
    if not pc.all(pc.equal(pc.list_value_length(votes), len(EXPRESSIONS)), min_count=0).as_py():
        return f"votes that are not {len(EXPRESSIONS)} numbers"
    if given.null_count or not ((given.to_numpy() >= 0) & np.isfinite(given.to_numpy())).all():
        return "votes that are no numbers from 0 on"
    return ""


def _broken(path: Path, why: str) -> UserError:
    return UserError(f"{path} is broken ({' '.join(why.split())}): remove its folder and prepare it again")


def _votes(votes: pa.ListArray, classes: tuple[str, ...], named: int) -> Tensor:
    """(N, K) float32 rows that sum to 1 over the set's classes; NaN where nobody voted for any of them, and after the
    first `named` images, which have no expression."""
    given = np.full((len(votes), len(EXPRESSIONS)), math.nan, dtype=np.float32)
    given[pc.is_valid(votes).to_numpy(zero_copy_only=False)] = votes.flatten().to_numpy().reshape(-1, len(EXPRESSIONS))
    mine = np.zeros((len(votes), len(classes)), dtype=np.float32)
    for k, name in enumerate(classes):
        if name in EXPRESSIONS:
            mine[:, k] = given[:, EXPRESSIONS.index(name)]
    mine[named:] = 0
    total = mine.sum(1, keepdims=True)
    return torch.from_numpy(np.divide(mine, total, out=np.full_like(mine, math.nan), where=total > 0))


def _subjects(subjects: pa.DictionaryArray) -> Tensor:
    """A number for every subject, in the order of their names; -1 where it is not known."""
    names = subjects.dictionary.to_pylist()
    number = {name: i for i, name in enumerate(sorted(set(names) - {""}))}
    numbers = np.array([number.get(name, -1) for name in names], dtype=np.int64)
    return torch.from_numpy(numbers[subjects.indices.to_numpy()])
