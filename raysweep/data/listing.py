"""`FaceRecord`: one face as a data set's lists describe it, before any pixel is read; `Problem`: what is wrong."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .borrowed import BorrowedGaussians

TRAIN, VALIDATION, TEST = 0, 1, 2
"""Splits, as data sets number them."""

SPLITS = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
"""Splits by their names in records."""

_SPLIT_NAMES = {
    "train": ("train", "training", "trn"),
    "validation": ("validation", "valid", "val", "dev", "development", "publictest"),
    "test": ("test", "testing", "tst", "eval", "evaluation", "privatetest"),
}
_SPLIT_OF = {name: split for split, names in _SPLIT_NAMES.items() for name in names}


def split_of(name: str) -> str | None:
    """The split that a folder's name or a cell means ("Train", "PublicTest", "val_set"); None where it means none.

    >>> [split_of(name) for name in ("Training", "dev", "PublicTest", "test_set", "Tests", "happy", "train2")]
    ['train', 'validation', 'validation', 'test', 'test', None, None]
    """
    plain = "".join(c for c in name.casefold() if c.isalnum())
    for ending in ("", "set", "split", "data", "images", "s"):
        found = _SPLIT_OF.get(plain.removesuffix(ending)) if plain.endswith(ending) else None
        if found:
            return found
    return None


@dataclass(frozen=True, slots=True)
class FaceRecord:
    """One face.

    `path` of its image or video; `frame` of a video, from 0; `pixels` where the list itself holds them (48 x 48 grey).
    `expression`: a name by `expressions.canonical_expression`, "" when only VA is known. `where`: file and row.
    `va` in [-1, 1], NaN where missing. `votes`: by `EXPRESSIONS`, of any positive sum; empty where nobody voted.
    `box`: left, top, width, height in pixels of the image; `landmarks`: x, y, x, y, ... in pixels of the image.
    """

    path: Path
    expression: str
    where: str
    va: tuple[float, float] = (math.nan, math.nan)
    subject: str = ""
    split: str = ""
    votes: tuple[float, ...] = ()
    box: tuple[float, float, float, float] | None = None
    landmarks: tuple[float, ...] = ()
    frame: int = -1
    pixels: bytes = b""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a face of a list is left out (`fatal`), or loses a value. `kind` is one of `PROBLEMS`."""

    where: str
    kind: str
    detail: str
    path: str = ""
    fatal: bool = True


PROBLEMS = {
    "bad row": "a row with too few or too many values, or a value that is no number",
    "label out of range": "an expression code that the release does not have",
    "VA out of range": "valence or arousal outside [-1, 1]",
    "VA missing": "no valence and arousal where the release has them: empty, NaN, -2 or -5",
    "duplicate row": "the same image is listed before",
    "no image name": "a row that names no image",
    "image missing": "no file of that name",
    "image unreadable": "empty, truncated, or no image at all",
    "box outside": "a face box that misses the image, or has no area",
    "landmarks missing": "no landmarks where the release has them: cropped by box instead",
    "path escapes": "a path that leads out of the data set's folder",
    "hidden file": "a file that a system left behind, not a photograph: `._1.png`, `.ipynb_checkpoints/`, `__MACOSX/`",
    "no majority": "raters do not agree on an expression",
    "no face found": "a photograph in which the detector, where one was asked for, finds no face",
    "not a face": "uncertain, unknown or no face, by the release's own codes",
}
"""Kinds of problems. Those of `BY_DESIGN` do not count as errors of a set."""

BY_DESIGN = ("no majority", "not a face", "no face found", "VA missing", "hidden file")


@dataclass(frozen=True)
class Listing:
    """A data set as its lists describe it. `entries` can be iterated once; it reads the lists lazily.

    `classes` in canonical order; `files`: the lists (not the images), for the fingerprint; `options` of the reader that
    change what is read, for the fingerprint; `notes`: sentences for captions; `remarks`: sentences for the console
    about how the set was read (ignored files, unused columns); `names_lists`: the release fixes the names of its lists,
    so these count in the fingerprint; `counts`: published training counts by expression and `means`: published mean VA,
    where there are any, for comparison. `reader`: the reader's name; `name` may be the user's. `gaussians`: another
    set's, if the classes were derived from them.
    """

    name: str
    release: str
    root: Path
    classes: tuple[str, ...]
    entries: Iterable[FaceRecord | Problem]
    files: Sequence[Path]
    options: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    names_lists: bool = True
    counts: Mapping[str, int] = field(default_factory=dict)
    means: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    total: int | None = None
    reader: str = ""
    gaussians: BorrowedGaussians | None = None
