"""`Process`: the writer of a file, so that others can check whether it is alive."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import time
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_NUMBER = re.compile(r"[0-9]{1,18}")

BEGAN = time.monotonic()
"""When this process began, as nearly as Python can tell."""


@dataclass(frozen=True)
class Process:
    """A process of one boot of a machine. `start` distinguishes it from later ones with the same number."""

    host: str
    pid: int
    start: int

    @classmethod
    def this(cls) -> Process:
        """The current process."""
        return cls(host_id(), os.getpid(), start_time(os.getpid()) or 0)

    @classmethod
    def parse(cls, word: str) -> Process | None:
        """A process from its `word`; None for any other text."""
        host, _, numbers = word.partition("-")
        pid, _, start = numbers.partition("-")
        return cls(host, int(pid), int(start)) if _NUMBER.fullmatch(pid) and _NUMBER.fullmatch(start) else None

    @property
    def word(self) -> str:
        """A text that can be part of a file name."""
        return f"{self.host}-{self.pid}-{self.start}"

    def gone(self) -> bool:
        """Whether it is known to be dead; always False for a process of another machine."""
        return self.host == host_id() and start_time(self.pid) != self.start


@cache
def host_id() -> str:
    """Identifies this boot of this machine and its process namespace (a container has its own)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        numbers = os.readlink("/proc/self/ns/pid")
    except OSError:  # no Linux
        boot, numbers = f"{uuid.getnode():x}", platform.node()
    return hashlib.sha256(f"{boot} {numbers}".encode()).hexdigest()[:16]


def start_time(pid: int) -> int | None:
    """When a process of this machine started, in clock ticks since boot; None when there is none, or a dead one that
    its parent has not buried yet. 0 where the system does not say."""
    if Path("/proc/self/stat").exists():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        fields = stat.rpartition(")")[2].split()  # the name before it may hold anything
        return None if fields[0] in "ZX" else int(fields[19])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return 0
