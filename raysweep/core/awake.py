"""A clock that leaves out the time in which this process was stopped: Ctrl-Z, SIGSTOP, a frozen container.

`time.monotonic` itself stops while the machine is suspended. A stopped process is noticed afterwards: a thread that
reads the clock every second finds a long gap.
"""

from __future__ import annotations

import os
import threading
from time import monotonic, sleep

TICK = 1.0
"""Seconds between two readings of the clock."""

MISSED = 10.0
"""Seconds: a longer gap between readings means that the process was stopped, not only busy."""


class _Ticks:
    """Reads the clock of one process, from the first call of `slept` on."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.slept, self.last = 0.0, monotonic()
        threading.Thread(target=self._run, name="raysweep-awake", daemon=True).start()

    def _run(self) -> None:
        while True:
            sleep(TICK)
            self.read()

    def read(self) -> float:
        with self.lock:
            now = monotonic()
            if now - self.last > MISSED:
                self.slept += now - self.last - TICK
            self.last = now
            return self.slept


_ticks: list[_Ticks] = []
os.register_at_fork(after_in_child=_ticks.clear)  # a forked child does not have the thread


def slept() -> float:
    """Seconds for which this process was stopped since the first call."""
    if not _ticks:
        _ticks.append(_Ticks())
    return _ticks[0].read()


def awake() -> float:
    """`time.monotonic` without the time in which this process was stopped."""
    return monotonic() - slept()
