"""Check of a prepared folder against its manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from raysweep.core.bounds import NO_ARRAY, map_array
from raysweep.core.hashing import file_checksum

from .manifest import IMAGES, LABELS, Manifest
from .parquet_rows import SCHEMA

BLOCK = 512


def find_fault(
    folder: Path, manifest: Manifest, progress: Callable[[int, int], None] = lambda done, total: None
) -> str | None:
    """The first damaged file and what is wrong with it; None when every checksum and shape is right.

    For altered pixels it names the first image. `progress` is called with the images done, and all images.
    """
    for name, file in manifest.files.items():
        path = folder / name
        if not path.is_file():
            return f"{path}: missing"
        if path.stat().st_size != file.bytes:
            return f"{path}: {path.stat().st_size:,} bytes instead of {file.bytes:,}"
    for name in sorted(manifest.files, key=lambda name: name == IMAGES):  # images last, which take longest
        if file_checksum(folder / name) != manifest.files[name].sha256:
            which = _first_altered(folder, manifest, progress) if name == IMAGES else ""
            return f"{folder / name}: the content is not what was prepared{which}"
    return _wrong_shape(folder, manifest) or _wrong_digest(folder, manifest, progress)


def _wrong_shape(folder: Path, manifest: Manifest) -> str | None:
    expected = (manifest.images, 3, manifest.size, manifest.size)
    shape = map_array(folder / IMAGES).shape
    if shape != expected:
        return f"{folder / IMAGES}: shape {shape} instead of {expected}"
    labels = pq.ParquetFile(folder / LABELS)
    if labels.metadata.num_rows != manifest.images or labels.schema_arrow.names != SCHEMA.names:
        return f"{folder / LABELS}: {labels.metadata.num_rows:,} rows of other columns or for other images"
    return None


def _wrong_digest(folder: Path, manifest: Manifest, progress: Callable[[int, int], None]) -> str | None:
    which = _first_altered(folder, manifest, progress)
    return f"{folder / LABELS}: digests that are not those of the images{which}" if which else None


def _first_altered(folder: Path, manifest: Manifest, progress: Callable[[int, int], None]) -> str:
    """ ", the first: image 17 (train/17.png)", or nothing."""
    try:
        pixels = map_array(folder / IMAGES)
        labels = pq.ParquetFile(folder / LABELS)
    except (*NO_ARRAY, pa.ArrowException) as error:
        return f": {error}"
    row = 0
    for batch in labels.iter_batches(BLOCK, columns=["path", "digest"]):
        for path, digest in zip(batch["path"].to_pylist(), batch["digest"].to_pylist(), strict=True):
            if row >= len(pixels) or hashlib.sha256(pixels[row].tobytes()).hexdigest()[:16] != digest:
                return f", the first: image {row} ({path})"
            row += 1
        progress(row, manifest.images)
    return ""
