"""Names of data sets, and checks that a named set exists, without slow imports."""

from __future__ import annotations

import os
import re
from pathlib import Path

from raysweep.core.errors import UserError, unknown_name

from .prepare.location import SETTING, Home, home_place, is_name

BUILT_IN = ("faces", "faces-a", "faces-b-none", "faces-b-moderate", "faces-b-strong", "faces-c", "faces-d")
"""Sets of drawn faces: they need no download."""

READER_NAMES = ("affectnet", "affwild", "morphset", "rafdb", "caers", "ferplus", "fer2013", "folder", "csv")
"""Readers of data sets as distributed; also the usual names of prepared sets."""


def check_named(source: str, size: int) -> None:
    """Raises UserError unless there is a built-in or prepared set of this name, or a file or folder."""
    if source in BUILT_IN or _exists(source):
        return
    if not is_name(source):
        raise UserError(f"{source}: no such file or folder")
    home = Home(home_place())
    if home.sizes(source):
        check_size_prepared(home, source, size)
    elif source in READER_NAMES:
        raise not_prepared(home, source, size)
    elif Path(source).suffix:
        raise UserError(f"{source}: no such file or folder")
    else:
        known = [*BUILT_IN, *READER_NAMES, *home.names()]
        raise unknown_name("data set", source, known, "(or give a path to a class folder or a CSV file)")


def named_kind(source: str) -> str:
    """The kind of the set of this name (`raysweep.data.kind`), before it is read; "" for drawn faces. Where there is
    no such set, its name decides (`kind_of_name`).

    Raises:
        UserError: a manifest that cannot be read.
    """
    if source in BUILT_IN:
        return ""
    home = Home(home_place())
    sizes = home.sizes(source) if is_name(source) else []
    if sizes and (manifest := home.manifest(source, sizes[0])) is not None:
        return manifest.read_by
    if _exists(source):
        from .readers import known_as, recognise  # imports torch, which is slow

        reader = recognise(Path(source))
        return known_as(reader, Path(source).expanduser()) if reader else ""
    return kind_of_name(source)


def kind_of_name(name: str) -> str:
    """The reader whose name is the last part of a name or path, whatever its case and punctuation; else "".

    >>> [kind_of_name(name) for name in ("caers", "/data/CAER-S/", "caer-mine", "caers2")]
    ['caers', 'caers', '', '']
    """
    plain = re.sub(r"[^a-z0-9]", "", name.rstrip("/").rsplit("/", 1)[-1].lower())
    return plain if plain in READER_NAMES else ""


def check_size_prepared(home: Home, name: str, size: int) -> None:
    """Raises UserError where a set is prepared at other sizes only."""
    sizes = home.sizes(name)
    if sizes and size not in sizes:
        there = ", ".join(map(str, sizes))
        raise UserError(
            f"{name} is prepared at {there} px, but data.image_size is {size}: set data.image_size={sizes[-1]}, "
            f"or prepare it with {_command(name, size)}"
        )


def not_prepared(home: Home, name: str, size: int) -> UserError:
    """The error for a reader's name under which nothing is prepared."""
    return UserError(
        f"{name} is not prepared in {home.place}: prepare it with {_command(name, size)}, "
        f"or say where it is with {SETTING}"
    )


def joined_otherwise(source: str) -> list[str]:
    """The sets in a source that joins them by commas or semicolons instead of +; empty for one set.

    >>> joined_otherwise("a.csv, b.csv"), joined_otherwise("a.csv")
    (['a.csv', 'b.csv'], [])
    """
    parts = [part for part in re.split(r"\s*[,;]\s*", source.strip()) if part]
    return parts if len(parts) > 1 and not _exists(source) else []


def _command(name: str, size: int) -> str:
    return f"`python -m raysweep.data prepare {name if name in READER_NAMES else '...'} PATH --size {size}`"


def _exists(source: str) -> bool:
    try:
        return os.path.exists(Path(source).expanduser())  # no ValueError for a NUL in the name
    except RuntimeError:  # ~NAME of an unknown user
        return False
