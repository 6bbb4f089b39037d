"""A thread that delivers journal events to MLflow at least once."""

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
from raysweep.core.versioned import NewerRecord

from .journal import Journal, events_of_a_death, now_ms
from .publish_lock import unlocked
from .writer import EPOCHS, Writer

Lock = Callable[[], AbstractContextManager[bool]]
"""`PublishLock.held` or `unlocked`: entered while writing, yields whether another launch has written before."""

_REFUSALS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "MALFORMED_REQUEST", "RESOURCE_ALREADY_EXISTS", "INVALID_STATE")

PATIENCE = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds between attempts while the server does not answer; the last one repeats."""

AT_ONCE = 1000
"""Maximum number of epochs written together; the journal is marked after each batch."""

BEAT = 60.0
"""Seconds between heartbeats of a launch to the server (see `recovery.adopt_runs`)."""


class Publisher(threading.Thread):
    """Publishes a journal's events in order and retries until each has arrived."""

    def __init__(self, journal: Journal, writer: Writer, lock: Lock = unlocked) -> None:
        super().__init__(name="raysweep-publisher", daemon=True)
        self.journal, self.writer, self.lock = journal, writer, lock
        self.trouble: str | None = None
        self._news = threading.Event()
        self._closing = threading.Event()
        self._last: dict[str, Any] | None = None
        self._arrived = 0  # batches
        self._beat_at = time.monotonic()

    def wake(self) -> None:
        """There are new events."""
        self._news.set()

    def close(self, timeout: float, patient: bool = False) -> bool:
        """Publish what is left, for at most `timeout` seconds; `patient`: begun anew whenever something arrives, for a
        server that is only slow. Returns whether everything arrived."""
        self._closing.set()
        self._news.set()
        arrived, until = self._arrived, time.monotonic() + timeout
        while self.is_alive() and time.monotonic() < until:
            self.join(min(0.2, timeout))
            if patient and self._arrived != arrived:
                arrived, until = self._arrived, time.monotonic() + timeout
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
        """Whether every event has arrived; stops at the first batch that has not and sets `trouble`."""
        try:
            for events in publish(self.journal, self.writer, self.lock):
                self._last = events[-1]
                self._arrived += 1
            self._beat()
        except Exception as error:  # noqa: BLE001  any error of the client; the events are retried
            self.trouble = describe(error)
            return False
        self.trouble = None
        return True

    def _beat(self) -> None:
        """Send a heartbeat if the last one is `BEAT` seconds old."""
        last = self._last
        if last is None or last["event"] == "end" or time.monotonic() - self._beat_at < BEAT:
            return
        values = {"event": "beat", "time": now_ms(), "study": last["study"], "launch": last["launch"]}
        self.writer.write_all([values])
        self._beat_at = time.monotonic()


def publish(journal: Journal, writer: Writer, lock: Lock = unlocked) -> Iterator[list[dict[str, Any]]]:
    """Write a journal's events to the server in batches; yields each batch when it is written and marked.

    Events that the server refuses twice are set aside with their cause, so that later events are published.
    """
    for offset, events in batches(journal.unpublished()):
        with lock() as changed:
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
    """Retry each event alone, with the writer's cache cleared; set aside those that are refused again."""
    for event in events:
        try:
            writer.write_all([event])
        except Exception as error:
            if not is_refusal(error):
                raise
            journal.set_aside(event, describe(error))


def is_refusal(error: Exception) -> bool:
    """Whether retrying is useless: MLflow calls the request invalid, or the event lacks a field."""
    if isinstance(error, MlflowException):
        return error.error_code in _REFUSALS
    return isinstance(error, LookupError | TypeError | AttributeError | UnicodeError)


def refused(journal: Journal) -> str:
    """A sentence on the journal's refused events; "" if there are none."""
    try:
        causes = [json.loads(line)["cause"] for line in journal.refused.read_text().splitlines()]
    except FileNotFoundError:
        return ""
    return (
        f"tracking: MLflow refused {plural(len(causes), 'event')} ({causes[0]}); "
        f"{'it is' if len(causes) == 1 else 'they are'} kept in {journal.refused}, and missing in MLflow"
    )


def batches(pending: Iterable[tuple[int, dict[str, Any]]]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Batches of events in order as (end offset, events): consecutive epochs together, other events alone."""
    batch: list[dict[str, Any]] = []
    end = 0
    for offset, event in pending:
        if batch and (event["event"] not in EPOCHS or len(batch) == AT_ONCE):
            yield end, batch
            batch = []
        batch.append(event)
        end = offset
        if event["event"] not in EPOCHS:
            yield end, batch
            batch = []
    if batch:
        yield end, batch


def adopt_journals(
    folder: Path, writer: Writer, tracking: str, lock: Lock = unlocked, marks: Path | None = None
) -> list[str]:
    """Publish the journals of dead launches in `folder`, and close their runs.

    Only journals for the same `tracking` store. Those that cannot be published are kept for the next launch.

    Returns:
        A sentence for each journal that was not or not completely published.
    """
    troubles: list[str] = []
    for path in sorted(folder.glob("*.jsonl")):
        try:
            journal = Journal(path, marks)
        except BlockingIOError:
            continue  # its launch is running
        with contextlib.closing(journal):
            try:
                events = journal.events()
            except NewerRecord as error:
                troubles.append(f"tracking: {path} was {error}")
                continue
            meant_for = next((event["tracking"] for event in events if "tracking" in event), None)
            if meant_for is None:
                troubles += filter(None, [_set_aside(journal)])
            if meant_for is None or meant_for != tracking:
                continue
            try:
                for event in events_of_a_death(events):
                    journal.append(event)
                for _ in publish(journal, writer, lock):
                    pass
            except Exception as error:  # noqa: BLE001  any error of the client
                troubles.append(f"tracking: {path} could not be published yet ({describe(error)})")
                continue
            troubles += filter(None, [refused(journal), _set_aside(journal)])
    return troubles


def _set_aside(journal: Journal) -> str:
    """Rename a journal with damaged lines. Returns a sentence on the loss; "" if no line is damaged."""
    lost, first, lines = journal.damaged()
    if not lost:
        return ""
    return (
        f"tracking: {lost} of {plural(lines, 'line')} of {journal.path} cannot be read (the first: line {first}): "
        f"their events are missing in MLflow, and the file was renamed to {journal.set_aside_whole().name}; completed "
        "cells are in the store, and launching their study again publishes them"
    )
