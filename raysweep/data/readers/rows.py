"""Lists that data sets are distributed with: text files of rows, read lazily, which may have any content."""

from __future__ import annotations

import csv
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from raysweep.core.errors import UserError, unknown_name
from raysweep.core.formatting import plural
from raysweep.data.listing import FaceRecord, Problem

from .values import Rejected, quoted

MAX_LINE = 131_072
"""Bytes. FER2013 has the longest rows of all lists, about 9,000."""

MOST_LINES = 16
"""Most lines of one row: a value in quotes may contain line ends."""

_BLOCK = 1 << 16

BLANK = " \t\r\n\v\f"

Entry = FaceRecord | Problem
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
    """Lines without their ends, which may be LF, CR LF or CR; None for one longer than `MAX_LINE`, which is never in
    memory as a whole."""
    with file.open("rb") as stream:
        if stream.read(len(BOM_UTF8)) != BOM_UTF8:
            stream.seek(0)
        held, too_long = b"", False
        while block := stream.read(_BLOCK):
            *lines, held = _split_lines(held + block)
            for raw in lines:
                yield None if too_long or len(raw) > MAX_LINE else raw
                too_long = False
            if len(held) > MAX_LINE:
                held, too_long = b"", True
        if held or too_long:
            yield None if too_long or len(held) > MAX_LINE else held.rstrip(b"\r")


def _split_lines(content: bytes) -> list[bytes]:
    """Whole lines, then the rest after the last line end, with a final CR that may be the first half of CR LF."""
    half = content.endswith(b"\r")
    lines = re.split(rb"\r\n|\n|\r", content.removesuffix(b"\r"))
    return [*lines[:-1], lines[-1] + b"\r"] if half else lines


def _text(where: str, raw: bytes) -> str | Problem:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        return Problem(where, "bad row", f"byte {error.start} of the row is not in UTF-8")


def count_rows(file: Path) -> int:
    """Lines that are not blank."""
    return sum(raw is None or bool(raw.strip()) for raw in _raw_lines(file))


def cells(text: str, delimiter: str = ",") -> list[str]:
    """The values of one row of a CSV file, without space around them. Raises Rejected: not a row."""
    if '"' not in text:
        return [value.strip() for value in text.split(delimiter)]
    try:
        reader = csv.reader([text], skipinitialspace=True, delimiter=delimiter)
        return [value.strip() for value in next(reader, [])]
    except csv.Error as error:
        raise Rejected("bad row", f"{quoted(text)}: {error}") from None


def _whole_values(text: str, delimiter: str) -> int | None:
    """The number of values in a row; 0 where a quoted one does not end, None where quotes are misplaced."""
    if '"' not in text:
        return text.count(delimiter) + 1
    try:
        return len(next(csv.reader([text], skipinitialspace=True, strict=True, delimiter=delimiter), []))
    except csv.Error as error:
        return 0 if "unexpected end" in str(error) else None


@dataclass(frozen=True)
class CsvFile:
    """A CSV list: its file, its name in `where`, its columns, and the number of lines down to its header.

    `columns`: a name for each that is used, "" for others. `notes`: lines with `#` above the header, without the `#`.
    """

    file: Path
    name: str
    columns: tuple[str, ...]
    header_lines: int
    delimiter: str = ","
    notes: tuple[str, ...] = ()

    def rows(self, one_line: bool = False) -> Iterator[tuple[str, Row | Problem]]:
        """`where` and row by column name. Blank lines are skipped; a quoted value may span several lines, unless every
        row is `one_line`."""
        lines = islice(read_lines(self.file, self.name), self.header_lines, None)
        for where, text in lines if one_line else self._whole_rows(lines):
            if isinstance(text, Problem):
                yield where, text
            elif text.strip(BLANK):
                yield where, self._row(where, text)

    def _whole_rows(self, lines: Iterator[tuple[str, str | Problem]]) -> Iterator[tuple[str, str | Problem]]:
        """Lines, joined where they have a value in quotes; where the quotes never end, each line is a row."""
        ahead = deque[tuple[str, str | Problem]]()
        while True:
            first = ahead.popleft() if ahead else next(lines, None)
            if first is None:
                return
            where, text = first
            if not isinstance(text, str) or _whole_values(text, self.delimiter) != 0:
                yield first
                continue
            ahead.extend(islice(lines, MOST_LINES - len(ahead)))
            joined = self._closed(text, ahead)
            if joined is not None:
                for _ in range(joined[1]):
                    ahead.popleft()
            yield where, text if joined is None else joined[0]

    def _closed(self, text: str, ahead: Iterable[tuple[str, str | Problem]]) -> tuple[str, int] | None:
        """The row that begins with a line, and its number of further lines; None where there is a stray quote."""
        for number, (_, more) in enumerate(ahead, 1):
            if isinstance(more, Problem):
                return None
            text = f"{text}\n{more}"
            if values := _whole_values(text, self.delimiter):
                return (text, number) if values == len(self.columns) else None
        return None

    def _row(self, where: str, text: str) -> Row | Problem:
        try:
            values = cells(text, self.delimiter)
        except Rejected as fault:
            return fault.at(where)
        columns = self.columns
        if len(values) > len(columns) and not any(values[len(columns) :]):  # commas at the end of a row
            values = values[: len(columns)]
        elif len(values) < len(columns) and not any(columns[len(values) :]):  # and of the header alone
            columns = columns[: len(values)]
        if len(values) != len(columns):
            detail = f"a row needs {plural(len(columns), 'value')}, one a column, but has {len(values)}"
            return Problem(where, "bad row", detail)
        return {name: value for name, value in zip(columns, values, strict=True) if name}


