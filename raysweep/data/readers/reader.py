"""The interface of a reader, and checks that a folder or list is the expected release."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from pathlib import Path

from raysweep.core.errors import UserError
from raysweep.data.listing import BY_DESIGN, FaceRecord, Listing, Problem

from .rows import Entry
from .values import quoted

TRIED = 100
"""First rows of a list, of which one must be valid."""

TEST_SHARE = 0.2

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".rar", ".7z", ".bz2", ".xz", ".zst")
"""Readers do not unpack archives: the user decides where to, and how much space they may take."""


@dataclass(frozen=True)
class Reader:
    """A reader of one data set: its title, its layout of files, and functions that read and recognise them.

    `read` takes the folder (or file) and all `options` by name; `read_listing` fills in defaults.
    `options`: by name, the allowed values, the default first; or a description of free values, which default to "".
    """

    title: str
    layout: str
    read: Callable[[Path, Mapping[str, str]], Listing]
    fits: Callable[[Path], bool]
    options: Mapping[str, tuple[str, ...] | str] = field(default_factory=dict)

    def defaults(self) -> dict[str, str]:
        return {name: "" if isinstance(values, str) else values[0] for name, values in self.options.items()}


def check_unpacked(root: Path) -> None:
    """Raises UserError: an archive instead of a folder."""
    if root.is_file() and root.name.lower().endswith(ARCHIVES):
        raise UserError(f"{root}: this is an archive; unpack it and give the folder")


def wrong_release(root: Path, title: str, expected: str) -> UserError:
    """The error for a folder that is not the release: what was expected, and what is there."""
    if not root.is_dir():
        return UserError(f"{root}: {title} needs {expected}, but this is a file")
    entries = sorted(entry.name + "/" * entry.is_dir() for entry in islice(root.iterdir(), 1000))
    packed = next((quoted(name)[1:-1] for name in entries if name.lower().endswith(ARCHIVES)), "")
    there = ", ".join(quoted(name)[1:-1] for name in entries[:6]) + (", ..." if len(entries) > 6 else "")
    advice = f": unpack {packed} first" if packed else ""
    return UserError(f"{root}: {title} needs {expected}, but the folder holds {there or 'nothing'}{advice}")


def checked_entries(file: Path, title: str, make: Callable[[], Iterator[Entry]]) -> Iterator[Entry]:
    """`make()`, after a check of its first rows.

    Raises:
        UserError: there are no rows, or none of the first `TRIED` gives a face or is left out by design.
    """
    head = list(islice(make(), TRIED))
    if not head:
        raise UserError(f"{file}: {title} needs rows, but the list has none")
    if not any(isinstance(entry, FaceRecord) or entry.kind in BY_DESIGN for entry in head):
        first = next(entry for entry in head if isinstance(entry, Problem))
        raise UserError(
            f"{file}: none of the first {len(head)} rows is one of {title}; the first: "
            f"{first.where}: {first.kind}: {first.detail}"
        )
    return make()


def held_out(names: set[str]) -> frozenset[str]:
    """A fifth of the names, at least one of two, chosen by their digests: the same on every machine."""

    def place(name: str) -> tuple[bytes, str]:
        return blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest(), name

    share = max(round(TEST_SHARE * len(names)), len(names) > 1)
    return frozenset(sorted(names, key=place)[:share])
