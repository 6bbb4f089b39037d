"""AffectNet as first released: two CSV lists beside a folder of images in numbered folders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from raysweep.data.listing import Listing

from . import affectnet_codes as codes
from .reader import checked_entries, wrong_release
from .rows import CsvFile, Entry, Row, count_rows, open_table, read_rows
from .values import Rejected, Seen, inside, quoted, read_number

COLUMNS = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
LISTS = "Manually_Annotated_file_lists"
IMAGES = "Manually_Annotated_Images"
SPLITS = {"training.csv": "train", "validation.csv": "test"}
"""The official validation set is the test set of all publications, since labels of the test set are not published."""


def fits(root: Path) -> bool:
    return (root / LISTS).is_dir()


def read(root: Path, options: Mapping[str, str]) -> Listing:
    """The listing of the CSV release. Raises UserError: a list or the images are missing, or a list is another one."""
    files = [root / LISTS / name for name in SPLITS]
    images = root / IMAGES
    if not images.is_dir() or not all(file.is_file() for file in files):
        raise wrong_release(root, codes.TITLE, f"{LISTS}/training.csv and validation.csv beside {IMAGES}/")
    tables = [open_table(file, root, COLUMNS, headless=True) for file in files]  # validation.csv can lack the header
    for table in tables:
        checked_entries(table.file, codes.TITLE, partial(_entries, [table], images, options))
    total = sum(count_rows(table.file) - bool(table.header_lines) for table in tables)
    return codes.listing(root, "CSV release", options, _entries(tables, images, options), files, total)


def _entries(tables: list[CsvFile], images: Path, options: Mapping[str, str]) -> Iterator[Entry]:
    seen = Seen()
    for table in tables:
        face = partial(_face, images, SPLITS[table.file.name], options, seen)
        yield from read_rows(table.rows(), face)


def _face(images: Path, split: str, options: Mapping[str, str], seen: Seen, where: str, row: Row) -> Iterator[Entry]:
    path = inside(images, row["subDirectory_filePath"])
    expression = codes.read_expression(row["expression"], options)
    if codes.left_out(expression, options):
        return
    box, landmarks = _box(row), _landmarks(row["facial_landmarks"])
    face = list(codes.face(where, path, expression, (row["valence"], row["arousal"]), split, landmarks, box))
    seen.add(path)
    yield from face


def _box(row: Row) -> tuple[float, float, float, float]:
    left, top, width, height = (read_number(row[name]) for name in COLUMNS[1:5])
    if not (0 < width < float("inf") and 0 < height < float("inf")) or not abs(left) + abs(top) < float("inf"):
        raise Rejected("box outside", f"a box of {quoted(row['face_width'])} x {quoted(row['face_height'])} pixels")
    return left, top, width, height


def _landmarks(text: str) -> tuple[float, ...]:
    """x, y, x, y, ...; empty where the list has anything but 68 points."""
    try:
        return tuple(codes.whole([float(value) for value in text.split(";")]))
    except ValueError:
        return ()
