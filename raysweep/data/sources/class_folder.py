"""A folder of photographs by class: `[train|validation|test/]<expression>/*.png`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from raysweep.core.errors import UserError
from raysweep.data.photographs import IMAGE_TYPES
from raysweep.data.record import SPLITS, Listing, Record, canonical_expression

from .folders import image_names, subfolders
from .reader import Reader, wrong_release
from .rows import Entry
from .values import Rejected, in_canonical_order, inside_folder, shown

LAYOUT = """\
[{train,validation,test}/]<expression>/<name>.{png,jpg,jpeg,bmp,webp}"""
TITLE = "a folder by class"


def read_class_folder(root: Path) -> list[Record]:
    """Records of every image below `root`, sorted by path.

    Raises:
        UserError: no class folder with images is found.
    """
    top = [folder for folder in sorted(root.iterdir()) if folder.is_dir()]
    split_folders = [folder for folder in top if folder.name.lower() in SPLITS]
    records: list[Record] = []
    for folder in split_folders or [root]:
        records += _one_split(folder, folder.name.lower() if split_folders else "")
    if not records:
        raise UserError(
            f"{root}: expected one folder an expression with images ({', '.join(IMAGE_TYPES)}) in it, "
            f"optionally below train/ and test/, but found {', '.join(f.name + '/' for f in top[:5]) or 'none'}"
        )
    return records


def _one_split(root: Path, split: str) -> list[Record]:
    return [
        Record(path, canonical_expression(_text(folder.name)), _text(str(path.relative_to(root))), split=split)
        for folder in sorted(root.iterdir())
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in IMAGE_TYPES
    ]


def _text(name: str) -> str:
    """A name on disk that is not in UTF-8, with its odd bytes as question marks."""
    return name.encode("utf-8", "replace").decode()


def read_folder_listing(root: Path, options: Mapping[str, str]) -> Listing:
    """The same folder as a listing, whose images are named as they are needed.

    Raises:
        UserError: no class folder with images is found.
    """
    folders = class_folders(root)
    if not folders:
        raise wrong_release(root, TITLE, "one folder an expression with images in it, perhaps below train/ and test/")
    return Listing(
        name=root.resolve().name,
        release="folder by class",
        root=root,
        classes=in_canonical_order(canonical_expression(folder.name) for folder, _ in folders),
        entries=_entries(root, folders),
        files=(),
        options=dict(options),
    )


def class_folders(root: Path) -> list[tuple[Path, str]]:
    """Folders with images in them, and the split each is in ("" where the data set has none)."""
    if not root.is_dir():
        return []
    parts = [(folder, folder.name.lower()) for folder in subfolders(root) if folder.name.lower() in SPLITS]
    return [
        (folder, split) for part, split in parts or [(root, "")] for folder in subfolders(part) if image_names(folder)
    ]


def _entries(root: Path, folders: list[tuple[Path, str]]) -> Iterator[Entry]:
    for folder, split in folders:
        for name in image_names(folder):
            yield _face(root, folder, name, split)


def _face(root: Path, folder: Path, name: str, split: str) -> Entry:
    try:
        where = inside_folder(folder, root, name)
    except Rejected as fault:
        return fault.at(shown(name))
    return Record(folder / name, canonical_expression(folder.name), where, split=split)


READER = Reader(
    title="a folder of photographs by class, for anything else",
    layout=LAYOUT,
    read=read_folder_listing,
    fits=lambda root: bool(class_folders(root)),
)
