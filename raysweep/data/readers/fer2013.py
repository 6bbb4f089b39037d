"""FER2013: one CSV file with labels and pixels, 48 x 48 of grey."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from raysweep.data.expressions import EXPRESSIONS
from raysweep.data.listing import FaceRecord, Listing

from .reader import Reader, checked_entries, wrong_release
from .rows import CsvFile, Entry, Row, count_rows, open_table, read_rows
from .values import Rejected, quoted, read_code

CODES = {0: "anger", 1: "disgust", 2: "fear", 3: "happiness", 4: "sadness", 5: "surprise", 6: "neutral"}

USAGE = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}

COUNTS = {"neutral": 4965, "happiness": 7215, "sadness": 4830, "surprise": 3171, "fear": 4097, "disgust": 436}
COUNTS |= {"anger": 3995}
"""Training images an expression, 28,709 in all."""

FILE = "fer2013.csv"
FILES = (FILE, "icml_face_data.csv")
"""Names under which the file is distributed."""

COLUMNS = ("emotion", "pixels", "Usage")
SIDE = 48
LAYOUT = """\
fer2013.csv   (or icml_face_data.csv) emotion,pixels,Usage: 48 x 48 grey values with spaces between; Training,
              PublicTest or PrivateTest"""
TITLE = "FER2013"


def list_in(root: Path) -> Path | None:
    """The file: `root` itself, or in it."""
    inside = (folder / name for folder in (root, root / "fer2013") for name in FILES)
    choices = (root,) if root.is_file() else inside
    return next((file for file in choices if file.is_file()), None)


def read_fer2013(root: Path, options: Mapping[str, str]) -> Listing:
    """FER2013. Raises UserError: no such file, or one with other columns."""
    file = list_in(root)
    if file is None:
        raise wrong_release(root, TITLE, FILE)
    folder = root if root.is_dir() else root.parent
    table = open_table(file, folder, COLUMNS)
    return Listing(
        name="fer2013",
        release="CSV",
        root=folder,
        classes=EXPRESSIONS[:7],
        entries=checked_entries(file, TITLE, partial(_entries, table)),
        files=(file,),
        options=dict(options),
        counts=COUNTS,
        total=count_rows(file) - 1,
    )


def _entries(table: CsvFile) -> Iterator[Entry]:
    return read_rows(table.rows(), partial(_face, table.file))


def _face(file: Path, where: str, row: Row) -> Iterator[Entry]:
    expression, split = read_code(row["emotion"], CODES), read_usage(row["Usage"])
    yield FaceRecord(file, expression, where, split=split, pixels=read_pixels(row["pixels"]))


def read_usage(text: str) -> str:
    """A split. Raises Rejected: not one of `USAGE`."""
    if text not in USAGE:
        raise Rejected("bad row", f"Usage must be {', '.join(USAGE)}, but is {quoted(text)}")
    return USAGE[text]


def read_pixels(text: str) -> bytes:
    """48 x 48 grey values, row by row. Raises Rejected: more or fewer, or other numbers."""
    try:
        pixels = bytes(map(int, text.split()))
    except ValueError:
        raise Rejected("image unreadable", f"pixels must be numbers from 0 to 255, but are {quoted(text)}") from None
    if len(pixels) != SIDE * SIDE:
        raise Rejected("image unreadable", f"{SIDE * SIDE} pixels are expected, but there are {len(pixels)}")
    return pixels


def fits(root: Path) -> bool:
    return root.name in FILES if root.is_file() else list_in(root) is not None


READER = Reader(title="FER2013", layout=LAYOUT, read=read_fer2013, fits=fits)
