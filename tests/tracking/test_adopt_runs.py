"""Runs that dead launches left as running are closed; whatever may live is left alone."""

import subprocess
import sys
from dataclasses import replace

import pytest

from raysweep.store.process import Process
from raysweep.tracking.recovery import SILENCE, adopt_runs
from tests.tracking.conftest import cell_of
from tests.tracking.test_trials import trial_of

ELSEWHERE = "0123456789abcdef-77-12345"
MINUTE = 60_000


@pytest.fixture
def gone():
    """The word of a process of this machine that has ended."""
    code = "from raysweep.store.process import Process; print(Process.this().word)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def left_running(server, process, launch="old"):
    """A launch with one run of every kind."""
    server.tell("launch", launch, plan={}, tags={"raysweep.process": process} if process else {})
    server.tell("start", launch, cell=cell_of(), shared="")
    server.tell("trial", launch, trial=trial_of())
    training = {"key": "t", "title": "M_A", "replicate": 0, "tags": {}}
    server.tell("training", launch, training=training, epoch=1, metrics={"train/loss": 1.0}, last=False)


def states(server):
    kinds = ("launch", "cell", "trial", "training")
    return {(server.run(kind).info.status, server.tag("state", kind)) for kind in kinds}


def adopt(server, alive=(), minutes=1.0, meanwhile=lambda: None):
    """Closed runs and what was said, as seen `minutes` after the last event; what is looked at again is counted, too.

    `meanwhile`: what happens until the second look.
    """
    said, again = [], []
    now = int(server.time + minutes * MINUTE)
    parts = (server.client, "s", lambda launch: launch in alive, said.append, lambda: now, again.append)
    closed = adopt_runs(*parts)
    if again:
        meanwhile()
        before = sum(status == "RUNNING" for status in all_states(server))
        again[0]()
        closed += before - sum(status == "RUNNING" for status in all_states(server))
    return closed, said


def all_states(server):
    return [run.info.status for kind in ("launch", "cell", "trial", "training") for run in server.runs(kind)]


def test_every_kind_of_run_of_a_process_that_is_gone_is_closed_once(server, gone):
    left_running(server, gone)
    assert adopt(server) == (4, [])
    assert states(server) == {("KILLED", "stopped")}
    assert adopt(server) == (0, [])


def test_the_caller_knows_that_it_lives(server, gone):
    left_running(server, gone)
    assert adopt(server, alive=("old",)) == (0, [])
    assert "KILLED" not in {status for status, _ in states(server)}


def test_a_living_process_of_this_machine_is_left_whatever_its_age(server):
    left_running(server, Process.this().word)
    closed, (sentence,) = adopt(server, minutes=SILENCE)
    assert closed == 0
    assert "4 runs of launch old not closed: its process" in sentence


def test_a_number_that_another_process_has_by_now_is_no_life(server):
    this = Process.this()
    left_running(server, replace(this, start=this.start - 1).word)
    assert adopt(server)[0] == 4


@pytest.mark.parametrize("process", [ELSEWHERE, ""])
def test_a_launch_of_another_machine_counts_as_dead_after_long_silence(server, process):
    left_running(server, process)
    closed, (sentence,) = adopt(server, minutes=SILENCE / 60 - 1)
    assert closed == 0
    assert sentence.endswith("was 59 minutes ago on another machine (dead after 60)")
    server.tell("beat", "old")
    server.time += int(SILENCE - 120) * 1000
    assert adopt(server)[0] == 0  # it spoke since
    closed, (sentence,) = adopt(server, minutes=3)
    assert closed == 4
    assert sentence.endswith("on another machine, and is checked again in 150 seconds")
    assert states(server) == {("KILLED", "stopped")}


@pytest.mark.parametrize("hours", [2, 24])
def test_a_launch_whose_clock_is_behind_lives_as_long_as_it_speaks(server, hours):
    """By our clock its last word is hours old; it speaks again before the second look."""
    left_running(server, ELSEWHERE)

    def speak():
        server.tell("beat", "old")

    assert adopt(server, minutes=60 * hours, meanwhile=speak)[0] == 0
    assert all_states(server) == ["RUNNING"] * 4


def test_a_launch_that_begins_another_run_lives(server):
    left_running(server, ELSEWHERE)
    assert adopt(server, minutes=90, meanwhile=lambda: server.tell("start", "old", cell=cell_of(replicate=7)))[0] == 0


def test_a_launch_that_takes_leases_meanwhile_lives(server):
    left_running(server, ELSEWHERE)
    alive = []
    assert adopt(server, alive=alive, minutes=90, meanwhile=lambda: alive.append("old"))[0] == 0


def test_runs_whose_launch_was_deleted_are_closed_when_they_are_old(server):
    left_running(server, ELSEWHERE)
    server.client.delete_run(server.run("launch").info.run_id)
    assert adopt(server)[0] == 0
    assert adopt(server, minutes=61)[0] == 3


def test_a_run_that_a_living_launch_took_up_is_its(server, gone):
    left_running(server, gone)
    server.tell("launch", "new", plan={}, tags={"raysweep.process": Process.this().word})
    server.tell("start", "new", cell=cell_of(), shared="")
    closed, _ = adopt(server, alive=("new",))
    assert closed == 3
    assert (server.run().info.status, server.tag("launch")) == ("RUNNING", "new")


def test_a_closed_cell_runs_again_by_its_own_start(server, gone):
    left_running(server, gone)
    adopt(server)
    server.tell("start", "new", cell=cell_of(), shared="")
    assert (server.run().info.status, server.tag("state")) == ("RUNNING", "running")


def test_a_launch_that_died_between_its_last_words_stays_complete(server, gone):
    left_running(server, gone)
    server.client.set_tag(server.run().info.run_id, "raysweep.state", "complete")
    assert adopt(server)[0] == 4
    assert (server.run().info.status, server.tag("state")) == ("FINISHED", "complete")


def test_a_study_that_was_never_launched(server):
    assert adopt(server) == (0, [])


def test_a_server_that_does_not_answer_is_said(server, gone):
    left_running(server, gone)
    said = []
    server.faulty.calls.clear()
    server.faulty.deaths = {1: "before"}
    assert adopt_runs(server.faulty, "s", tell=said.append) == 0
    assert said == ["tracking: runs of dead launches could not be closed yet (ConnectionError: refused)"]
