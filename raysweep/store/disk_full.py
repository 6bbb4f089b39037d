"""Disks that are full: recognised whatever wrote to them, and said in one line."""

from __future__ import annotations

import errno
import os
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from raysweep.core.formatting import size

_TORCH = re.compile(r"PytorchStreamWriter failed|unexpected pos \d+ vs|iostream error")
"""What `torch.save` says of a write that failed: its C++ side keeps no error number."""


class StoreFull(Exception):
    """No room is left where the store writes. Nothing half-written stays; work goes on when there is room."""


@contextmanager
def writing(place: Path | str) -> Iterator[None]:
    """Turn whatever a full disk (or a quota) makes libraries raise into StoreFull. Clean up inside this block.

    Raises:
        StoreFull: says where, and how much is free there.
    """
    try:
        yield
    except StoreFull:
        raise
    except Exception as error:
        chain = _chain(error)
        if not any(_says_full(seen) for seen in chain):
            raise
        for seen in chain:  # torch keeps the half-written file open, and so its room taken, in a frame's variables
            traceback.clear_frames(seen.__traceback__)
        free = f", {size(free_bytes(place))} free" if isinstance(place, Path) else ""
        raise StoreFull(f"the store's disk is full: {place}{free}; make room and run the same command again") from error


def free_bytes(place: Path) -> int:
    """Bytes that may still be written on the disk of a folder, which need not be there yet."""
    while not place.exists():
        place = place.parent
    status = os.statvfs(place)
    return status.f_bavail * status.f_frsize


def _chain(error: BaseException) -> list[BaseException]:
    """An exception and what led to it."""
    found: list[BaseException] = []
    here: BaseException | None = error
    while here is not None:
        found.append(here)
        here = here.__cause__ or here.__context__
    return found


def _says_full(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, RuntimeError) and _TORCH.search(str(error)) is not None