def read_head(file: Path, name: str, rule: str) -> tuple[int, str, tuple[str, ...]]:
    """Number and text of a list's first row, and the notes (lines with `#`) above it; `name` as in `where`.

    Raises:
        UserError: no such file, no text in UTF-8, or no rows; `rule` describes the first row.
    """
    if not file.is_file():
        raise UserError(f"{file}: no such file")
    notes = []
    for number, (_, text) in enumerate(read_lines(file, name), 1):
        if isinstance(text, Problem):
            with file.open("rb") as stream:
                is_utf16 = stream.read(2) in (BOM_UTF16_LE, BOM_UTF16_BE)
            advice = "it is in UTF-16: save it in UTF-8" if is_utf16 else f"line {number} is not: {text.detail}"
            raise UserError(f"{file}: a CSV file in UTF-8 is expected, but {advice}")
        if text.startswith("#"):
            notes.append(text.lstrip("# ").strip())
        elif text.strip(BLANK):
            return number, text, tuple(notes)
    raise UserError(f"{file}: the file has no rows; its first line must be {rule}")


def open_table(file: Path, root: Path, required: Sequence[str], headless: bool = False) -> CsvFile:
    """The list at `file`, with its header read. `headless`: it may lack one and then has the `required` columns.

    Raises:
        UserError: no such file, no rows, no text in UTF-8, or a missing, unknown or duplicate column.
    """
    name = file.relative_to(root).as_posix()
    number, text, _ = read_head(file, name, ",".join(required))
    return CsvFile(file, name, *_columns(file, number, text, required, headless))


def _columns(
    file: Path, number: int, text: str, required: Sequence[str], headless: bool
) -> tuple[tuple[str, ...], int]:
    try:
        header = tuple(cells(text))
    except Rejected as fault:
        raise UserError(f"{file}: line {number} is no row of a CSV file: {fault}") from None
    if headless and not set(header) & set(required):
        if len(header) != len(required):
            rule = f"a list without a header must have the {plural(len(required), 'column')} {', '.join(required)}"
            raise UserError(f"{file}: {rule}, but line {number} has {len(header)}")
        return tuple(required), number - 1
    missing = [name for name in required if name not in header]
    if missing:
        raise UserError(f"{file}: column {missing[0]!r} is missing; the header is {quoted(', '.join(header), 300)}")
    for name in header:
        if name not in required:
            raise unknown_name("column", name[:60], required, f"(in {file})")
        if header.count(name) > 1:
            raise UserError(f"{file}: column {name!r} is there {header.count(name)} times")
    return header, number


def read_rows(
    rows: Iterable[tuple[str, Row | Problem]], read: Callable[[str, Row], Iterable[Entry]]
) -> Iterator[Entry]:
    """The entries that `read` makes of every row; a row that it rejects becomes a Problem."""
    for where, row in rows:
        if isinstance(row, Problem):
            yield row
            continue
        try:
            yield from read(where, row)
        except Rejected as fault:
            yield fault.at(where)
