"""Images in folders: their names in order, without what operating systems leave there."""

from __future__ import annotations

import os
from pathlib import Path

from raysweep.data.photographs import IMAGE_TYPES


def image_names(folder: Path) -> list[str]:
    """Names of the image files in `folder`, sorted; hidden ones (`._1.png`) are none."""
    with os.scandir(folder) as entries:
        names = (entry.name for entry in entries if not entry.name.startswith("."))
        return sorted(name for name in names if os.path.splitext(name)[1].lower() in IMAGE_TYPES)


def subfolders(folder: Path) -> list[Path]:
    """Folders in `folder`, sorted by name, without hidden ones."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
