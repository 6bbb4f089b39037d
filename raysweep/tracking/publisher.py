"""A thread that brings the journal to the server: late is allowed, lost is not."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from raysweep.core.errors import describe

from .journal import Journal, events_of_a_death, now_ms
from .publish_lock import always
from .writer import EPOCHS, Writer

Turn = Callable[[], AbstractContextManager[bool]]
"""Entered while something is written; tells whether others have written since (see `turns.Turns`)."""

PATIENCE = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds between attempts while the server does not answer; the last one repeats."""

AT_ONCE = 1000
"""The most epochs that are brought together; what arrived is noted after each lot."""

BEAT = 60.0
"""Seconds after which a launch tells the server again that it lives (see `adopt.adopt_runs`)."""


class Publisher(threading.Thread):
    """Publishes a journal's events in order, again and again until each has arrived."""

    def __init__(self, journal: Journal, writer: Writer, turn: Turn = always) -> None:
        super().__init__(name="raysweep-publisher", daemon=True)
        self.journal, self.writer, self.turn = journal, writer, turn
        self.trouble: str | None = None
        self._news = threading.Event()
        self._closing = threading.Event()
        self._last: dict[str, Any] | None = None
        self._beat_at = time.monotonic()

    def wake(self) -> None:
        """There are new events."""
        self._news.set()

    def close(self, timeout: float) -> bool:
        """Publish what is left, for at most `timeout` seconds. Returns whether everything arrived."""
        self._closing.set()
        self._news.set()
        self.join(timeout)
        return self.journal.complete()

    def run(self) -> None:
        failures = 0
        while True:
            self._news.clear()
            closing = self._closing.is_set()
            if self._publish_pending():
                failures = 0
                if closing:
                    return
                self._news.wait(BEAT)
            else:
                wait = PATIENCE[min(failures, len(PATIENCE) - 1)]
                failures += 1
                time.sleep(wait)

    def _publish_pending(self) -> bool:
        """True when every event has arrived; False, with `trouble` set, at the first lot that has not."""
        try:
            for events in publish(self.journal, self.writer, self.turn):
                self._last = events[-1]
            self._beat()
        except Exception as error:  # noqa: BLE001  whatever the client raises, the events are tried again
            self.trouble = describe(error)
            return False
        self.trouble = None
        return True

    def _beat(self) -> None:
        """Tell the server now and then that the launch lives, also while it has nothing to tell."""
        last = self._last
        if last is None or last["event"] == "end" or time.monotonic() - self._beat_at < BEAT:
            return
        words = {"event": "beat", "time": now_ms(), "study": last["study"], "launch": last["launch"]}
        self.writer.write_all([words])
        self._beat_at = time.monotonic()


def publish(journal: Journal, writer: Writer, turn: Turn = always) -> Iterator[list[dict[str, Any]]]:
    """Bring a journal's events to the server lot by lot; yields each lot when it has arrived and is marked."""
    for offset, events in lots(journal.unpublished()):
        with turn() as changed:
            if changed:
                writer.forget()
            writer.write_all(events)
        journal.mark_published(offset)
        yield events


def lots(pending: Iterable[tuple[int, dict[str, Any]]]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Events in order, epochs that follow one another together: (end offset, events)."""
    lot: list[dict[str, Any]] = []
    end = 0
    for offset, event in pending:
        if lot and (event["event"] not in EPOCHS or len(lot) == AT_ONCE):
            yield end, lot
            lot = []
        lot.append(event)
        end = offset
        if event["event"] not in EPOCHS:
            yield end, lot
            lot = []
    if lot:
        yield end, lot


def adopt_journals(folder: Path, writer: Writer, tracking: str, turn: Turn = always) -> list[str]:
    """Publish what dead launches left behind in `folder`, and close their runs.

    Only journals that were meant for the same `tracking` store. What cannot be published stays for
    the next time.

    Returns:
        One sentence for each journal that could not be published.
    """
    troubles = []
    for path in sorted(folder.glob("*.jsonl")):
        try:
            journal = Journal(path)
        except BlockingIOError:
            continue  # its launch lives
        with contextlib.closing(journal):
            events = journal.events()
            if not events or events[0].get("tracking") != tracking:
                continue
            for event in events_of_a_death(events):
                journal.append(event)
            try:
                for _ in publish(journal, writer, turn):
                    pass
            except Exception as error:  # noqa: BLE001  whatever the client raises
                troubles.append(f"tracking: {path} could not be published yet ({describe(error)})")
    return troubles
