"""Time without that for which this process was stopped: Ctrl-Z, SIGSTOP, a frozen container.

A suspended machine stops `time.monotonic` by itself; a stopped process learns of it only afterwards, from a thread that
missed its ticks.
"""

from __future__ import annotations

import os
import threading
from time import monotonic, sleep

TICK = 1.0
"""Seconds between two looks at the clock."""

MISSED = 10.0
"""Seconds without a look that mean the process was stopped, rather than busy."""


class _Ticks:
    """The looks of one process, from the first time that somebody asks."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.slept, self.last = 0.0, monotonic()
        threading.Thread(target=self._run, name="raysweep-awake", daemon=True).start()

    def _run(self) -> None:
        while True:
            sleep(TICK)
            self.look()

    def look(self) -> float:
        with self.lock:
            now = monotonic()
            if now - self.last > MISSED:
                self.slept += now - self.last - TICK
            self.last = now
            return self.slept


_ticks: list[_Ticks] = []
os.register_at_fork(after_in_child=_ticks.clear)  # the thread stays behind


def slept() -> float:
    """Seconds for which this process was stopped since somebody asked first."""
    if not _ticks:
        _ticks.append(_Ticks())
    return _ticks[0].look()


def awake() -> float:
    """`time.monotonic`, standing still while this process is stopped."""
    return monotonic() - slept()
