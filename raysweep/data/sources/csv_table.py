"""A CSV of photographs: `path, expression[, valence, arousal][, subject][, split]`.

Paths are relative to the CSV's folder. Lines that start with `#` are notes for captions, for
example `# derived VA, no claim`.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

from raysweep.core.errors import UserError, unknown_name
from raysweep.data.record import SPLITS, Record, canonical_expression

REQUIRED = ("path", "expression")
COLUMNS = (*REQUIRED, "valence", "arousal", "subject", "split")


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
    header = [name.strip() for name in next(csv.reader([rows[0][1]]))]
    _check_header(path, header)
    records: list[Record] = []
    problems: list[str] = []
    for number, line in rows[1:]:
        try:
            records.append(_record(path, number, header, line))
        except UserError as problem:
            problems.append(str(problem))
    return records, notes, problems


def _check_header(path: Path, header: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise UserError(f"{path}: column {missing[0]!r} is missing; the header is {', '.join(header)}")
    for name in header:
        if name not in COLUMNS:
            raise unknown_name("column", name, COLUMNS, f"(in {path})")
    if ("valence" in header) != ("arousal" in header):
        raise UserError(f"{path}: valence and arousal come together, but only one of them is there")


def _record(table: Path, number: int, header: list[str], line: str) -> Record:
    where = f"{table.name}:{number}"
    values = [value.strip() for value in next(csv.reader([line], skipinitialspace=True))]
    if len(values) != len(header):
        raise UserError(f"{where}: a row needs {len(header)} values, one a column, but has {len(values)}")
    row = dict(zip(header, values, strict=True))
    if not row["path"] or not row["expression"]:
        raise UserError(f"{where}: path and expression must not be empty")
    if row.get("split", "").lower() not in ("", *SPLITS):
        raise UserError(f"{where}: `split` must be train, validation or test, but got {row['split']!r}")
    return Record(
        path=table.parent / row["path"],
        expression=canonical_expression(row["expression"]),
        where=where,
        va=(_affect(where, "valence", row), _affect(where, "arousal", row)),
        subject=row.get("subject", ""),
        split=row.get("split", "").lower(),
    )


def _affect(where: str, column: str, row: dict[str, str]) -> float:
    """A number in [-1, 1]; NaN where empty or -2, AffectNet's mark for missing."""
    text = row.get(column, "")
    if not text:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if value == -2 or math.isnan(value):
        return math.nan
    if not -1 <= value <= 1:
        raise UserError(f"{where}: `-1 <= {column} <= 1` must hold (or -2 for missing), but got {text!r}")
    return value
