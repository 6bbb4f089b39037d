"""A CSV of photographs: `path, expression[, valence, arousal][, subject][, split]`.

Paths are relative to the CSV's folder. Lines that start with `#` are notes for captions, for
example `# derived VA, no claim`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from raysweep.core.errors import UserError, unknown_name
from raysweep.data.record import SPLITS, Listing, Record, canonical_expression

from .reader import Reader, fitting, wrong_release
from .rows import Entry, Row, Table, cells, count_rows, open_table, read_lines, read_rows
from .values import Rejected, Seen, in_canonical_order, inside, read_affect, shown

REQUIRED = ("path", "expression")
COLUMNS = (*REQUIRED, "valence", "arousal", "subject", "split")
LAYOUT = """\
<any name>.csv   path,expression[,valence,arousal][,subject][,split]
paths relative to the CSV's folder; lines that start with # are notes for captions"""
TITLE = "a CSV of photographs"


def read_csv(path: Path) -> tuple[list[Record], tuple[str, ...], list[str]]:
    """Records, notes and bad rows (file, row and rule) of a CSV file.

    Raises:
        UserError: no CSV in UTF-8, or a column is missing or unknown.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: the file must be in UTF-8, but byte {error.start} is not") from None
    notes = tuple(line.lstrip("# ").strip() for line in lines if line.startswith("#"))
    rows = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if not rows:
        raise UserError(f"{path}: the file has no rows; its first line must be {','.join(REQUIRED)}[,...]")
    header = _header(path, rows[0][1])
    records: list[Record] = []
    problems: list[str] = []
    for number, line in rows[1:]:
        where = f"{path.name}:{number}"
        try:
            row = _row(header, cells(line))
            records.append(read_face(path.parent / row["path"], where, row))
        except Rejected as fault:
            problems.append(f"{where}: {fault.detail}")
    return records, notes, problems


def _header(path: Path, line: str) -> list[str]:
    try:
        header = cells(line)
    except Rejected as fault:
        raise UserError(f"{path}: the first row is no header: {fault}") from None
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise UserError(f"{path}: column {missing[0]!r} is missing; the header is {shown(', '.join(header), 300)}")
    for name in header:
        if name not in COLUMNS:
            raise unknown_name("column", name[:60], COLUMNS, f"(in {path})")
    _check_pairs(path, header)
    return header


def _check_pairs(path: Path, header: Sequence[str]) -> None:
    if ("valence" in header) != ("arousal" in header):
        raise UserError(f"{path}: valence and arousal come together, but only one of them is there")


def _row(header: Sequence[str], values: Sequence[str]) -> Row:
    if len(values) != len(header):
        raise Rejected("bad row", f"a row needs {len(header)} values, one a column, but has {len(values)}")
    return dict(zip(header, values, strict=True))


def read_face(path: Path, where: str, row: Row) -> Record:
    """One row. Raises Rejected: no path or expression, an unknown split, or bad valence or arousal."""
    if not row["path"] or not row["expression"]:
        raise Rejected("bad row", "path and expression must not be empty")
    if row.get("split", "").lower() not in ("", *SPLITS):
        raise Rejected("bad row", f"`split` must be train, validation or test, but got {row['split']!r}")
    return Record(
        path=path,
        expression=canonical_expression(row["expression"]),
        where=where,
        va=(read_affect("valence", row.get("valence", "")), read_affect("arousal", row.get("arousal", ""))),
        subject=row.get("subject", ""),
        split=row.get("split", "").lower(),
    )


def read_csv_listing(path: Path, options: Mapping[str, str]) -> Listing:
    """The same file as a listing, whose rows are read as they are needed.

    Unlike `read_csv`, which trusts its user: images below the CSV's folder only, each of them once.

    Raises:
        UserError: no CSV in UTF-8, a column is missing or unknown, or none of the first rows can be used.
    """
    if path.suffix.lower() != ".csv" or not path.is_file():
        raise wrong_release(path, TITLE, "a .csv file")
    table = open_table(path, path.parent, REQUIRED, COLUMNS[len(REQUIRED) :], comments=True)
    _check_pairs(path, table.columns)
    entries = fitting(path, TITLE, partial(_entries, table))
    classes = {entry.expression for entry in _entries(table) if isinstance(entry, Record)}
    notes = read_notes(table)
    return Listing(
        name=path.stem,
        release="CSV",
        root=path.parent,
        classes=in_canonical_order(classes),
        entries=entries,
        files=(path,),
        options=dict(options),
        notes=notes,
        total=count_rows(path) - len(notes) - 1,
    )


def read_notes(table: Table) -> tuple[str, ...]:
    """Lines that start with `#`, without it."""
    lines = (text for _, text in read_lines(table.file, table.name) if isinstance(text, str))
    return tuple(line.lstrip("# ").strip() for line in lines if line.startswith("#"))


def _entries(table: Table) -> Iterator[Entry]:
    return read_rows(table.rows(), partial(_face, table.file.parent, Seen()))


def _face(folder: Path, seen: Seen, where: str, row: Row) -> Iterator[Entry]:
    path = inside(folder, row["path"])
    face = read_face(path, where, row)
    seen.add(path)
    yield face if math.isfinite(sum(face.va)) else replace(face, va=(math.nan, math.nan))


READER = Reader(
    title="a CSV of photographs, for anything else",
    layout=LAYOUT,
    read=read_csv_listing,
    fits=lambda path: path.is_file() and path.suffix.lower() == ".csv",
)
