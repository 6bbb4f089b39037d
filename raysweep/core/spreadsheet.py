"""CSV files that people open in a spreadsheet: no cell of theirs is a formula."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from typing import TextIO

from .printable import printable

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def cell(word: object) -> object:
    """A cell as it is written: text that a spreadsheet would take for a formula begins with an apostrophe.

    >>> [cell(word) for word in ("=1+1", "-0.5", "-", "@a", "+1e-3", "a=b", 7)]
    ["'=1+1", '-0.5', "'-", "'@a", '+1e-3', 'a=b', 7]
    """
    if not isinstance(word, str):
        return word
    formula = word.startswith(_FORMULA) and not _NUMBER.fullmatch(word)
    return f"'{printable(word)}" if formula else printable(word)  # a lone CR would end the row


def write_csv(stream: TextIO, rows: Iterable[Iterable[object]]) -> None:
    """Rows, a line each."""
    csv.writer(stream, lineterminator="\n").writerows([cell(word) for word in row] for row in rows)
