"""Small data sets on disk and their listings, without a reader."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from raysweep.data.listing import FaceRecord, Listing, Problem

CLASSES = ("neutral", "happiness", "sadness")


def photograph(path: Path, seed: int, size=(40, 50), **options) -> Path:
    """A picture with structure: smooth colours and an edge, other ones for every seed."""
    draws = np.random.default_rng(seed)
    low = Image.fromarray(draws.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    picture = np.asarray(low.resize(size, Image.Resampling.BICUBIC)).copy()
    picture[size[1] // 3 : size[1] // 2, size[0] // 4 :] = draws.integers(0, 256, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, **options)
    return path


def listing(root: Path, entries: Iterable[FaceRecord | Problem], **fields) -> Listing:
    standard = {"name": "small", "release": "of the tests", "classes": CLASSES, "files": ()}
    return Listing(root=root, entries=entries, **{**standard, **fields})


def small_set(root: Path, count: int = 24) -> list[FaceRecord | Problem]:
    """Photographs, faces with VA alone, votes, a missing file, a bad row, one left out by design."""
    entries: list[FaceRecord | Problem] = []
    for i in range(count):
        path = photograph(root / f"{i:03}.{'jpg' if i % 2 else 'png'}", i, size=(40 + i, 50))
        entries.append(
            FaceRecord(
                path=path,
                expression="" if i % 6 == 5 else CLASSES[i % 3],
                where=f"list.csv:{i + 2}",
                va=(i / count, -i / count) if i % 4 else (float("nan"), float("nan")),
                subject=f"s{i // 4}" if i % 5 else "",
                split=("train", "validation", "test")[i % 3 if i > 11 else 0],
                votes=(1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0) if i % 2 else (),
                box=(2, 3, 30, 40) if i % 3 == 1 else None,
            )
        )
    entries.insert(3, FaceRecord(root / "gone.png", "neutral", "list.csv:99"))
    entries.insert(9, Problem("list.csv:100", "bad row", "3 values, but 5 columns"))
    entries.insert(10, Problem("list.csv:101", "no majority", "2 of 4", fatal=True))
    return entries


def contents(folder: Path) -> Mapping[str, bytes]:
    """Every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
