"""A folder of photographs by class: `[train|validation|test/]<expression>/*.png`."""

from __future__ import annotations

from pathlib import Path

from raysweep.core.errors import UserError
from raysweep.data.photographs import IMAGE_TYPES
from raysweep.data.record import SPLITS, Record, canonical_expression


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
        Record(path, canonical_expression(folder.name), str(path.relative_to(root)), split=split)
        for folder in sorted(root.iterdir())
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in IMAGE_TYPES
    ]
