"""CSV files that are safe to open in a spreadsheet: no cell is read as a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import TextIO

from .printable import printable

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def cell(value: object) -> object:
    """A value as it is written: text that a spreadsheet would read as a formula gets a leading apostrophe.

    >>> [cell(value) for value in ("=1+1", "-0.5", "-", "@a", "+1e-3", "a=b", 7)]
    ["'=1+1", '-0.5', "'-", "'@a", '+1e-3', 'a=b', 7]
    """
    if not isinstance(value, str):
        return value
    formula = value.startswith(_FORMULA) and not _NUMBER.fullmatch(value)
    return f"'{printable(value)}" if formula else printable(value)  # a lone CR would end the row


def write_csv(stream: TextIO, rows: Iterable[Iterable[object]]) -> None:
    """Write rows as CSV."""
    csv.writer(stream, lineterminator="\n").writerows([cell(value) for value in row] for row in rows)


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as the text of a CSV file, a line each."""
    out = io.StringIO()
    write_csv(out, rows)
    return out.getvalue()
