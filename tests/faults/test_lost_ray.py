"""Ray itself dies under a launch: this machine's raylet, or the head's control service."""

import os
import signal

import pytest

from raysweep.engine.tune_run import MAX_RETRIES
from tests.faults import processes
from tests.faults.launches import Launch, epochs_told, run
from tests.faults.records import assert_same, outcome
from tests.faults.small_study import STUDY, WORDS

pytestmark = [
    pytest.mark.full,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


def process_of(leader, name):
    """The process of a Ray node whose program has this name."""
    return next(p for p in processes.of_session(leader) if processes.title(p).partition(" ")[0].endswith(f"/{name}"))


def stopped_by(launch, folder, process, what):
    """How a launch ends after a signal to one process of its cluster."""
    launch.wait_for("the first two epochs", lambda: epochs_told(folder) >= 2)
    os.kill(process(), what)
    return launch.end(code=1)


def test_a_raylet_that_dies_here_ends_the_launch_which_goes_on_later(fresh, reference):
    with Launch(fresh, *WORDS) as launch:
        ended = stopped_by(launch, fresh, lambda: process_of(launch.process.pid, "raylet"), signal.SIGKILL)
    assert ended.told["stopped"] == "Ray's process on this machine (raylet) has died: it was killed, or memory ran out"
    assert "finished cells are kept. To continue:" in ended.stderr
    run(fresh, *WORDS, code=0)
    assert_same(outcome(fresh, STUDY), reference.cells)


@pytest.mark.parametrize(
    ("name", "what", "said"),
    [
        ("raylet", signal.SIGKILL, "Ray's process on this machine (raylet) has died"),
        ("gcs_server", signal.SIGSTOP, "has not answered for 25 s"),
    ],
)
def test_a_head_that_dies_ends_the_launch_which_goes_on_on_another_cluster(nodes, fresh, reference, name, what, said):
    with Launch(fresh, *WORDS, "--address", nodes("", "")) as launch:
        ended = stopped_by(launch, fresh, lambda: process_of(nodes.head.pid, name), what)
    assert said in ended.stderr
    assert "are kept. To continue:\n  python -m raysweep.run" in ended.stderr
    run(fresh, *WORDS, "--address", nodes("", ""), code=0)
    assert_same(outcome(fresh, STUDY), reference.cells)


def test_machines_that_join_are_used_and_the_launch_says_how_many_there_are(nodes, fresh, reference):
    with Launch(fresh, *WORDS, "--address", nodes("")) as launch:
        launch.wait_for("the first epoch", lambda: epochs_told(fresh) >= 1)
        [trial] = processes.trial_processes(nodes.started[0].pid)
        processes.send(trial, signal.SIGSTOP)  # so that it is not done before
        nodes.add()
        launch.wait_for("both", lambda: "the cluster has 2 CPUs" in launch.output())
        launch.wait_for("work on the new one", lambda: processes.trial_processes(nodes.started[1].pid))
        processes.send(trial, signal.SIGCONT)
        ended = launch.end(code=0)
    assert "2 running on 2 CPUs" in ended.stderr or "on up to 2 CPUs" in ended.text
    assert_same(outcome(fresh, STUDY), reference.cells)


def test_a_launch_waits_for_the_machines_it_asks_for(nodes, fresh, reference):
    with Launch(fresh, *WORDS, "--address", nodes(), "--wait-for-devices", "2") as launch:
        launch.wait_for("the waiting", lambda: "waiting for 2 CPUs: the cluster has 0" in launch.output())
        nodes.add()
        launch.wait_for("one of two", lambda: "the cluster has 1" in launch.output())
        assert not epochs_told(fresh)
        nodes.add()
        launch.end(code=0)
    assert_same(outcome(fresh, STUDY), reference.cells)


def test_machines_that_are_preempted_again_and_again_do_not_use_up_the_retries_of_a_cell(nodes, fresh, reference):
    """Each gets SIGTERM in all its processes, as when a spot machine shuts down."""
    with Launch(fresh, *WORDS, "--address", nodes("")) as launch:
        for loss in range(MAX_RETRIES + 1):
            launch.wait_for("another epoch", lambda loss=loss: epochs_told(fresh) > loss)
            machine = nodes.started[-1].pid
            launch.wait_for("its trial", lambda machine=machine: processes.trial_processes(machine))
            for process in processes.of_session(machine):
                processes.send(process, signal.SIGTERM)
            nodes.add()
        ended = launch.end(code=0)
    assert ended.stderr.count("its task goes on elsewhere") == MAX_RETRIES + 1
    assert_same(outcome(fresh, STUDY), reference.cells)
