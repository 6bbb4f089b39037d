"""Lists as data sets are distributed with: text files of rows, read as they go, whatever is in them."""

from __future__ import annotations

import csv
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from raysweep.core.errors import UserError, unknown_name
from raysweep.data.record import Problem, Record

from .values import Rejected, shown

MAX_LINE = 131_072
"""Bytes. FER2013 has the longest rows of all lists, about 9,000."""

BLANK = " \t\r\n\v\f"

Entry = Record | Problem
Row = Mapping[str, str]


def read_lines(file: Path, name: str) -> Iterator[tuple[str, str | Problem]]:
    """`where` ("name:row", from 1) and text of every line, blank ones too; a Problem where it is no text in UTF-8."""
    for number, raw in enumerate(_raw_lines(file), 1):
        where = f"{name}:{number}"
        if raw is None:
            yield where, Problem(where, "bad row", f"the row is longer than {MAX_LINE:,} bytes")
        else:
            yield where, _text(where, raw)


def _raw_lines(file: Path) -> Iterator[bytes | None]:
    """Lines with their ends; None for one that is longer than any list has, and is never in memory as a whole."""
    with file.open("rb") as stream:
        if stream.read(len(BOM_UTF8)) != BOM_UTF8:
            stream.seek(0)
        while raw := stream.readline(MAX_LINE):
            if len(raw) < MAX_LINE or raw.endswith(b"\n"):
                yield raw
                continue
            while (raw := stream.readline(MAX_LINE)) and not raw.endswith(b"\n"):
                pass
            yield None


def _text(where: str, raw: bytes) -> str | Problem:
    try:
        return raw.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        return Problem(where, "bad row", f"byte {error.start} of the row is not in UTF-8")


def count_rows(file: Path) -> int:
    """Lines that are not blank."""
    return sum(raw is None or bool(raw.strip()) for raw in _raw_lines(file))


def cells(text: str) -> list[str]:
    """The values of one row of a CSV file, without space around them. Raises Rejected: no row at all."""
    try:
        return [value.strip() for value in next(csv.reader([text], skipinitialspace=True), [])]
    except csv.Error as error:
        raise Rejected("bad row", f"{shown(text)}: {error}") from None


@dataclass(frozen=True)
class Table:
    """A CSV list: its file, its name in `where`, its columns, and how many lines its header ends after."""

    file: Path
    name: str
    columns: tuple[str, ...]
    header_lines: int
    comments: bool = False

    def rows(self) -> Iterator[tuple[str, Row | Problem]]:
        """`where` and row by column name. Blank lines are skipped, and those with `#` where `comments` are expected."""
        for number, (where, text) in enumerate(read_lines(self.file, self.name), 1):
            if number <= self.header_lines or (isinstance(text, str) and self._is_idle(text)):
                continue
            yield where, text if isinstance(text, Problem) else self._row(where, text)

    def _is_idle(self, text: str) -> bool:
        return not text.strip(BLANK) or (self.comments and text.startswith("#"))

    def _row(self, where: str, text: str) -> Row | Problem:
        try:
            values = cells(text)
        except Rejected as fault:
            return fault.at(where)
        if len(values) != len(self.columns):
            detail = f"a row needs {len(self.columns)} values, one a column, but has {len(values)}"
            return Problem(where, "bad row", detail)
        return dict(zip(self.columns, values, strict=True))


def open_table(
    file: Path,
    root: Path,
    required: Sequence[str],
    optional: Sequence[str] = (),
    headless: bool = False,
    comments: bool = False,
) -> Table:
    """The list at `file`, after a look at its header. `headless`: it may lack one and has the `required` columns then.

    Raises:
        UserError: no such file, no rows, no text in UTF-8, or a column that is missing, unknown or there twice.
    """
    if not file.is_file():
        raise UserError(f"{file}: no such file")
    table = Table(file, file.relative_to(root).as_posix(), tuple(required), 0, comments)
    for number, (_, text) in enumerate(read_lines(file, table.name), 1):
        if isinstance(text, Problem):
            raise UserError(f"{file}: a CSV file in UTF-8 is expected, but line {number} is none: {text.detail}")
        if not table._is_idle(text):
            return Table(file, table.name, *_columns(file, number, text, required, optional, headless), comments)
    raise UserError(f"{file}: the file has no rows; its first line must be {','.join(required)}")


def _columns(
    file: Path, number: int, text: str, required: Sequence[str], optional: Sequence[str], headless: bool
) -> tuple[tuple[str, ...], int]:
    try:
        header = tuple(cells(text))
    except Rejected as fault:
        raise UserError(f"{file}: line {number} is no row of a CSV file: {fault}") from None
    if headless and not set(header) & set(required):
        if len(header) != len(required):
            rule = f"a list without a header must have the {len(required)} columns {', '.join(required)}"
            raise UserError(f"{file}: {rule}, but line {number} has {len(header)}")
        return tuple(required), number - 1
    missing = [name for name in required if name not in header]
    if missing:
        raise UserError(f"{file}: column {missing[0]!r} is missing; the header is {shown(', '.join(header), 300)}")
    for name in header:
        if name not in required and name not in optional:
            raise unknown_name("column", name[:60], (*required, *optional), f"(in {file})")
        if header.count(name) > 1:
            raise UserError(f"{file}: column {name!r} is there {header.count(name)} times")
    return header, number


def read_rows(
    rows: Iterable[tuple[str, Row | Problem]], read: Callable[[str, Row], Iterable[Entry]]
) -> Iterator[Entry]:
    """What `read` makes of every row; a row that it rejects is a Problem."""
    for where, row in rows:
        if isinstance(row, Problem):
            yield row
            continue
        try:
            yield from read(where, row)
        except Rejected as fault:
            yield fault.at(where)
