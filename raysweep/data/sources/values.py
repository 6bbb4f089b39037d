"""Values in the rows of lists: numbers, affect, codes, paths; and `Rejected`, for what cannot be used."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path

from raysweep.data.expressions import EXPRESSIONS
from raysweep.data.record import PROBLEMS, Problem

MISSING_AFFECT = (-2, -5)
"""Marks for "not annotated" in AffectNet and Aff-Wild."""

LONGEST_NAME, LONGEST_PATH = 255, 4095
"""Bytes: no file system in use has longer names, and no system call takes longer paths."""


class Rejected(Exception):
    """A row that gives no record. `kind` is one of `PROBLEMS`; `path` is the image, as far as it is known."""

    def __init__(self, kind: str, detail: str, path: str = "") -> None:
        assert kind in PROBLEMS, kind
        super().__init__(detail)
        self.kind, self.detail, self.path = kind, detail, path

    def at(self, where: str) -> Problem:
        return Problem(where, self.kind, self.detail, self.path)


def shown(text: str, most: int = 60) -> str:
    """`text` in quotes, on one line, shortened.

    >>> print(shown("a" * 99, most=5))
    'aaaaa'... (99 characters)
    """
    text = text.encode("utf-8", "replace").decode()
    return repr(text) if len(text) <= most else f"{text[:most]!r}... ({len(text)} characters)"


def read_number(text: str) -> float:
    """A number as lists write it. Raises Rejected: there is none."""
    try:
        if "_" not in text:  # Python's own spelling of numbers
            return float(text)
    except ValueError:
        pass
    raise Rejected("bad row", f"{shown(text)} is no number")


def read_affect(column: str, text: str) -> float:
    """Valence or arousal in [-1, 1]; NaN where empty, NaN, -2 or -5. Raises Rejected: anything else."""
    if not text:
        return math.nan
    try:
        value = read_number(text)
    except Rejected:
        raise Rejected("bad row", _affect_rule(column, text)) from None
    if math.isnan(value) or value in MISSING_AFFECT:
        return math.nan
    if not -1 <= value <= 1:
        raise Rejected("VA out of range", _affect_rule(column, text))
    return value


def _affect_rule(column: str, text: str) -> str:
    return f"`-1 <= {column} <= 1` must hold (or -2 for missing), but got {shown(text)}"


def read_va(valence: str, arousal: str) -> tuple[float, float]:
    """Both or neither: NaN twice where one is missing. Raises Rejected as `read_affect`."""
    va = read_affect("valence", valence), read_affect("arousal", arousal)
    return va if math.isfinite(va[0] + va[1]) else (math.nan, math.nan)


def read_code(text: str, table: Mapping[int, str]) -> str:
    """The name that a release's `table` gives a code. Raises Rejected: no number, or no such code."""
    value = read_number(text)
    if value not in table:
        raise Rejected("label out of range", f"expression {shown(text)}: the codes are {min(table)} to {max(table)}")
    return table[int(value)]


def inside(root: Path, text: str) -> Path:
    """The file below `root` that a list means; backslashes count as slashes.

    Symbolic links within the folder are followed: whoever put them there meant it.

    Raises:
        Rejected: no name at all, one that leads out of `root`, or one that no file can have.
    """
    name = posixpath.normpath(text.replace("\\", "/")) if text else "."
    if name == ".":
        raise Rejected("no image name", f"the image is named {shown(text)}")
    if "\0" in name:
        raise Rejected("bad row", f"{shown(text)} is no file name")
    if name.startswith("/") or name.split("/", 1)[0] == ".." or re.match("[A-Za-z]:", name):
        raise Rejected("path escapes", f"{shown(text)} leads out of the data set's folder", shown(text))
    path = root / name
    longest = max(len(part.encode()) for part in name.split("/"))
    if longest > LONGEST_NAME or len(str(path).encode("utf-8", "surrogateescape")) > LONGEST_PATH:
        raise Rejected("image missing", f"{shown(text)} is longer than any file name", shown(text))
    return path


def inside_folder(folder: Path, root: Path, name: str) -> str:
    """`where` of a file that was found on disk. Raises Rejected: its name is not in UTF-8."""
    where = (folder.relative_to(root) / name).as_posix()
    try:
        where.encode()
    except UnicodeEncodeError:
        raise Rejected("bad row", f"{shown(where)} is no name in UTF-8") from None
    return where


class Seen:
    """Remembers names as 64-bit digests: a million of them take 65 MB, and meet by chance once in 37 million sets."""

    def __init__(self) -> None:
        self._digests: set[int] = set()

    def is_new(self, name: str | Path) -> bool:
        """Whether `name` comes for the first time."""
        digest = int.from_bytes(blake2b(str(name).encode("utf-8", "surrogateescape"), digest_size=8).digest())
        before = len(self._digests)
        self._digests.add(digest)
        return len(self._digests) > before

    def add(self, name: str | Path) -> None:
        """Raises Rejected: `name` was there before."""
        if not self.is_new(name):
            raise Rejected("duplicate row", "the same image is listed before", str(name))


def in_canonical_order(names: Iterable[str]) -> tuple[str, ...]:
    """Classes: AffectNet's order as far as it goes, other names follow in alphabetical order.

    >>> in_canonical_order({"sadness", "calm", "neutral"})
    ('neutral', 'sadness', 'calm')
    """
    present = set(names)
    return tuple(e for e in EXPRESSIONS if e in present) + tuple(sorted(present - set(EXPRESSIONS)))
