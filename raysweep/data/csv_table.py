"""A CSV of photographs: `path, expression[, valence, arousal][, subject][, split]`.

Paths are relative to the CSV's folder. Lines that start with `#` are notes for captions, for
example `# derived VA, no claim`.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

from raysweep.core.errors import UserError, unknown_name

from .photographs import Record, canonical_expression

REQUIRED = ("path", "expression")
COLUMNS = (*REQUIRED, "valence", "arousal", "subject", "split")


def read_csv(path: Path) -> tuple[list[Record], tuple[str, ...]]:
    """Records and notes of a CSV file.

    Raises:
        UserError: a column is missing or unknown, a valence or arousal is no number in [-1, 1],
            or a row lacks its path or expression. Names file and row.
    """
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    notes = tuple(line.lstrip("# ").strip() for line in lines if line.startswith("#"))
    rows = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if not rows:
        raise UserError(f"{path}: the file has no rows; its first line must be {','.join(REQUIRED)}[,...]")
    reader = csv.DictReader((line for _, line in rows), skipinitialspace=True)
    _check_header(path, [name.strip() for name in reader.fieldnames or []])
    numbers = [number for number, _ in rows[1:]]
    return [_record(path, number, row) for number, row in zip(numbers, reader, strict=True)], notes


def _check_header(path: Path, header: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise UserError(f"{path}: column {missing[0]!r} is missing; the header is {', '.join(header)}")
    for name in header:
        if name not in COLUMNS:
            raise unknown_name("column", name, COLUMNS, f"(in {path})")
    if ("valence" in header) != ("arousal" in header):
        raise UserError(f"{path}: valence and arousal come together, but only one of them is there")


def _record(table: Path, number: int, row: dict[str, str]) -> Record:
    where = f"{table.name}:{number}"
    if not (row["path"] or "").strip() or not (row["expression"] or "").strip():
        raise UserError(f"{where}: path and expression must not be empty")
    return Record(
        path=table.parent / row["path"].strip(),
        expression=canonical_expression(row["expression"]),
        where=where,
        va=(_affect(where, "valence", row), _affect(where, "arousal", row)),
        subject=(row.get("subject") or "").strip(),
        split=(row.get("split") or "").strip().lower(),
    )


def _affect(where: str, column: str, row: dict[str, str]) -> float:
    """A number in [-1, 1]; NaN where empty or -2, AffectNet's mark for missing."""
    text = (row.get(column) or "").strip()
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
