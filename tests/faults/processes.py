"""Processes of a session, read from /proc: whatever a launch started, Ray's included, and nothing else."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path


def of_session(leader: int) -> set[int]:
    """Ids of the living processes in the session that `leader` opened. Ray leaves process groups, not sessions."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader and fields[0] != "Z":
                found.add(int(folder.name))
    return found


def title(process: int) -> str:
    """Its command line; "" when it is gone."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def trial_processes(leader: int) -> set[int]:
    """Ray workers of a launch that hold a Tune trial (idle ones are called ray::IDLE, ours after the trainable)."""
    return {process for process in of_session(leader) if title(process).startswith("ray::ImplicitFunc")}


def send(process: int, what: signal.Signals) -> bool:
    """Whether the process was still there."""
    try:
        os.kill(process, what)
    except ProcessLookupError:
        return False
    return True


def sweep(leader: int, seconds: float = 20.0) -> None:
    """Kill everything of a session, again and again until nothing is left."""
    deadline = time.monotonic() + seconds
    while left := of_session(leader):
        for process in left:
            send(process, signal.SIGKILL)
        assert time.monotonic() < deadline, f"processes that cannot be killed: {sorted(map(title, left))}"
        time.sleep(0.05)


@contextlib.contextmanager
def leaving_none(leader: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that opened a session: at the end nothing of that session is left."""
    try:
        yield leader
    finally:
        sweep(leader.pid)
        leader.wait()
