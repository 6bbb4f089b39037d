"""A listing cut into chunks: units of work of a process, and of resuming an interrupted preparation."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

from raysweep.data.listing import FaceRecord, Problem

from .parquet_rows import relative

CHECKSUM_LIMIT = 1 << 64
"""Checksums of files are below it."""

CHUNK = 512
"""Entries of a chunk; more only where a video would be cut in two."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive entries of a listing. `name` changes when any of them does."""

    number: int
    entries: tuple[FaceRecord | Problem, ...]

    @cached_property
    def name(self) -> str:
        digest = hashlib.sha256(repr(self.entries).encode("utf-8", "backslashreplace"))
        return f"{self.number:06}-{digest.hexdigest()[:16]}"


def cut(entries: Iterable[FaceRecord | Problem], size: int = CHUNK) -> Iterator[Chunk]:
    """Chunks of at least `size` entries, the last of the rest. The frames of one video stay together."""
    number, held = 0, list[FaceRecord | Problem]()
    for entry in entries:
        if len(held) >= size and not _one_video(held[-1], entry):
            yield Chunk(number, tuple(held))
            number, held = number + 1, []
        held.append(entry)
    if held:
        yield Chunk(number, tuple(held))


def _one_video(before: FaceRecord | Problem, after: FaceRecord | Problem) -> bool:
    """Whether two entries are of one video; problems among its frames count, too."""
    return _video(after) is not None and _video(before) == _video(after)


def _video(entry: FaceRecord | Problem) -> str | None:
    if isinstance(entry, Problem):
        return entry.path or None
    return str(entry.path) if entry.frame >= 0 else None


def files_checksum(entries: Iterable[FaceRecord | Problem], root: Path) -> int:
    """A checksum of names and sizes of the files that are read, below 2**64.

    Dates do not count: a copy of a data set is the same set. The checksums of a listing's chunks add up to its own.
    """
    total, path, size = 0, None, 0
    for entry in entries:
        if isinstance(entry, Problem) or entry.pixels:
            continue
        if entry.path != path:  # once for all frames of a video
            path, size = entry.path, _size(entry.path)
        text = f"{relative(entry.path, root)}|{entry.frame}|{size}".encode()
        total += int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
    return total % CHECKSUM_LIMIT


def _size(path: Path) -> int:
    """Bytes of a file; -1 where there is none."""
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


def passes(entries: Iterable[FaceRecord | Problem]) -> Iterator[tuple[Path | None, list[FaceRecord | Problem]]]:
    """Entries in groups that are decoded together: frames of one video with its path, other entries with None."""

    def video(entry: FaceRecord | Problem) -> Path | None:
        return entry.path if isinstance(entry, FaceRecord) and entry.frame >= 0 else None

    for path, group in groupby(entries, key=video):
        yield path, list(group)
