"""Values in the rows of lists: numbers, affect, codes, paths; and `Rejected`, for invalid ones."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from raysweep.data.expressions import EXPRESSIONS
from raysweep.data.image_types import is_hidden
from raysweep.data.listing import PROBLEMS, Problem

MISSING_AFFECT = (-2, -5)
"""Marks for "not annotated" in AffectNet and Aff-Wild."""

MISSING = frozenset(
    ("", "nan", "na", "n/a", "<na>", "#n/a", "#na", "#n/a n/a", "null", "none", "-nan", "-1.#ind", "1.#ind", "1.#qnan")
)
"""Cells without a value, in lower case: those that pandas writes or reads as missing."""

LONGEST_NAME, LONGEST_PATH = 255, 4095
"""Bytes: limits of file systems for names, and of system calls for paths."""


class Rejected(Exception):
    """A row that gives no record. `kind` is one of `PROBLEMS`; `path` is the image, "" if it is not known."""

    def __init__(self, kind: str, detail: str, path: str = "") -> None:
        assert kind in PROBLEMS, kind
        super().__init__(detail)
        self.kind, self.detail, self.path = kind, detail, path

    def at(self, where: str) -> Problem:
        return Problem(where, self.kind, self.detail, self.path)


def quoted(text: str, most: int = 60) -> str:
    """`text` in quotes, on one line, shortened.

    >>> print(quoted("a" * 99, most=5))
    'aaaaa'... (99 characters)
    """
    text = text.encode("utf-8", "replace").decode()
    return repr(text) if len(text) <= most else f"{text[:most]!r}... ({len(text)} characters)"


def is_missing(text: str) -> bool:
    """Whether a cell has no value: empty, NA, nan, null or another of `MISSING`."""
    return text.strip().casefold() in MISSING


def read_number(text: str) -> float:
    """A number as lists write it. Raises Rejected: not a number."""
    try:
        if "_" not in text:  # valid in Python only
            return float(text)
    except ValueError:
        pass
    raise Rejected("bad row", f"{quoted(text)} is no number")


@dataclass(frozen=True)
class AffectScale:
    """How a list writes valence and arousal: from `low` to `high`, with points or decimal commas.

    On the usual scale, -1 to 1, the numbers -2 and -5 mark missing values; on another one every number is a value.
    """

    low: float = -1.0
    high: float = 1.0
    decimal_comma: bool = False

    @property
    def is_usual(self) -> bool:
        return (self.low, self.high) == (-1, 1)

    def number(self, text: str) -> float:
        """The number as written; NaN where it is missing. Raises Rejected: not a number."""
        if is_missing(text):
            return math.nan
        value = read_number(text.replace(",", ".") if self.decimal_comma and text.count(",") == 1 else text)
        return math.nan if self.is_usual and value in MISSING_AFFECT else value

    def read(self, column: str, text: str) -> float:
        """The value mapped to [-1, 1]; NaN where it is missing. Raises Rejected: no number, or one off the scale."""
        try:
            value = self.number(text)
        except Rejected:
            raise Rejected("bad row", self._rule(column, text)) from None
        if not math.isnan(value) and not self.low <= value <= self.high:
            raise Rejected("VA out of range", self._rule(column, text))
        return value if self.is_usual else 2 * (value - self.low) / (self.high - self.low) - 1

    def _rule(self, column: str, text: str) -> str:
        missing = " (or -2 for missing)" if self.is_usual else ""
        return f"`{self.low:g} <= {column} <= {self.high:g}` must hold{missing}, but got {quoted(text)}"

    def read_va(self, valence: str, arousal: str) -> tuple[float, float]:
        """Both or neither: NaN twice where one is missing. Raises Rejected as `read`."""
        va = self.read("valence", valence), self.read("arousal", arousal)
        return va if math.isfinite(va[0] + va[1]) else (math.nan, math.nan)


USUAL = AffectScale()


def read_affect(column: str, text: str) -> float:
    """Valence or arousal in [-1, 1]; NaN where empty, NaN, -2 or -5. Raises Rejected: anything else."""
    return USUAL.read(column, text)


def read_va(valence: str, arousal: str) -> tuple[float, float]:
    """Both or neither: NaN twice where one is missing. Raises Rejected as `read_affect`."""
    return USUAL.read_va(valence, arousal)


def read_code(text: str, table: Mapping[int, str]) -> str:
    """The name of a code in a release's `table`. Raises Rejected: no number, or no such code."""
    value = read_number(text)
    if value not in table:
        raise Rejected("label out of range", f"expression {quoted(text)}: the codes are {min(table)} to {max(table)}")
    return table[int(value)]


