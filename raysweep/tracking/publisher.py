"""A thread that brings the journal to the server: late is allowed, lost is not."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException

from raysweep.core.errors import describe
from raysweep.core.formatting import plural

from .journal import Journal, events_of_a_death, now_ms
from .publish_lock import always
from .writer import EPOCHS, Writer

Turn = Callable[[], AbstractContextManager[bool]]
"""Entered while something is written; tells whether others have written since (see `publish_lock.PublishLock`)."""

_REFUSALS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "MALFORMED_REQUEST", "RESOURCE_ALREADY_EXISTS", "INVALID_STATE")

PATIENCE = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds between attempts while the server does not answer; the last one repeats."""

AT_ONCE = 1000
"""The most epochs that are brought together; what arrived is noted after each lot."""

BEAT = 60.0
"""Seconds after which a launch tells the server again that it lives (see `recovery.adopt_runs`)."""


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
        values = {"event": "beat", "time": now_ms(), "study": last["study"], "launch": last["launch"]}
        self.writer.write_all([values])
        self._beat_at = time.monotonic()


def publish(journal: Journal, writer: Writer, turn: Turn = always) -> Iterator[list[dict[str, Any]]]:
    """Bring a journal's events to the server lot by lot; yields each lot when it has arrived and is marked.

    What the server refuses, however often it is told, is set aside with its cause: it must hold up nothing else.
    """
    for offset, events in lots(journal.unpublished()):
        with turn() as changed:
            if changed:
                writer.forget()
            try:
                writer.write_all(events)
            except Exception as error:
                if not is_refusal(error):
                    raise
                _write_one_by_one(journal, writer, events)
        journal.mark_published(offset)
        yield events


def _write_one_by_one(journal: Journal, writer: Writer, events: Sequence[dict[str, Any]]) -> None:
    """Each event again, after the writer forgot what it knew of the server; what is refused once more is set aside."""
    for event in events:
        try:
            writer.write_all([event])
        except Exception as error:
            if not is_refusal(error):
                raise
            journal.set_aside(event, describe(error))


def is_refusal(error: Exception) -> bool:
    """Whether trying again cannot help: MLflow says that the request is wrong, or the event lacks what it must have."""
    if isinstance(error, MlflowException):
        return error.error_code in _REFUSALS
    return isinstance(error, LookupError | TypeError | AttributeError | UnicodeError)


def refused(journal: Journal) -> str:
    """A sentence on the events of a journal that were set aside; "" where none was."""
    try:
        causes = [json.loads(line)["cause"] for line in journal.refused.read_text().splitlines()]
    except FileNotFoundError:
        return ""
    return (
        f"tracking: MLflow refused {plural(len(causes), 'event')} ({causes[0]}); "
        f"{'it is' if len(causes) == 1 else 'they are'} kept in {journal.refused}, and missing in MLflow"
    )


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
        A sentence for each journal that could not be published, or not as a whole.
    """
    troubles: list[str] = []
    for path in sorted(folder.glob("*.jsonl")):
        try:
            journal = Journal(path)
        except BlockingIOError:
            continue  # its launch lives
        with contextlib.closing(journal):
            events = journal.events()
            meant_for = next((event["tracking"] for event in events if "tracking" in event), None)
            if meant_for is None:
                troubles += filter(None, [_set_aside(journal)])
            if meant_for is None or meant_for != tracking:
                continue
            try:
                for event in events_of_a_death(events):
                    journal.append(event)
                for _ in publish(journal, writer, turn):
                    pass
            except Exception as error:  # noqa: BLE001  whatever the client raises
                troubles.append(f"tracking: {path} could not be published yet ({describe(error)})")
                continue
            troubles += filter(None, [refused(journal), _set_aside(journal)])
    return troubles


def _set_aside(journal: Journal) -> str:
    """Move a journal with damaged lines away, and say what is lost; "" for a whole one."""
    lost, first, lines = journal.damaged()
    if not lost:
        return ""
    return (
        f"tracking: {lost} of {plural(lines, 'line')} of {journal.path} cannot be read (the first: line {first}): what "
        f"they said is lost to MLflow, and the file is {journal.set_aside_whole().name} now; cells that were done are "
        "in the store, and launching their study again publishes them"
    )
