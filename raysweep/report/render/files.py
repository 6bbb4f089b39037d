"""Files of a report are drafted beside those of an earlier one, then moved over them: nothing is left half-written."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from raysweep.core.errors import UserError
from raysweep.core.hashing import file_checksum

FILES = ".files.json"
"""SHA-256 of every file of a report as it was written, and of pictures what they were drawn from."""


@dataclass(frozen=True)
class Expected:
    """What the files of a report should be, to compare with what lies there.

    `texts`: name to content. `pages`: the same of HTML files, without the bytes of the pictures in them; `shows`: the
    pictures in each, in order. `pictures`: name to a digest of what it is drawn from. `others`: names of files that
    some reports of this kind have; whichever lies there and is not expected is left over.
    """

    texts: Mapping[str, str]
    pages: Mapping[str, str]
    shows: Mapping[str, Sequence[str]]
    pictures: Mapping[str, str]
    others: Sequence[str] = ()
    files: str = FILES


def placed(
    out: Path, write: Callable[[Path], Sequence[Path]], pictures: Mapping[str, str], files: str = FILES
) -> list[Path]:
    """Let `write` fill a draft folder and move what it returns to `out`, with a list of checksums. Returns the files
    there, without the list.

    Args:
        pictures: name of a picture's file to a digest of what it is drawn from.
        files: name of the list.

    Raises:
        UserError: `out` cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".draft-") as draft:
            drafts = list(write(Path(draft)))
            listed = Path(draft) / files
            listed.write_text(_list(Path(draft), drafts, pictures), encoding="utf-8")
            names = [path.relative_to(draft) for path in [*drafts, listed]]
            for name in names:
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(Path(draft) / name, out / name)
    except OSError as error:
        raise UserError(f"--out {out}: cannot write the report there ({error.strerror or error})") from None
    return [out / name for name in names[:-1]]


def _list(draft: Path, paths: Sequence[Path], pictures: Mapping[str, str]) -> str:
    facts = {}
    for path in paths:
        name = path.relative_to(draft).as_posix()
        facts[name] = {"sha256": file_checksum(path), **({"drawn_from": pictures[name]} if name in pictures else {})}
    return json.dumps(facts, indent=1, sort_keys=True) + "\n"


def drop_stale(out: Path, kept: Sequence[Path], names: Sequence[str]) -> None:
    """Remove of these names in `out` what an earlier report wrote and this one did not.

    Raises:
        UserError: a file that cannot be removed.
    """
    for path in (out / name for name in names):
        if path not in kept:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise UserError(f"--out {out}: cannot remove {path.name} ({error.strerror or error})") from None


def stale_among(out: Path, expected: Expected) -> list[str]:
    """Files in `out` that are not as expected, each with what is wrong with it.

    Texts and pages are compared as they are; pictures, whose bytes depend on the font library, by what they were drawn
    from and by the checksums that were noted when they were written.
    """
    noted = _noted(out / expected.files)
    stale = [] if noted is not None else [f"{expected.files} (missing or unreadable: write the report again)"]
    for name, text in expected.texts.items():
        stale += _unless(out / name, name, partial(_says, text=text))
    for name, text in expected.pages.items():
        stale += _unless(out / name, name, partial(_is_page, text=text, shown=expected.shows[name], noted=noted or {}))
    for name, digest in expected.pictures.items():
        fact = (noted or {}).get(name, {})
        if (out / name).is_file() and fact.get("drawn_from", digest) != digest:
            stale.append(f"{name} (drawn from other numbers)")
        elif noted is not None or not (out / name).is_file():
            stale += _unless(out / name, name, partial(_has, checksum=fact.get("sha256")))
    known = {*expected.texts, *expected.pages, *expected.pictures}
    return stale + [f"{name} (left over)" for name in expected.others if name not in known and (out / name).is_file()]


def _unless(path: Path, name: str, holds: Callable[[Path], bool]) -> list[str]:
    if not path.is_file():
        return [f"{name} (missing)"]
    return [] if holds(path) else [f"{name} (differs)"]


def _says(path: Path, text: str) -> bool:
    return path.read_bytes() == text.encode()


def _has(path: Path, checksum: str | None) -> bool:
    return file_checksum(path) == checksum


def _is_page(path: Path, text: str, shown: Sequence[str], noted: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether a page says this, and shows these pictures as they were written."""
    try:
        found = path.read_bytes().decode()
        pictures = [base64.b64decode(data, validate=True) for data in _PICTURE.findall(found)]
    except ValueError:
        return False
    checksums = [hashlib.sha256(data).hexdigest() for data in pictures]
    same = not noted or checksums == [noted.get(name, {}).get("sha256") for name in shown]
    return same and without_pictures(found) == without_pictures(text)


_PICTURE = re.compile(r'(?<=src="data:image/png;base64,)[^"]*')


def without_pictures(page: str) -> str:
    """A page of ours without the bytes of its pictures."""
    return _PICTURE.sub("", page)


def _noted(file: Path) -> dict[str, dict[str, str]] | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and all(isinstance(fact, dict) for fact in found.values()) else None
