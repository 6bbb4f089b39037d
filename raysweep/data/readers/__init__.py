"""Readers of data sets as they are officially distributed, one file each.

    read_listing("rafdb", Path("RAF-DB"), {}) -> Listing -> prepare

A reader looks at folders and lists only, never at an image. What is wrong with a row becomes a `Problem` with its file
and row; what is wrong with the whole release is a `UserError` before the first row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from raysweep.core.errors import UserError, unknown_name
from raysweep.data.listing import Listing

from . import affectnet, affwild, caers, class_folder, csv_table, fer2013, ferplus, morphset, rafdb
from .reader import Reader, check_unpacked

READERS: dict[str, Reader] = {
    "affectnet": affectnet.READER,
    "affwild": affwild.READER,
    "morphset": morphset.READER,
    "rafdb": rafdb.READER,
    "caers": caers.READER,
    "ferplus": ferplus.READER,
    "fer2013": fer2013.READER,
    "folder": class_folder.READER,
    "csv": csv_table.READER,
}
"""Readers by name, the particular ones before those that fit anything: `recognise` takes the first that fits."""

NAMED_ALONE = {"caers": "folder", "morphset": "csv"}
"""Readers that recognise a release by its name alone, and what a set is of which the name says something else."""


def read_listing(name: str, root: Path, options: Mapping[str, str]) -> Listing:
    """What the lists of a data set at `root` say. `options` by name, see `READERS`.

    Raises:
        UserError: an unknown reader, option or value; nothing at `root`, or not the release that the reader knows.
    """
    if name not in READERS:
        raise unknown_name("reader", name, READERS)
    reader, root = READERS[name], root.expanduser().absolute()
    for option, value in options.items():
        _check_option(name, reader, option, value)
    if not root.exists():
        raise UserError(f"{root}: no such file or folder; {reader.title} is expected there")
    check_unpacked(root)
    try:
        return replace(reader.read(root, reader.defaults() | dict(options)), reader=name)
    except OSError as error:
        raise UserError(f"{error.filename or root}: {error.strerror or error}") from None


def _check_option(name: str, reader: Reader, option: str, value: str) -> None:
    if not reader.options:
        raise UserError(f"{name} has no options, but got {option}={value}")
    if option not in reader.options:
        raise unknown_name("option", option, reader.options, f"(of {name})")
    allowed = reader.options[option]
    if not isinstance(allowed, str) and value not in allowed:
        raise UserError(f"{name}: `{option}` must be one of {', '.join(allowed)}, but got {value!r}")


def recognise(root: Path) -> str | None:
    """The name of the first reader whose release lies at `root`; None where nothing fits, or nothing is there."""
    root = root.expanduser()
    try:
        return next((name for name, reader in READERS.items() if root.exists() and reader.fits(root)), None)
    except OSError:  # a folder that may not be read is nobody's release
        return None


def known_as(reader: str, path: Path) -> str:
    """The reader, as what the set is. Where only the name says that it is a release, the whole name must: `caer-mine`
    is read as CAER-S is, and is a set of the user's."""
    word = "".join(c for c in path.resolve().name.casefold().removesuffix(".csv") if c.isalnum())
    return reader if reader not in NAMED_ALONE or word == reader else NAMED_ALONE[reader]


__all__ = ["READERS", "Reader", "check_unpacked", "known_as", "read_listing", "recognise"]
