"""Drill 2: the process of a trial dies by SIGKILL."""

import os
import signal

import pytest

from tests.faults import processes
from tests.faults.launches import Launch, epochs_told, events
from tests.faults.records import assert_same, outcome
from tests.faults.small_study import PLANNED, STUDY, WORDS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

DEATHS = 3
"""One more than `raysweep.engine.tune_run.MAX_RETRIES`."""


def at_work_on(launch, key):
    """The process whose trial has this task: Tune names a trial's working folder by it."""
    for process in launch.workers():
        try:
            folder = os.path.basename(os.readlink(f"/proc/{process}/cwd"))
        except OSError:
            continue
        if folder.startswith(key[:16]):
            return process
    return None


def test_a_killed_worker_goes_on_from_its_checkpoint(fresh, reference):
    with Launch(fresh, *WORDS) as launch:
        launch.wait_for("the first two epochs", lambda: epochs_told(fresh) >= 2)
        assert processes.send(min(launch.workers()), signal.SIGKILL)
        ended = launch.end()
    assert_same(outcome(fresh, STUDY), reference.cells)
    assert ended.epochs <= PLANNED  # nothing that was in a checkpoint has been trained twice


@pytest.mark.full
def test_a_killed_worker_fails_alone_after_too_many_deaths(fresh, reference):
    with Launch(fresh, *WORDS) as launch:
        launch.wait_for("the first two epochs", lambda: epochs_told(fresh) >= 2)
        first = min(launch.workers())
        assert processes.send(first, signal.SIGKILL)
        doomed, key = launch.wait_for("a cell that begins", lambda: started_cell(fresh))
        for death in range(DEATHS):
            launch.wait_for(f"attempt {death + 1} at {doomed}", lambda death=death: starts(fresh, key) > death)
            victim = launch.wait_for("its process", lambda: at_work_on(launch, key))
            assert processes.send(victim, signal.SIGKILL)
        ended = launch.end(code=1)
    assert_same(outcome(fresh, STUDY), reference.cells, failed=[doomed])
    assert list(ended.told["failed"]) == [f"{doomed[0]} #{doomed[1]}"]
    assert "died" in next(iter(ended.told["failed"].values()))
    assert ended.epochs <= PLANNED  # nothing that was in a checkpoint has been trained twice


def starts(folder, key):
    """How often a process has begun with a cell."""
    return sum(event["event"] == "start" and event["cell"]["key"] == key for event in events(folder))


def started_cell(folder):
    """(arm, replicate) and key of the cell that began last, when it is not over yet."""
    over = {event["cell"]["key"] for event in events(folder) if event["event"] in ("complete", "failed")}
    begun = [event["cell"] for event in events(folder) if event["event"] == "start"]
    going = [((cell["arm"], str(cell["replicate"])), cell["key"]) for cell in begun if cell["key"] not in over]
    return going[-1] if going else None
