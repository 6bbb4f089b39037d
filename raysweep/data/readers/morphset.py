"""MorphSet: synthetic faces of known identities. It has no public layout: a CSV file lists it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from raysweep.core.formatting import plural
from raysweep.data.expressions import EXPRESSIONS
from raysweep.data.listing import FaceRecord, Listing, Problem

from .class_names import ClassNames
from .columns import open_user_table
from .csv_table import read_face
from .reader import Reader, checked_entries, held_out, wrong_release
from .rows import CsvFile, Entry, Row, count_rows, read_rows
from .values import USUAL, Rejected, Seen, inside, quoted

CLASSES = EXPRESSIONS[:7]
"""There is no contempt."""

FILE = "morphset.csv"
COLUMNS = ("path", "expression", "valence", "arousal", "subject")
LAYOUT = """\
morphset.csv   path,expression,valence,arousal,subject[,split]
paths relative to the CSV's folder; without `split`, a fifth of the subjects is held out for testing"""
TITLE = "MorphSet"

_NAMES = ClassNames()


def list_in(root: Path) -> Path | None:
    """The file: `root` itself, `morphset.csv` in it, or the only CSV file in it."""
    if not root.is_dir():
        return root if root.suffix.lower() == ".csv" else None
    files = sorted(root.glob("*.csv"))
    return root / FILE if root / FILE in files else files[0] if len(files) == 1 else None


def read_morphset(root: Path, options: Mapping[str, str]) -> Listing:
    """MorphSet. Raises UserError: no list, other columns, or none of the first rows can be used."""
    file = list_in(root)
    if file is None:
        raise wrong_release(root, TITLE, f"{FILE} ({','.join(COLUMNS)})")
    table, remarks = open_user_table(file, file.parent, {}, COLUMNS)
    checked_entries(file, TITLE, partial(_entries, table, frozenset()))
    notes = table.notes
    test, total = frozenset[str](), count_rows(file) - len(notes) - 1
    if "split" not in table.columns:
        test = held_out({entry.subject for entry in _entries(table, test) if isinstance(entry, FaceRecord)})
        notes += (
            f"split by subject (derived: {plural(len(test), 'subject is', 'subjects are')} held out for testing)",
        )
    return Listing(
        name="morphset",
        release="CSV",
        root=file.parent,
        classes=CLASSES,
        entries=_entries(table, test),
        files=(file,),
        options=dict(options),
        notes=notes,
        remarks=remarks,
        total=total,
    )


def _entries(table: CsvFile, test: frozenset[str]) -> Iterator[Entry]:
    return read_rows(table.rows(), partial(_face, table.file.parent, test, Seen()))


def _face(folder: Path, test: frozenset[str], seen: Seen, where: str, row: Row) -> Iterator[Entry]:
    path = inside(folder, row["path"])
    face = read_face(path, where, row, _NAMES, USUAL)
    if face.expression not in CLASSES:
        raise Rejected("label out of range", f"{quoted(row['expression'])} is no expression of {TITLE}")
    if not face.subject:
        raise Rejected("bad row", "subject must not be empty: the data set is split by subject")
    seen.add(path)
    if not math.isfinite(sum(face.va)):
        va = f"valence {quoted(row['valence'])}, arousal {quoted(row['arousal'])}"
        yield Problem(where, "VA missing", va, str(path), fatal=False)
    split = face.split or ("test" if face.subject in test else "train")
    yield replace(face, split=split)


def fits(root: Path) -> bool:
    return "morphset" in root.resolve().name.lower() and list_in(root) is not None


READER = Reader(title="MorphSet (as a CSV list)", layout=LAYOUT, read=read_morphset, fits=fits)
