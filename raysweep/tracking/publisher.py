"""A thread that brings the journal to the server: late is allowed, lost is not."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

from raysweep.core.errors import describe

from .journal import Journal, events_of_a_death
from .writer import Writer

PATIENCE = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds between attempts while the server does not answer; the last one repeats."""


class Publisher(threading.Thread):
    """Publishes a journal's events in order, again and again until each has arrived."""

    def __init__(self, journal: Journal, writer: Writer) -> None:
        super().__init__(name="raysweep-publisher", daemon=True)
        self.journal, self.writer = journal, writer
        self.trouble: str | None = None
        self._news = threading.Event()
        self._closing = threading.Event()

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
                self._news.wait()
            else:
                wait = PATIENCE[min(failures, len(PATIENCE) - 1)]
                failures += 1
                time.sleep(wait)

    def _publish_pending(self) -> bool:
        """True when every event has arrived; False, with `trouble` set, at the first that has not."""
        for offset, event in self.journal.unpublished():
            try:
                self.writer.write(event)
            except Exception as error:  # noqa: BLE001  whatever the client raises, the event is tried again
                self.trouble = describe(error)
                return False
            self.journal.mark_published(offset)
        self.trouble = None
        return True


def adopt_journals(folder: Path, writer: Writer, tracking: str) -> list[str]:
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
                for offset, event in journal.unpublished():
                    writer.write(event)
                    journal.mark_published(offset)
            except Exception as error:  # noqa: BLE001  whatever the client raises
                troubles.append(f"tracking: {path} could not be published yet ({describe(error)})")
    return troubles
