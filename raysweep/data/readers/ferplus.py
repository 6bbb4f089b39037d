"""FERPlus: votes of ten raters for the images of FER2013, which come as FER2013's CSV file or as PNG files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from raysweep.core.errors import UserError
from raysweep.data.expressions import EXPRESSIONS
from raysweep.data.listing import FaceRecord, Listing, Problem

from . import fer2013
from .affectnet_codes import left_out, seven_classes
from .ferplus_votes import CHOICES, derived_va, label, read_votes
from .reader import Reader, fitting, wrong_release
from .rows import CsvFile, Entry, Row, count_rows, open_table, read_rows
from .values import Rejected, Seen, inside, shown

FILE = "fer2013new.csv"
COLUMNS = ("Usage", "Image name", *CHOICES)
FOLDERS = {"Training": "FER2013Train", "PublicTest": "FER2013Valid", "PrivateTest": "FER2013Test"}
LAYOUT = """\
fer2013new.csv   Usage,Image name,neutral,...,unknown,NF
fer2013.csv      FER2013's own file, row by row the same images
or
[data/]{FER2013Train,FER2013Valid,FER2013Test}/fer0000000.png"""
TITLE = "FERPlus"
CIRCULAR = "valence and arousal are derived from the votes: fusion with them is circular, and no claim about it"


def read_ferplus(root: Path, options: Mapping[str, str]) -> Listing:
    """FERPlus. Raises UserError: no votes, no images, or a fer2013.csv with another number of rows than the votes."""
    if not (root / FILE).is_file():
        raise wrong_release(root, TITLE, FILE)
    votes, images, pixels = open_table(root / FILE, root, COLUMNS), _image_folders(root), fer2013.list_in(root)
    if images:
        entries, files = partial(_from_files, votes, images, options), [votes.file]
    elif pixels:
        entries, files = partial(_from_pixels, votes, _pixel_table(pixels, votes), options), [votes.file, pixels]
    else:
        raise wrong_release(root, TITLE, f"{fer2013.FILE}, or FER2013Train/, FER2013Valid/ and FER2013Test/")
    return Listing(
        name="ferplus",
        release="votes with PNG files" if images else "votes with fer2013.csv",
        root=root,
        classes=EXPRESSIONS[: int(options["classes"])],
        entries=fitting(votes.file, TITLE, entries),
        files=files,
        options={key: value for key, value in options.items() if (key, value) != ("classes", "8")},
        notes=((CIRCULAR,) if options["va"] == "derived" else ()) + seven_classes(options),
        total=count_rows(votes.file) - 1,
    )


def _image_folders(root: Path) -> Path | None:
    """The folder that holds the three folders of images."""
    choices = (root, root / "data")
    return next((base for base in choices if all((base / name).is_dir() for name in FOLDERS.values())), None)


def _pixel_table(file: Path, votes: CsvFile) -> CsvFile:
    table = open_table(file, votes.file.parent, fer2013.COLUMNS)
    rows, expected = (sum(1 for _ in each.rows(one_line=True)) for each in (table, votes))
    if rows != expected:
        rule = f"{FILE} and {fer2013.FILE} must list the same images"
        raise UserError(f"{votes.file.parent}: {rule}, but have {expected:,} and {rows:,} rows")
    return table


def _from_files(votes: CsvFile, images: Path, options: Mapping[str, str]) -> Iterator[Entry]:
    return read_rows(votes.rows(), partial(_file, images, options, Seen()))


def _file(images: Path, options: Mapping[str, str], seen: Seen, where: str, row: Row) -> Iterator[Entry]:
    split = fer2013.read_usage(row["Usage"])
    path = inside(images / FOLDERS[row["Usage"]], row["Image name"])
    face = _face(where, row, path, split, options)
    if not left_out(face.expression, options):
        yield from _listed(face, seen, row["Image name"])


def _listed(face: FaceRecord, seen: Seen, name: str) -> Iterator[Entry]:
    """The face, after a remark where its image has a row already. The official counts include the four there are."""
    if not seen.is_new(name):
        yield Problem(face.where, "duplicate row", f"{name} is listed before", str(face.path), fatal=False)
    yield face


def _from_pixels(votes: CsvFile, pixels: CsvFile, options: Mapping[str, str]) -> Iterator[Entry]:
    """The n-th row of one list with the n-th of the other; a stray quote must not join lines and shift the rest."""
    seen = Seen()
    for (where, row), (_, drawn) in zip(votes.rows(one_line=True), pixels.rows(one_line=True), strict=True):
        if isinstance(drawn, Problem):
            yield drawn
        else:
            yield from read_rows([(where, row)], partial(_pixels, pixels.file, options, seen, drawn))


def _pixels(file: Path, options: Mapping[str, str], seen: Seen, drawn: Row, where: str, row: Row) -> Iterator[Entry]:
    split = fer2013.read_usage(row["Usage"])
    if row["Usage"] != drawn["Usage"]:
        raise Rejected("bad row", f"Usage is {row['Usage']} here, but {shown(drawn['Usage'])} in the row of the pixels")
    if not row["Image name"]:
        raise Rejected("no image name", "not one of FERPlus's images")
    face = replace(_face(where, row, file, split, options), pixels=fer2013.read_pixels(drawn["pixels"]))
    if not left_out(face.expression, options):
        yield from _listed(face, seen, row["Image name"])


def _face(where: str, row: Row, path: Path, split: str, options: Mapping[str, str]) -> FaceRecord:
    counts = read_votes([row[choice] for choice in CHOICES])
    expression, votes = label(counts, options["mode"])
    va = derived_va(counts) if options["va"] == "derived" else (math.nan, math.nan)
    return FaceRecord(path, expression, where, va, split=split, votes=votes)


READER = Reader(
    title="FERPlus (votes for FER2013)",
    layout=LAYOUT,
    read=read_ferplus,
    fits=lambda root: (root / FILE).is_file(),
    options={
        "mode": ("majority", "probability", "multi_target"),
        "va": ("none", "derived"),
        "classes": ("8", "7"),
    },
)
