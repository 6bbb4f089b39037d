"""Photographs named by a path: the folder or list is prepared below the cache, once.

So `prepare` and a path give the same faces, records and problems, bit for bit.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from raysweep.core.errors import UserError
from raysweep.core.versioned import NewerRecord

from .dataset import FaceData
from .listing import Listing, Problem
from .progress import progress_bar
from .readers import known_as, read_listing, recognise

MANY = 2_000
"""More images than this are read by several processes: starting one takes as long as reading a few hundred."""

WAIT = 0.2
"""Seconds between looks at a cache that another process is filling."""


def read_unprepared(path: Path, size: int, options: Mapping[str, str], cache: Path | None) -> FaceData:
    """The faces of a folder or a list, by the reader that recognises it; kept below `cache` when given.

    Raises:
        UserError: no reader recognises it, or `prepare` would refuse it.
    """
    listing = _listing(path, options)
    with contextlib.ExitStack() as stack:
        if cache is None:  # a mapped file can be read after its folder is removed
            cache = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="raysweep-")))
        return _read(listing, cache / f"{listing.name}-{_digest(listing, size)}", size)


def _listing(path: Path, options: Mapping[str, str]) -> Listing:
    reader = recognise(path)
    if reader is None:
        raise UserError(
            f"{path}: expected one folder an expression with images in it, perhaps below train/ and test/, a .csv "
            "file, or a data set that `python -m raysweep.data prepare --help` lists"
        )
    listing = read_listing(reader, path, options)
    entries = list(listing.entries)
    return replace(listing, entries=entries, total=len(entries), reader=known_as(reader, path))


def _digest(listing: Listing, size: int) -> str:
    """A digest that changes with the listing, and with the size or time of any of its files."""
    digest = hashlib.sha256(f"{size}{listing.notes}{listing.remarks}{listing.options}{listing.classes}".encode())
    digest.update(repr(listing.gaussians and listing.gaussians.numbers()).encode() if listing.gaussians else b"")
    last: Path | None = None
    for entry in listing.entries:
        digest.update(repr(entry).encode("utf-8", "surrogateescape"))
        path = Path(entry.path) if isinstance(entry, Problem) else entry.path
        if path != last:  # once for all frames of a video
            last = path
            digest.update(repr(_state(path)).encode())
    return digest.hexdigest()[:16]


def _state(path: Path) -> tuple[int, int] | None:
    """Size and time of change; None where there is no such file, or the name is not a valid one."""
    try:
        state = path.stat()
    except (OSError, ValueError):
        return None
    return state.st_size, state.st_mtime_ns


def _read(listing: Listing, folder: Path, size: int) -> FaceData:
    from .prepare.reader import read_prepared  # these need pyarrow, which built-in faces do not

    try:
        _prepare(listing, folder, size)
        return read_prepared(folder, listing.name)
    except NewerRecord:
        raise
    except UserError:
        if not (folder / "manifest.json").exists():
            raise
    shutil.rmtree(folder)  # a damaged cache: prepare it again
    _prepare(listing, folder, size)
    return read_prepared(folder, listing.name)


def _prepare(listing: Listing, folder: Path, size: int) -> None:
    from .prepare.crop import Crop
    from .prepare.staging import Busy
    from .prepare.writer import prepare_listing

    folder.parent.mkdir(parents=True, exist_ok=True)
    workers = _workers() if (listing.total or 0) > MANY else 1
    while True:
        with contextlib.suppress(Busy), progress_bar(f"reading {listing.name}", "images") as progress:
            prepare_listing(listing, folder, Crop(size), workers, progress=progress)
            return
        time.sleep(WAIT)


def _workers() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
