"""CAER-S: stills of television series, a folder an expression. Whole scenes: faces are yet to be found in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from raysweep.core.errors import UserError
from raysweep.data.expressions import EXPRESSIONS
from raysweep.data.record import Listing, Record

from .folders import image_names, subfolders
from .reader import Reader, wrong_release
from .rows import Entry
from .values import Rejected, inside_folder, shown

CODES = {
    "anger": "anger",
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "sad": "sadness",
    "surprise": "surprise",
}
"""Folder names in lower case. "Angry" and "Anger" both occur."""

SPLITS = ("train", "test")
LAYOUT = """\
{train,test}/{Anger,Disgust,Fear,Happy,Neutral,Sad,Surprise}/<name>.png"""
TITLE = "CAER-S"


def read_caers(root: Path, options: Mapping[str, str]) -> Listing:
    """CAER-S. Raises UserError: a split or an expression has no folder, or the folders hold no images."""
    for split in SPLITS:
        if not (root / split).is_dir():
            raise wrong_release(root, TITLE, "train/ and test/")
        _check_split(root / split)
    return Listing(
        name="caers",
        release="stills",
        root=root,
        classes=EXPRESSIONS[:7],
        entries=_entries(root),
        files=(),
        options=dict(options),
    )


def _check_split(folder: Path) -> None:
    known = [path for path in subfolders(folder) if path.name.lower() in CODES]
    lacking = set(CODES.values()) - {CODES[path.name.lower()] for path in known}
    if lacking:
        raise wrong_release(folder, TITLE, f"a folder for {', '.join(sorted(lacking))}")
    if not any(image_names(path) for path in known):
        videos = any(path.glob("*.avi") for path in known)
        hint = ": these may be the videos of CAER, CAER-S is its stills" if videos else ""
        raise UserError(f"{folder}: {TITLE} needs .png images in the folders of expressions, but there are none{hint}")


def _entries(root: Path) -> Iterator[Entry]:
    for split in SPLITS:
        for folder in subfolders(root / split):
            for name in image_names(folder):
                yield _face(root, folder, name, split)


def _face(root: Path, folder: Path, name: str, split: str) -> Entry:
    where = shown(name)
    try:
        where = inside_folder(folder, root, name)
        if folder.name.lower() not in CODES:
            raise Rejected("label out of range", f"{shown(folder.name)} is no expression of {TITLE}", where)
    except Rejected as fault:
        return fault.at(where)
    return Record(folder / name, CODES[folder.name.lower()], where, split=split)


def fits(root: Path) -> bool:
    """Whether the name says so: many data sets have folders like these."""
    return "caer" in root.resolve().name.lower() and all((root / split).is_dir() for split in SPLITS)


READER = Reader(title="CAER-S (stills)", layout=LAYOUT, read=read_caers, fits=fits)