def inside(root: Path, text: str, base: Path | None = None) -> Path:
    """The file below `root` that a list names; backslashes count as slashes.

    Relative paths start at `base`, which is `root` unless given; an absolute one may lead into `root`, too. Symbolic
    links within the folder are followed.

    Raises:
        Rejected: no name, one that leads out of `root`, one that no file can have, or that of a hidden file.
    """
    name = posixpath.normpath(text.replace("\\", "/")) if text else "."
    if name == ".":
        raise Rejected("no image name", f"the image is named {quoted(text)}")
    if "\0" in name:
        raise Rejected("bad row", f"{quoted(text)} is no file name")
    below = _below(root, name, base)
    if below is None:
        raise Rejected("path escapes", f"{quoted(text)} leads out of the data set's folder", quoted(text))
    longest = max(len(part.encode("utf-8", "surrogateescape")) for part in below.split("/"))
    path = root / below
    if longest > LONGEST_NAME or len(str(path).encode("utf-8", "surrogateescape")) > LONGEST_PATH:
        raise Rejected("image missing", f"{quoted(text)} is longer than any file name", quoted(text))
    if any(map(is_hidden, below.split("/"))):
        raise Rejected("hidden file", f"{quoted(text)} is hidden, or left behind by a system", quoted(text))
    return path


def _below(root: Path, name: str, base: Path | None) -> str | None:
    """A normalised path, relative to `root`; None where it leads out, or is `root` itself."""
    if base is not None and not name.startswith("/"):
        name = posixpath.normpath(f"{base.as_posix()}/{name}")
    if name.startswith("/"):
        top = f"{root.as_posix().rstrip('/')}/"
        if not name.startswith(top) or len(name) == len(top):
            return None
        name = name[len(top) :]
    return None if name.split("/", 1)[0] == ".." or re.match("[A-Za-z]:", name) else name


def inside_folder(folder: Path, root: Path, name: str) -> str:
    """`where` of a file found on disk. Raises Rejected: its name is not in UTF-8."""
    where = (folder.relative_to(root) / name).as_posix()
    try:
        where.encode()
    except UnicodeEncodeError:
        raise Rejected("bad row", f"{quoted(where)} is no name in UTF-8") from None
    return where


class Seen:
    """A set of names as 64-bit digests: a million take 65 MB and collide in one of 37 million sets."""

    def __init__(self) -> None:
        self._digests: set[int] = set()

    def is_new(self, name: str | Path) -> bool:
        """Add `name`; whether it is new."""
        before = len(self._digests)
        self._digests.add(self._digest(name))
        return len(self._digests) > before

    @staticmethod
    def _digest(name: str | Path) -> int:
        return int.from_bytes(blake2b(str(name).encode("utf-8", "surrogateescape"), digest_size=8).digest())

    def __contains__(self, name: str | Path) -> bool:
        return self._digest(name) in self._digests

    def add(self, name: str | Path) -> None:
        """Add `name`. Raises Rejected: it is not new."""
        if not self.is_new(name):
            raise Rejected("duplicate row", "the same image is listed before, and the first row counts", str(name))


def natural_order(name: str) -> tuple[tuple[int, int | str], ...]:
    """A key that sorts numbers in names as numbers.

    >>> sorted(["10", "s2", "2", "s10"], key=natural_order)
    ['2', '10', 's2', 's10']
    """
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in parts if part)


def in_canonical_order(names: Iterable[str]) -> tuple[str, ...]:
    """Classes in AffectNet's order, then other names, in which numbers are sorted as numbers.

    >>> in_canonical_order({"sadness", "calm", "neutral", "10", "2"})
    ('neutral', 'sadness', '2', '10', 'calm')
    """
    present = set(names)
    return tuple(e for e in EXPRESSIONS if e in present) + tuple(sorted(present - set(EXPRESSIONS), key=natural_order))
