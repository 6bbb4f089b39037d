"""Ctrl-C and SIGTERM: once to end after the running epochs, twice to end now."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ray.tune import Stopper

from .messages import Began, Epoch, Idle, unpacked

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""SIGTERM is what job schedulers and `kill` send."""


class CtrlC:
    """Inside this context the first Ctrl-C or SIGTERM calls `first`, the second raises KeyboardInterrupt.

    `check` raises it again: Python drops a KeyboardInterrupt that is raised in a destructor.
    """

    def __init__(self, first: Callable[[], None]) -> None:
        self.first = first
        self.presses = 0
        self.abandoned = ""

    def __enter__(self) -> CtrlC:
        self._main = threading.current_thread() is threading.main_thread()
        if self._main:
            self._before = [signal.signal(kind, self._press) for kind in SIGNALS]
        return self

    def __exit__(self, *error: object) -> None:
        if self._main:
            for kind, handler in zip(SIGNALS, self._before, strict=True):
                signal.signal(kind, handler)

    def check(self) -> None:
        """Raises KeyboardInterrupt after the second press, or after `abandon`."""
        if self.presses > 1 or self.abandoned:
            raise KeyboardInterrupt

    def abandon(self, reason: str) -> None:
        """From another thread: end what the main thread waits for. `reason` is kept in `abandoned`."""
        self.abandoned = reason
        if self._main:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def _press(self, *_: object) -> None:
        if not self.abandoned:
            self.presses += 1
        if self.presses == 1 and not self.abandoned:
            self.first()
        self.check()


class Fault:
    """Keeps the first exception of a Tune callback, which Tune would swallow or attribute to a trial.

    Args:
        stop: called at the first exception.
    """

    def __init__(self, stop: Callable[[], object]) -> None:
        self.stop = stop
        self.error: Exception | None = None

    @contextmanager
    def kept(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - `check` raises it
            self.error = self.error or error
            self.stop()

    def check(self) -> None:
        """Raises the exception, if there was one."""
        if self.error is not None:
            raise self.error


class StopAfterEpoch(Stopper):
    """Once `stopping()`, ends each trial at an epoch whose state is stored, and the run when none is running.

    The last epoch of a training is excluded: its state is stored after it is reported. An idle process on an unfit
    machine also ends once nothing is left to do.
    """

    def __init__(self, stopping: Callable[[], bool], idle: Callable[[], bool], finished: Callable[[], bool]) -> None:
        self.stopping, self.idle, self.finished = stopping, idle, finished

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        message = unpacked(result)
        if isinstance(message, Epoch):
            return message.event.epoch < message.event.until and self.stopping()
        if isinstance(message, Idle):
            return self.stopping() or self.finished()
        return not isinstance(message, Began) and self.stopping()

    def stop_all(self) -> bool:
        return self.stopping() and self.idle()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles it to restore runs; launches resume from the store
