"""CAER-S: stills of television series, a folder an expression. Whole scenes, in which faces must be detected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from raysweep.core.errors import UserError
from raysweep.data.expressions import EXPRESSIONS, canonical_expression
from raysweep.data.listing import SPLITS, FaceRecord, Listing, split_of

from .folders import FolderScan, ImageFolder, image_names, scan_folders, subfolders
from .reader import Reader, wrong_release
from .rows import Entry
from .values import Rejected, inside_folder, quoted

CLASSES = EXPRESSIONS[:7]

LAYOUT = """\
{train,test}/{Anger,Disgust,Fear,Happy,Neutral,Sad,Surprise}/<name>.png"""
TITLE = "CAER-S"


def read_caers(root: Path, options: Mapping[str, str]) -> Listing:
    """CAER-S. A folder for validation beside its two splits is read, too.

    Raises:
        UserError: a split or an expression has no folder, or the folders hold no images.
    """
    splits = {split for folder in subfolders(root) if (split := split_of(folder.name))} if root.is_dir() else set()
    if not {"train", "test"} <= splits:
        raise wrong_release(root, TITLE, "train/ and test/")
    for folder in subfolders(root):
        if split_of(folder.name):
            _check_split(folder)
    scan = scan_folders(root, _is_expression)
    return Listing(
        name="caers",
        release="stills",
        root=root,
        classes=CLASSES,
        entries=_entries(root, scan),
        files=(),
        options=dict(options),
        remarks=scan.unread,
        total=scan.count,
    )


def _is_expression(name: str) -> bool:
    """Whether a folder's name is one of the seven. "Angry" and "Anger" both occur."""
    return canonical_expression(name) in CLASSES


def _check_split(folder: Path) -> None:
    known = [path for path in subfolders(folder) if _is_expression(path.name)]
    lacking = set(CLASSES) - {canonical_expression(path.name) for path in known}
    if lacking:
        raise wrong_release(folder, TITLE, f"a folder for {', '.join(sorted(lacking))}")
    if not any(image_names(path) for path in known):
        videos = any(path.glob("*.avi") for path in known)
        hint = ": these may be the videos of CAER, CAER-S is its stills" if videos else ""
        raise UserError(f"{folder}: {TITLE} needs .png images in the folders of expressions, but there are none{hint}")


def _entries(root: Path, scan: FolderScan) -> Iterator[Entry]:
    for folder in sorted(scan.folders, key=lambda folder: SPLITS[folder.split]):
        for name in image_names(folder.folder):
            yield _face(root, folder, name)


def _face(root: Path, folder: ImageFolder, name: str) -> Entry:
    where = quoted(name)
    try:
        where = inside_folder(folder.folder, root, name)
        if not _is_expression(folder.name):
            raise Rejected("label out of range", f"{quoted(folder.name)} is no expression of {TITLE}", where)
    except Rejected as fault:
        return fault.at(where)
    return FaceRecord(folder.folder / name, canonical_expression(folder.name), where, split=folder.split)


def fits(root: Path) -> bool:
    """Whether the folder has the name: many data sets have folders like these."""
    return "caer" in root.resolve().name.lower() and all((root / split).is_dir() for split in ("train", "test"))


READER = Reader(title="CAER-S (stills)", layout=LAYOUT, read=read_caers, fits=fits)
