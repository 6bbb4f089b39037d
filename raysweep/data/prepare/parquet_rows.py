"""Rows of `labels.parquet` and `problems.csv`."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

import numpy as np
import pyarrow as pa

from raysweep.core.spreadsheet import cell
from raysweep.data.listing import SPLITS, FaceRecord, Problem

SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("where", pa.string()),
        ("frame", pa.int32()),
        ("expression", pa.int8()),
        ("valence", pa.float32()),
        ("arousal", pa.float32()),
        ("votes", pa.list_(pa.float32())),  # not a list of fixed size: pyarrow cannot read its nulls back from Parquet
        ("subject", pa.string()),
        ("split", pa.int8()),
        ("digest", pa.string()),
    ]
)
"""A row an image. `expression`: index into the manifest's classes, -1 where only VA is known; VA NaN where missing;
`votes` by EXPRESSIONS (all of them), null where nobody voted; `frame` -1 for photographs; `digest`: 16 hex digits of
SHA-256 over the stored pixels.
"""

PROBLEM_COLUMNS = ("where", "path", "kind", "detail", "fatal")

Row = dict[str, object]


def label_row(record: FaceRecord, expression: int, root: Path, digest: str) -> Row:
    valence, arousal = record.va
    return {
        "path": relative(record.path, root),
        "where": as_text(record.where),
        "frame": record.frame,
        "expression": expression,
        "valence": valence,
        "arousal": arousal,
        "votes": list(record.votes) or None,
        "subject": as_text(record.subject),
        "split": SPLITS[record.split or "train"],
        "digest": digest,
    }


def write_rows(path: Path, rows: list[Row]) -> None:
    with pa.OSFile(str(path), "wb") as stream, pa.ipc.new_file(stream, SCHEMA) as writer:
        writer.write_table(pa.Table.from_pylist(rows, SCHEMA))


def read_rows(path: Path) -> pa.Table:
    with pa.OSFile(str(path), "rb") as stream, pa.ipc.open_file(stream) as reader:
        return reader.read_all()


def write_problems(stream: TextIO, problems: Iterable[Problem], root: Path) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    for p in problems:
        path = relative(Path(p.path), root) if p.path else ""
        parts = (p.where, path, p.kind, " ".join(p.detail.split()), "yes" if p.fatal else "no")
        writer.writerow([cell(as_text(part)) for part in parts])


def problem_rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a `problems.csv`."""
    with path.open(encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream)


def relative(path: Path, root: Path) -> str:
    try:
        return as_text(path.relative_to(root).as_posix())
    except ValueError:
        return as_text(str(path))


def as_text(name: str) -> str:
    """A name with the bytes that are not UTF-8 written as escapes.

    >>> as_text("ol\\udce9.png") == "ol" + chr(92) + "udce9.png"
    True
    """
    return name.encode("utf-8", "backslashreplace").decode()


def va_of(table: pa.Table) -> np.ndarray:
    """(N, 2) float32, valence first."""
    return np.stack([table[name].to_numpy() for name in ("valence", "arousal")], 1)
