"""Drill 5: Ctrl-C (or SIGTERM) once (what runs ends after its epoch) and twice (stop now); the same command goes on."""

import re
import signal
import time

import pytest

from tests.faults import processes
from tests.faults.launches import PATIENCE, Launch, epochs_told, events, run, wait_for
from tests.faults.records import assert_same, outcome, statuses
from tests.faults.small_study import PLANNED, STUDY, WORDS
from tests.faults.stores import leases

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def working_folders(folder):
    """Tasks that Tune has started, by the folders it makes for them."""
    return {path.name[:16] for path in (folder / ".raysweep" / "tune").glob("*/*-*") if path.is_dir()}


@pytest.mark.parametrize("kind", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.full)])
def test_once_ends_after_the_running_epochs_and_starts_nothing_new(fresh, reference, kind):
    with Launch(fresh, *WORDS) as launch:
        launch.wait_for("the first epochs", lambda: epochs_told(fresh) >= 2)
        begun = working_folders(fresh)
        launch.signal(kind)
        ended = launch.end(code=130, seconds=60)
        wait_for("Ray's processes to go", lambda: not processes.of_session(launch.pid), 30)
    assert "To continue:" in ended.stderr
    assert working_folders(fresh) == begun
    assert not leases(fresh)
    found = statuses(fresh, STUDY)
    assert found["launch"] == ["KILLED"]
    assert all("RUNNING" not in runs for runs in found.values())
    assert events(fresh)[-1]["event"] == "end"
    before = int(re.findall(r"(\d+) epochs? trained", ended.stderr)[0])
    last = run(fresh, *WORDS)
    assert before + last.epochs == PLANNED  # every epoch that was told was kept
    assert_same(outcome(fresh, STUDY), reference.cells)


@pytest.mark.full
def test_twice_stops_now(fresh, reference):
    with Launch(fresh, *WORDS) as launch:
        launch.wait_for("the first epochs", lambda: epochs_told(fresh) >= 2)
        launch.signal(signal.SIGINT)
        time.sleep(0.2)
        if launch.alive:
            launch.signal(signal.SIGINT)
        launch.end(code=130, seconds=60)
        wait_for("Ray's processes to go", lambda: not processes.of_session(launch.pid), 30)
    assert not leases(fresh)
    assert all("RUNNING" not in found for found in statuses(fresh, STUDY).values())
    run(fresh, *WORDS)
    assert_same(outcome(fresh, STUDY), reference.cells)


def journal_there(launch):
    return events(launch.folder)


def ray_there(launch):
    return any("raylet" in processes.title(process) for process in processes.of_session(launch.pid))


def worker_there(launch):
    return launch.workers()


@pytest.mark.full
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("reached", [None, journal_there, ray_there, worker_there])
def test_during_the_start_too(fresh, reference, reached, kind):
    """Imports, data, MLflow, Ray: wherever it falls, one sentence, no traceback, nothing left behind."""
    with Launch(fresh, *WORDS) as launch:
        if reached is None:
            time.sleep(2 * PATIENCE)  # imports; not while Python itself still starts: that is no launch yet
        else:
            launch.wait_for(reached.__name__, lambda: reached(launch))
        launch.signal(kind)
        ended = launch.end(code=130, seconds=90)
        wait_for("Ray's processes to go", lambda: not processes.of_session(launch.pid), 30)
    assert "Traceback" not in ended.text
    assert not leases(fresh)
    assert all("RUNNING" not in found for found in statuses(fresh, STUDY).values())
