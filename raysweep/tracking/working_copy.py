"""A SQLite database on a network file system, written through a copy on a local disk.

SQLite's locks do not hold between machines on such file systems, and what one machine caches another may not see: so
the file itself is never opened. It is copied as a whole, the copy is written, and the copy replaces it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from raysweep.core.errors import UserError
from raysweep.core.filesystem import network_file_system
from raysweep.store.leases import Leases
from raysweep.store.store import Store

from .server import SQLITE, tracking_uri

LOCK = "database"


@dataclass(frozen=True)
class WorkingCopy:
    """`uri` of the copy; `marks`: folder for how much of each journal is published in it."""

    uri: str
    marks: Path


@contextmanager
def working_copy(tracking: str | None, journals: Path) -> Iterator[WorkingCopy | None]:
    """A copy of the tracking store, which replaces it at the end unless an exception ends the block. One writer at a
    time, on any machine, waits for the others.

    Yields None for stores that can be written in place.

    Args:
        journals: folder of journals, which learn what was published once it is there to see.

    Raises:
        UserError: there is no local disk, or another program wrote the database meanwhile.
    """
    uri = tracking_uri(tracking)
    file = Path(uri.removeprefix(SQLITE)).resolve()
    if not uri.startswith(SQLITE) or not network_file_system(file.parent):
        yield None
        return
    leases = Leases(Store(file.with_name(f"{file.name}.lock")), f"report of {file.name}")
    with contextlib.closing(leases), tempfile.TemporaryDirectory(prefix="raysweep-") as folder:
        if kind := network_file_system(Path(folder)):
            raise UserError(
                f"tracking: TMPDIR ({tempfile.gettempdir()}) is on {kind}: set it to a folder of a local disk"
            )
        while leases.take([LOCK]) is not None:
            time.sleep(1.0)
        copy, marks = Path(folder) / file.name, Path(folder) / "marks"
        marks.mkdir()
        before = _copied(file, copy)
        yield WorkingCopy(f"{SQLITE}{copy}", marks)
        if leases.lost or _state(file) != before:
            raise UserError(f"tracking: another program wrote {file} meanwhile, so nothing was published: try again")
        _replace(copy, file)
        for mark in marks.iterdir():
            _replace(mark, journals / mark.name)


def _copied(file: Path, copy: Path) -> tuple[int, int] | None:
    """Copy a database; its state then. Raises UserError if a program is writing it, or died writing."""
    rest = [name for end in ("-journal", "-wal") if (name := file.with_name(file.name + end)).exists()]
    if rest:
        raise UserError(
            f"tracking: a program writes {file} or was stopped while it did ({rest[0].name} is there): end it, open "
            "the database once with `sqlite3` on the machine where it ran, and try again"
        )
    before = _state(file)
    if before is not None:
        shutil.copy(file, copy)
    return before


def _state(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size


def _replace(new: Path, old: Path) -> None:
    """Put a file in another's place, from one file system to another, atomically for readers."""
    draft = old.with_name(f".{old.name}.{os.getpid()}")
    shutil.copy(new, draft)
    with draft.open("rb") as stream:
        os.fsync(stream.fileno())
    os.replace(draft, old)
