"""What a data set holds, told apart without reading its images: so a machine can be asked whether it has the same one.

Cheaper than a fingerprint, which needs every image; a process that trains compares those, too, before it begins.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from raysweep.core.errors import UserError
from raysweep.core.formatting import plural
from raysweep.core.hashing import file_checksum

from .names import BUILT_IN, check_named
from .prepare.location import Home, home_place, is_name

MOST_NAMES = 20_000
"""Files of a folder whose names are compared, in their order."""


@dataclass(frozen=True)
class SetContent:
    """A data set of a launch at an image size in pixels.

    `source`: its name, or the path of a folder or list; `content`: equal for equal sets, "" for drawn faces, which
    the code decides; `about`: in words.
    """

    source: str
    size: int
    content: str
    about: str

    def check_here(self) -> None:
        """Raises UserError unless this machine has the same set."""
        found = content_of(self.source, self.size)
        if found.content != self.content:
            raise UserError(
                f"its {self.source} is another data set than the launch's ({found.about} there, {self.about} here): "
                "copy the launch's there, or put it where all machines see it"
            )


def content_of(source: str, size: int) -> SetContent:
    """What this machine has under that name or path.

    Raises:
        UserError: it is not there, not prepared at this size, or incomplete.
    """
    check_named(source, size)
    if source in BUILT_IN:
        return SetContent(source, size, "", "drawn, nothing to prepare")
    prepared = _prepared(source, size) if is_name(source) else None
    return prepared or _at_path(source, Path(source).expanduser(), size)


def _prepared(name: str, size: int) -> SetContent | None:
    home = Home(home_place())
    manifest = home.manifest(name, size)
    if manifest is None:
        return None
    folder = f"{name}/{size}px"
    sizes = home.files.sizes(folder)
    for file, facts in manifest.files.items():
        if sizes.get(file) != facts.bytes:
            raise UserError(
                f"{home.place}/{folder}/{file} has {sizes.get(file, 0):,} bytes instead of {facts.bytes:,}: copy it "
                "there again, or prepare it again"
            )
    return SetContent(name, size, manifest.fingerprint, f"{plural(manifest.images, 'image')} prepared at {size} px")


def _at_path(source: str, path: Path, size: int) -> SetContent:
    """A list by its bytes, a folder by the names in it."""
    try:
        if path.is_file():
            return SetContent(source, size, file_checksum(path), "a list")
        names = list(islice(_names(path), MOST_NAMES))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): give this account access to it") from None
    digest = hashlib.sha256("\0".join(names).encode("utf-8", "surrogateescape")).hexdigest()
    more = " or more" if len(names) == MOST_NAMES else ""
    return SetContent(source, size, digest, f"a folder of {plural(len(names), 'file')}{more}")


def _names(folder: Path) -> Iterator[str]:
    """Files below a folder relative to it, always in the same order."""
    for place, folders, files in os.walk(folder, onerror=_raise):
        folders.sort()
        yield from (os.path.relpath(os.path.join(place, name), folder) for name in sorted(files))


def _raise(error: OSError) -> None:
    raise error
