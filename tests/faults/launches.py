"""Launches as real processes: started, watched through their journal, disturbed, and compared by what MLflow has.

Ray's workers run at low priority: on a busy machine everything may take long. The environment variable
RAYSWEEP_PATIENCE multiplies every deadline here.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.faults import processes

PATIENCE = float(os.environ.get("RAYSWEEP_PATIENCE", "1"))
"""Deadlines are multiplied with this; none of them is a claim about speed."""

Event = dict[str, Any]


@dataclass(frozen=True)
class Ended:
    """How a launch ended: exit code and what it printed; `told` is the object of --json."""

    code: int
    stdout: str
    stderr: str

    @property
    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.stdout)
        return told

    @property
    def epochs(self) -> int:
        """Epochs that this launch trained."""
        return sum(training["epochs"] for training in self.told["trained"].values())

    @property
    def text(self) -> str:
        return f"exit {self.code}\n{self.stdout}\n{self.stderr}"


class Launch:
    """`python -m raysweep.run` with some words, in a folder of its own and as the leader of a session.

    As a context manager it leaves no process behind, whatever happens.

    Args:
        said: folder for what it prints; default `folder`.
    """

    def __init__(self, folder: Path, *words: str, said: Path | None = None) -> None:
        self.folder, said = folder, said or folder
        folder.mkdir(parents=True, exist_ok=True)
        number = len(list(said.glob("launch-*.out")))
        self._stdout, self._stderr = said / f"launch-{number}.out", said / f"launch-{number}.err"
        with self._stdout.open("wb") as out, self._stderr.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "raysweep.run", *words],
                cwd=folder,
                stdout=out,
                stderr=err,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"},
                start_new_session=True,
            )

    def __enter__(self) -> Launch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sweep()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def output(self) -> str:
        """What it printed so far: stdout, then stderr."""
        return self._stdout.read_text(errors="replace") + self._stderr.read_text(errors="replace")

    def wait_for(self, what: str, condition: Callable[[], Any], seconds: float = 120) -> Any:
        """What the condition gives as soon as it is true. Fails when the launch ends before, or time is over."""
        return wait_for(what, lambda: condition() or self._still(what), seconds, self.output)

    def workers(self) -> set[int]:
        """Processes that hold its trials."""
        return processes.trial_processes(self.pid)

    def signal(self, what: signal.Signals) -> None:
        self.process.send_signal(what)

    def kill(self) -> None:
        """SIGKILL to the driver alone; what Ray leaves behind is Ray's to clear away."""
        self.process.kill()
        self.process.wait()

    def end(self, code: int | None = 0, seconds: float = 240) -> Ended:
        """Wait for its end. `code` is what it must exit with (None: anything)."""
        self.wait_until_over(seconds)
        ended = Ended(self.process.returncode, self._stdout.read_text(), self._stderr.read_text())
        assert code is None or ended.code == code, ended.text
        return ended

    def wait_until_over(self, seconds: float = 240) -> None:
        wait_for("the launch to end", lambda: not self.alive, seconds, self.output)

    def sweep(self) -> None:
        """Kill whatever is left of it."""
        processes.sweep(self.pid)
        self.process.wait()

    def _still(self, what: str) -> None:
        assert self.alive, f"it ended before {what}: exit {self.process.returncode}\n{self.output()}"


def run(folder: Path, *words: str, code: int | None = 0, seconds: float = 240) -> Ended:
    """An undisturbed launch from start to end."""
    with Launch(folder, *words) as launch:
        return launch.end(code, seconds)


def wait_for(what: str, condition: Callable[[], Any], seconds: float, output: Callable[[], str] = str) -> Any:
    """What the condition gives as soon as it is true; the deadline is multiplied by PATIENCE."""
    deadline = time.monotonic() + seconds * PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds * PATIENCE:.0f} s for {what}\n{output()}"
        time.sleep(0.03)
    return found


def events(folder: Path, store: str = ".raysweep") -> list[Event]:
    """What the journals of all launches on a store say so far, launch by launch."""
    return [event for path in sorted((folder / store / "journal").glob("*.jsonl")) for event in _lines(path)]


def _lines(path: Path) -> Iterator[Event]:
    for line in path.read_bytes().split(b"\n")[:-1]:  # the last is empty, or half a line
        yield json.loads(line)


def epochs_told(folder: Path, store: str = ".raysweep") -> int:
    """Epochs in the journals, of cells and of trainings they share."""
    return sum(event["event"] in ("epoch", "training") for event in events(folder, store))
