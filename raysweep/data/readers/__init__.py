"""Readers of data sets in their official form, one file each.

    read_listing("rafdb", Path("RAF-DB"), {}) -> Listing -> prepare

A reader opens folders and lists only, never an image. An error in a row becomes a `Problem` with its file and row; an
error of the whole release is a `UserError` before the first row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name

from raysweep.core.errors import UserError, unknown_name
from raysweep.data.listing import Listing

from .reader import Reader, check_unpacked

MODULES = {
    "affectnet": "affectnet",
    "affwild": "affwild",
    "morphset": "morphset",
    "rafdb": "rafdb",
    "caers": "caers",
    "ferplus": "ferplus",
    "fer2013": "fer2013",
    "folder": "class_folder",
    "csv": "csv_table",
}
"""Readers by name to the file of each, specific ones before general ones: `recognise` takes the first that fits."""

READERS: dict[str, Reader] = {name: resolve_name(f"{__name__}.{file}:READER") for name, file in MODULES.items()}
"""By name, in that order."""

NAMED_ALONE = {"caers": "folder", "morphset": "csv"}
"""Readers that recognise a release by its name alone, and the kind of sets that have another name."""


def read_listing(name: str, root: Path, options: Mapping[str, str]) -> Listing:
    """The listing of the data set at `root`. `options` by name, see `READERS`.

    Raises:
        UserError: an unknown reader, option or value; nothing at `root`, or not the release that the reader reads.
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
    """The name of the first reader whose release is at `root`; None where no reader fits, or nothing is there."""
    root = root.expanduser()
    try:
        return next((name for name, reader in READERS.items() if root.exists() and reader.fits(root)), None)
    except OSError:  # a folder without permission to read
        return None


def known_as(reader: str, path: Path) -> str:
    """The kind of a set, by its reader. Where a release is recognised by its name alone, the whole name must match:
    `caer-mine` is read as CAER-S is, but is a user's own set."""
    plain = "".join(c for c in path.resolve().name.casefold().removesuffix(".csv") if c.isalnum())
    return reader if reader not in NAMED_ALONE or plain == reader else NAMED_ALONE[reader]


__all__ = ["READERS", "Reader", "check_unpacked", "known_as", "read_listing", "recognise"]
