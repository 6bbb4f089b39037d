"""Stores that cannot be written or read (full, read-only or removed disks), as errors with one sentence."""

from __future__ import annotations

import errno
import os
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from raysweep.core.errors import describe
from raysweep.core.formatting import size
from raysweep.core.masking import masked

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

GONE = frozenset(
    {errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ENOTDIR, errno.ENODEV, errno.ENXIO}
    | {errno.EREMOTEIO, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENOTCONN, errno.ENETUNREACH}
)
"""Error numbers of a place that is read-only, forbidden, broken or removed."""

_TORCH = re.compile(r"PytorchStreamWriter failed|unexpected pos \d+ vs|iostream error")
"""Messages of `torch.save` after a failed write, which have no error number."""

_NUMPY = re.compile(r"^\d+ requested and \d+ written$")
"""Message of numpy's OSError for a disk that became full, without an error number."""

_ROOM = 1_000_000
"""With so many bytes free, a failed write is not due to a full disk."""


class StoreUnusable(Exception):
    """The store cannot be written or read. Nothing half-written remains; the work can resume later."""

    def __init__(self, message: str = "") -> None:
        super().__init__(masked(message))


@contextmanager
def writing(place: Path | str) -> Iterator[None]:
    """Convert errors of an unwritable place into StoreUnusable. Clean up inside the block.

    Raises:
        StoreUnusable: with place and cause, and the free space of a full disk.
    """
    try:
        yield
    except StoreUnusable:
        raise
    except Exception as error:
        chain = _chain(error)
        full = [seen for seen in chain if _is_full(seen)]  # clearer than torch's
        sentence = next(filter(None, (_why(seen, place, "written") for seen in [*full, *chain])), "")
        if not sentence:
            raise
        for seen in chain:  # torch keeps the half-written file open, and so its room taken, in a frame's variables
            traceback.clear_frames(seen.__traceback__)
        raise StoreUnusable(sentence) from error


@contextmanager
def reading(place: Path | str) -> Iterator[None]:
    """The same for reading. Missing files still raise FileNotFoundError or NotADirectoryError."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        if sentence := _why(error, place, "read"):
            raise StoreUnusable(sentence) from error
        raise


def is_unusable(error: BaseException) -> bool:
    """Whether a place could not be written or read, so that no cell is to blame."""
    return isinstance(error, StoreUnusable) or (
        isinstance(error, OSError) and (error.errno in FULL | GONE or _is_full(error))
    )


def described(error: OSError) -> str:
    """One line for an `is_unusable` error outside of `writing`, for example of the journal."""
    what = "no room left on the disk" if _is_full(error) else "the store or journal cannot be written"
    return f"{what} ({describe(error)})"


def why_unwritable(place: Path) -> str:
    """Why a folder, which need not exist yet, cannot be written; "" if no cause is found.

    It does not try to write, so "" is no guarantee.
    """
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        return f"{place} is no folder"
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        return f"{place} is on a read-only file system"
    return "" if os.access(place, os.W_OK | os.X_OK) else f"{place}: permission denied"


def free_bytes(place: Path) -> int:
    """Free bytes on the disk of a folder, which need not exist yet."""
    while not place.exists():
        place = place.parent
    status = os.statvfs(place)
    return status.f_bavail * status.f_frsize


def _chain(error: BaseException) -> list[BaseException]:
    """An exception and its causes."""
    found: list[BaseException] = []
    here: BaseException | None = error
    while here is not None:
        found.append(here)
        here = here.__cause__ or here.__context__
    return found


def _why(error: BaseException, place: Path | str, verb: str) -> str:
    """A sentence for an error of the place; "" for any other error."""
    torch_failed = isinstance(error, RuntimeError) and _TORCH.search(str(error)) is not None
    if _is_full(error) or (torch_failed and not _has_room(place)):
        free = f", {size(free_bytes(place))} free" if isinstance(place, Path) else ""
        return f"the store's disk is full: {place}{free}; make room and run the same command again"
    if torch_failed or (isinstance(error, OSError) and _is_gone(error, place)):
        said = getattr(error, "strerror", None) or str(error).strip().split("\n")[0] or type(error).__name__
        return f"the store cannot be {verb}: {place} ({said}); mend that and run the same command again"
    return ""


def _is_full(error: BaseException) -> bool:
    """Whether a write failed for want of room, by its number or by numpy's message."""
    return isinstance(error, OSError) and (error.errno in FULL or _NUMPY.match(str(error)) is not None)


def _is_gone(error: OSError, place: Path | str) -> bool:
    """Whether the error is of this place and in `GONE`, or the folder itself was removed."""
    names = [os.fspath(name) for name in (error.filename, error.filename2) if isinstance(name, str | os.PathLike)]
    if isinstance(place, Path) and names and not any(str(name).startswith(str(place)) for name in names):
        return False
    if isinstance(error, FileNotFoundError):
        return isinstance(place, Path) and bool(names) and not place.exists()
    return error.errno in GONE or isinstance(error, PermissionError)


def _has_room(place: Path | str) -> bool:
    return isinstance(place, Path) and free_bytes(place) > _ROOM
