"""Formats of the small files of a store, by the folder that they lie in."""

from __future__ import annotations

from collections.abc import Iterable

from raysweep.core.versioned import RecordFormat

from .files import Files

LAYOUT = RecordFormat(field="store_version")
"""Of all folders together; gets a new version when an older raysweep could not read or would harm a newer store."""

PRODUCT, FAILURE, HOLDER, EVENT = RecordFormat(), RecordFormat(), RecordFormat(), RecordFormat()
"""A product's manifest, the note of a failure, a holder of leases, and an event of a journal (a line each)."""

_BY_FOLDER = {"stages": PRODUCT, "failed": FAILURE, "holders": HOLDER}


def newer_file(files: Files, names: Iterable[str]) -> str | None:
    """The first of these files that a newer raysweep wrote; None where it wrote none."""
    found = (
        name for name, content in files.read_all(names).items() if _BY_FOLDER[name.partition("/")[0]].is_newer(content)
    )
    return next(found, None)
