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
from raysweep.report.figures.catalog import Picture, picture_digests, save_pictures
from raysweep.report.folder import Subjects, mark_folder

FILES = ".files.json"
"""SHA-256 of every file of a report as it was written, and of pictures what they were drawn from."""


@dataclass(frozen=True)
class Contents:
    """What the files of a report should be, to write them or to compare them with what lies there.

    `texts`: name to content of all but pictures, given the folder where these are saved, which HTML shows; None: HTML
    without the bytes of pictures. `shown`: name of an HTML file to the pictures in it, in order. `optional`: names of
    files that some reports of this kind have, which are left over where this one has them not. `subjects`: what the
    report is about. `checksums`: name of the list of them.
    """

    texts: Callable[[Path | None], Mapping[str, str]]
    pictures: Sequence[Picture]
    shown: Mapping[str, Sequence[Picture]]
    optional: Sequence[str]
    subjects: Subjects
    checksums: str = FILES


INDEX = "index.html"
"""The list of all reports, beside their folders."""

NAV = '<nav><a href="../index.html">All reports</a></nav>\n'
"""The link to it, in pages that were written where it is."""

_BODY = "<body>\n"


def write_files(contents: Contents, out: Path) -> tuple[Path, ...]:
    """Write a report into the folder `out`, with a list of checksums, and remove what is left over of an earlier one.
    It is drafted beside first: a failure leaves nothing half-written. Returns the files, without the list.

    Raises:
        UserError: `out` cannot be written, or a file in it not be removed.
    """
    digests = picture_digests(contents.pictures)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".draft-") as folder:
            draft = Path(folder)
            names = _draft(contents, draft, (out.parent / INDEX).is_file())
            (draft / contents.checksums).write_text(_list(draft, names, digests), encoding="utf-8")
            for name in (*names, contents.checksums):
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(draft / name, out / name)
    except OSError as error:
        raise UserError(f"--out {out}: cannot write the report there ({error.strerror or error})") from None
    for name in set(contents.optional).difference(names):
        try:
            (out / name).unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"--out {out}: cannot remove {Path(name).name} ({error.strerror or error})") from None
    mark_folder(out, contents.subjects)
    return tuple(out / name for name in names)


def _draft(contents: Contents, folder: Path, listed: bool) -> list[str]:
    """Write every file below a folder. Returns their names, in the order in which a reader should hear of them.

    `listed`: pages link to the index of all reports.
    """
    drawn = save_pictures(contents.pictures, folder / "figures")
    texts = contents.texts(folder / "figures")
    for name, text in texts.items():
        linked = text.replace(_BODY, _BODY + NAV, 1) if listed and name in contents.shown else text
        (folder / name).write_text(linked, encoding="utf-8", newline="\n")
    return [*texts, *(path.relative_to(folder).as_posix() for path in drawn)]


def _list(folder: Path, names: Sequence[str], digests: Mapping[str, str]) -> str:
    facts = {}
    for name in names:
        drawn = {"drawn_from": digests[name]} if name in digests else {}
        facts[name] = {"sha256": file_checksum(folder / name), **drawn}
    return json.dumps(facts, indent=1, sort_keys=True) + "\n"


def stale_among(contents: Contents, out: Path) -> list[str]:
    """Files in `out` that are absent, left over, or not as expected, each with what is wrong with it.

    Texts are compared as they are; pictures, whose bytes depend on the font library, by what they were drawn from and
    by the checksums that were noted when they were written.
    """
    noted, texts, digests = _noted(out / contents.checksums), contents.texts(None), picture_digests(contents.pictures)
    stale = [] if noted is not None else [f"{contents.checksums} (missing or unreadable: write the report again)"]
    for name, text in texts.items():
        shown = [f"figures/{picture.stem}.png" for picture in contents.shown.get(name, ())]
        same = partial(_is_page, shown=shown, noted=noted or {}) if name in contents.shown else _says
        stale += _unless(out / name, name, partial(same, text=text))
    for name, digest in digests.items():
        fact = (noted or {}).get(name, {})
        if (out / name).is_file() and fact.get("drawn_from", digest) != digest:
            stale.append(f"{name} (drawn from other numbers)")
        elif noted is not None or not (out / name).is_file():
            stale += _unless(out / name, name, partial(_has, checksum=fact.get("sha256")))
    known = {*texts, *digests}
    return stale + [f"{name} (left over)" for name in contents.optional if name not in known and (out / name).is_file()]


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
    plain = found.replace(_BODY + NAV, _BODY, 1)
    return same and without_pictures(plain) == without_pictures(text)


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
