"""Tables as Markdown, columns aligned so that the source reads as a table too."""

from __future__ import annotations

import re

from raysweep.report.tables.table import Column, Entry, ReportTable

_SPECIAL = re.compile(r"([\\`*_|~$]|<(?=[A-Za-z/!?])|\](?=[(\[:])|&(?=[A-Za-z#]))")
_BLOCK = re.compile(r"^(?:(?=#{1,6}(?:\s|$)|[-+](?:\s|$)|>|=+$|-+$)|(\d{1,9})(?=[.)](?:\s|$)))")
"""The start of what would be a heading, a list, a quotation or a line."""


def escape(text: str) -> str:
    r"""Foreign words without effect in Markdown or in the HTML it may carry.

    >>> print(escape("a_b | <script> [-0.1, 0.1] < 5 $x^2$"))
    a\_b \| \<script> [-0.1, 0.1] < 5 \$x^2\$
    """
    return _BLOCK.sub(r"\1\\", _SPECIAL.sub(r"\\\1", " ".join(text.split())))


def prose(text: str) -> str:
    r"""Sentences of ours: escaped, but words in backquotes stay code.

    >>> print(prose("preset `demo` of a_b"))
    preset `demo` of a\_b
    """
    parts = " ".join(text.split()).split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return "".join(f"`{part}`" if i % 2 else _SPECIAL.sub(r"\\\1", part) for i, part in enumerate(parts))


def table_markdown(table: ReportTable, notes: bool = True) -> str:
    """The table with its notes below, if they are asked for; the caption is the caller's to place."""
    head = [escape(column.full_title) for column in table.columns]
    body = [[_entry(entry) for entry in row] for row in table.rows]
    widths = [max(3, *(len(row[i]) for row in [head, *body])) for i in range(len(head))]
    ruler = [_ruler(column, width) for column, width in zip(table.columns, widths, strict=True)]
    lines = [_line(row, table.columns, widths) for row in (head, ruler, *body)]
    below = [f"{mark} {prose(text)}".strip() for mark, text in table.notes] if notes else []
    return "\n\n".join(["\n".join(lines), *below])


def _entry(entry: Entry) -> str:
    text = escape(entry.plain)
    return (f"**{text}**" if entry.bold else text) + (f" {entry.marks}" if entry.marks else "")


def _ruler(column: Column, width: int) -> str:
    return "-" * width if column.left else "-" * (width - 1) + ":"


def _line(row: list[str], columns: tuple[Column, ...], widths: list[int]) -> str:
    aligned = (
        text.ljust(width) if column.left else text.rjust(width)
        for text, column, width in zip(row, columns, widths, strict=True)
    )
    return f"| {' | '.join(aligned)} |"
