"""What a reader of a data set is, and how it says that a folder holds something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from pathlib import Path

from raysweep.core.errors import UserError
from raysweep.data.listing import BY_DESIGN, FaceRecord, Listing, Problem

from .rows import Entry
from .values import shown

TRIED = 100
"""Rows that are tried before a list is believed to be what it should be."""

TEST_SHARE = 0.2

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".rar", ".7z", ".bz2", ".xz", ".zst")
"""Nothing here unpacks any: that is for the user, who knows where to and how large it gets."""


@dataclass(frozen=True)
class Reader:
    """One data set: what it is called, the files it has, and what reads and recognises them.

    `read` takes the folder (or file) and every one of the `options` by name; `read_listing` fills in defaults.
    `options`: by name, the allowed values, the default first; or the form of any value, which is "" by default.
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
    """The error for a folder that holds something else: what was looked for, and what is there."""
    if not root.is_dir():
        return UserError(f"{root}: {title} needs {expected}, but this is a file")
    entries = sorted(entry.name + "/" * entry.is_dir() for entry in islice(root.iterdir(), 1000))
    packed = next((shown(name)[1:-1] for name in entries if name.lower().endswith(ARCHIVES)), "")
    there = ", ".join(shown(name)[1:-1] for name in entries[:6]) + (", ..." if len(entries) > 6 else "")
    advice = f": unpack {packed} first" if packed else ""
    return UserError(f"{root}: {title} needs {expected}, but the folder holds {there or 'nothing'}{advice}")


def fitting(file: Path, title: str, make: Callable[[], Iterator[Entry]]) -> Iterator[Entry]:
    """`make()`, once its first rows were tried.

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
