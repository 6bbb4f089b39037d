"""The launch's journal: one JSON object per line, written to disk before the server."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from raysweep.core.masking import masked_values
from raysweep.core.versioned import NewerRecord
from raysweep.store.formats import EVENT

FIELDS = {"event": str, "time": int, "study": str, "launch": str}
"""Fields of every event, with their types."""


class Journal:
    """An append-only file of events, with a second file for the number of its published bytes.

    One writer appends; one reader takes events in order and marks them as published. Both are crash-safe: an
    incomplete last line is dropped, and events may be published twice. The file is locked by its process, so that
    later launches adopt only journals of dead ones. Damaged lines, such as after power loss, are skipped (`damaged`).
    Events that the server refuses are moved to a file of their own, with the cause.

    Args:
        marks: folder of the second file, which begins as a copy of the one beside the journal; default: that one.

    Raises:
        BlockingIOError: a running process holds this journal.
    """

    def __init__(self, path: Path, marks: Path | None = None) -> None:
        self.path = path
        self.mark, self.refused = path.with_suffix(".published"), path.with_suffix(".refused")
        if marks is not None:
            own, self.mark = self.mark, marks / self.mark.name
            if own.exists() and not self.mark.exists():
                shutil.copy(own, self.mark)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = path.open("ab+")
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._stream.close()
            raise
        self._drop_torn_line()

    def append(self, event: dict[str, Any]) -> None:
        """Write one event, with passwords masked, and flush it to the operating system."""
        self._stream.write(json.dumps(EVENT.stamped(masked_values(event))).encode() + b"\n")
        self._stream.flush()

    def events(self) -> list[dict[str, Any]]:
        """All events written so far.

        Raises:
            NewerRecord: a newer raysweep wrote some of them.
        """
        return [event for _, event in self._read(0)]

    def unpublished(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Unpublished events as (end offset, event)."""
        return self._read(self._published())

    def _read(self, offset: int) -> Iterator[tuple[int, dict[str, Any]]]:
        with self.path.open("rb") as stream:
            stream.seek(offset)
            for line in stream:
                if not line.endswith(b"\n"):
                    return
                offset += len(line)
                try:
                    event = EVENT.read(line)
                except NewerRecord:
                    raise
                except ValueError:
                    continue
                if _is_event(event):
                    yield offset, event

    def damaged(self) -> tuple[int, int, int]:
        """Number of damaged lines, number of the first one (from 1; 0 if there is none), and number of all lines."""
        good = {offset for offset, _ in self._read(0)}
        lost, offset, number = [], 0, 0
        with self.path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                offset += len(line)
                if offset not in good:
                    lost.append(number)
        return len(lost), min(lost, default=0), number

    def set_aside(self, event: dict[str, Any], cause: str) -> None:
        """Add a refused event to the `refused` file, which is not retried."""
        with self.refused.open("ab") as stream:
            stream.write(json.dumps({"cause": cause, "event": event}).encode() + b"\n")

    def set_aside_whole(self) -> Path:
        """Rename a published journal with damaged lines, so that it is not read again. Returns the new path."""
        broken = self.path.with_suffix(".broken")
        os.replace(self.path, broken)
        self.mark.unlink(missing_ok=True)
        return broken

    def mark_published(self, offset: int) -> None:
        """Mark everything up to `offset` as published."""
        draft = self.mark.with_suffix(".tmp")
        draft.write_text(str(offset))
        os.replace(draft, self.mark)

    def complete(self) -> bool:
        """Whether every event is published."""
        return self._published() >= self.path.stat().st_size

    def close(self) -> None:
        """Close the file. A full disk is ignored: `append` has raised for it already."""
        try:
            self._stream.close()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise

    def _drop_torn_line(self) -> None:
        """Drop an incomplete last line of a dead process, so that the next event starts a new line."""
        self._stream.seek(0)
        whole = self._stream.read().rfind(b"\n") + 1
        self._stream.truncate(whole)
        self._stream.seek(0, os.SEEK_END)

    def _published(self) -> int:
        try:
            return int(self.mark.read_text())
        except (FileNotFoundError, ValueError):
            return 0


def _is_event(values: dict[str, Any]) -> bool:
    """Whether it has the fields of an event, and those of a cell if it is about one."""
    cell = values.get("cell", {"arm": "", "replicate": 0})
    known = isinstance(cell, dict) and cell.keys() >= {"arm", "replicate"}
    return known and all(isinstance(values.get(name), kind) for name, kind in FIELDS.items())


def is_held(path: Path) -> bool:
    """Whether a running process holds this journal."""
    try:
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def events_of_a_death(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The "end" event that a dead launch could not write; none if there is one."""
    if not events or events[-1]["event"] == "end":
        return []
    cells: dict[str, dict[str, Any]] = {}
    for event in events:
        name = f"{event['cell']['arm']}#{event['cell']['replicate']}" if "cell" in event else ""
        if event["event"] in ("start", "epoch"):
            cells[name] = event["cell"]
        elif event["event"] in ("complete", "failed"):
            cells.pop(name, None)
    values = {name: events[-1][name] for name in ("time", "study", "launch")}
    return [{**values, "event": "end", "status": "KILLED", "stopped": list(cells.values())}]


def now_ms() -> int:
    """Milliseconds since 1970, as in MLflow."""
    return time.time_ns() // 1_000_000
