"""Sweeps on a real Slurm, each ending in the table of an undisturbed launch on one host.

Needs root on Linux, and Debian's slurmctld, slurmd, slurm-client and munge.
"""

from __future__ import annotations

import json
import random
import re
import sys
import time
from pathlib import Path

import pytest

from tests.faults.launches import epochs_told
from tests.faults.records import assert_same, outcome
from tests.slurm.cluster import Slurm
from tests.slurm.conftest import LONG, STUDY, WORDS, Reference, table

pytestmark = [pytest.mark.full, pytest.mark.timeout(3600)]

PREEMPTIONS = 20


class Sweep:
    """A launch submitted to the cluster from a folder."""

    def __init__(self, slurm: Slurm, folder: Path, *words: str) -> None:
        self.slurm, self.folder = slurm, folder
        folder.mkdir(parents=True, exist_ok=True)
        command = (sys.executable, "-m", "raysweep.run", *words, "--slurm", "--json", "--cpus", "1")
        self.told = json.loads(slurm.run(*command, cwd=folder).stdout)
        self.launch, self.report = self.told["launch"], self.told["report"]

    def end(self, seconds: float) -> str:
        """Wait for the report's job. Returns its exit code as Slurm writes it."""
        self.slurm.wait_for(
            "the end of the jobs", lambda: not self.slurm.states(f"{self.launch},{self.report}"), seconds
        )
        return self.slurm.fields(self.report)["ExitCode"]

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in sorted(Path(self.told["logs"]).glob("*.log")))

    def running(self) -> list[str]:
        return [task for task, state in self.slurm.states(self.launch).items() if state == "RUNNING"]

    def assert_equals(self, reference: Reference) -> None:
        assert_same(outcome(self.folder, STUDY), reference.cells)
        assert table(self.folder) == reference.table


def test_an_array_shares_the_cells_of_a_study(slurm, tmp_path, reference):
    sweep = Sweep(slurm, tmp_path / "it's $HOME & 100%", *WORDS, "--tasks", "2")
    assert sweep.end(900) == "0:0", sweep.logs()
    sweep.assert_equals(reference)
    trained = [int(n) for n in re.findall(r"(\d+) epochs? trained in [1-9]", sweep.logs())]
    assert len(trained) == 2
    assert all(trained)


def test_a_task_is_requeued_at_its_time_limit_and_goes_on(slurm, tmp_path, long_reference):
    sweep = Sweep(slurm, tmp_path / "sweep", *LONG, "--tasks", "1", "--time", "2", "--stop-before", "20")
    assert sweep.end(1800) == "0:0", sweep.logs()
    sweep.assert_equals(long_reference)
    stops = [int(n) for n in re.findall(r"stopped: .* (\d+) epochs? trained", sweep.logs())]
    assert stops, "it never met its time limit"
    assert "DUE TO TIME LIMIT" not in sweep.logs()
    assert "0 found in the store" in sweep.logs()


def test_tasks_preempted_at_random_moments(slurm, tmp_path, long_reference):
    """By `scontrol requeue`, and by jobs of a partition with a higher priority that need the node."""
    seed = random.randrange(10**6)
    draw = random.Random(seed)
    print(f"seed {seed}")
    sweep = Sweep(slurm, tmp_path / "sweep", *LONG, "--tasks", "2")
    for number in range(PREEMPTIONS):
        if draw.random() < 0.5:  # at any moment, often while a launch begins; or while one trains
            time.sleep(draw.uniform(0, 20))
        else:
            before = epochs_told(sweep.folder)
            slurm.wait_for("an epoch", lambda before=before: epochs_told(sweep.folder) > before, 240)
            time.sleep(draw.uniform(0, 5))
        task = slurm.wait_for("a running task", lambda: next(iter(draw.sample(r := sweep.running(), len(r))), ""), 240)
        if number % 2:
            slurm.run("scontrol", "requeue", task)
        else:
            node = slurm.fields(task)["NodeList"]
            slurm.run("sbatch", "--partition=urgent", f"--nodelist={node}", "--output=/dev/null", "--wrap", "sleep 1")
            slurm.wait_for("the preemption", lambda task=task: slurm.states(sweep.launch).get(task) != "RUNNING", 60)
    assert sweep.end(1800) == "0:0", sweep.logs()
    assert len(re.findall(r"DUE TO (?:JOB REQUEUE|PREEMPTION)", sweep.logs())) == PREEMPTIONS
    sweep.assert_equals(long_reference)


def test_one_launch_over_two_nodes(slurm, tmp_path, reference):
    sweep = Sweep(slurm, tmp_path / "sweep", *WORDS, "--nodes", "2")
    assert sweep.end(900) == "0:0", sweep.logs()
    sweep.assert_equals(reference)
    assert not list(Path(sweep.told["logs"]).glob("token-*"))


def test_mlflow_on_a_network_file_system_is_written_by_the_last_job_through_a_copy(slurm, reference):
    if slurm.network is None:
        pytest.skip("needs bindfs")
    direct = slurm.run("srun", sys.executable, "-m", "raysweep.run", *WORDS, check=False, cwd=slurm.network)
    assert direct.returncode == 2
    assert "is on fuse.glusterfs, where SQLite's locks do not hold" in direct.stderr
    sweep = Sweep(slurm, slurm.network / "sweep", *WORDS, "--tasks", "2")
    assert sweep.end(900) == "0:0", sweep.logs()
    sweep.assert_equals(reference)
    assert not (sweep.folder / "mlflow.db.lock" / "holders").is_dir() or not list(
        (sweep.folder / "mlflow.db.lock" / "holders").iterdir()
    )


def test_cancelling_with_sigterm_ends_after_the_running_epochs_and_the_report_is_incomplete(slurm, tmp_path, reference):
    sweep = Sweep(slurm, tmp_path / "sweep", *WORDS, "--tasks", "1")
    slurm.wait_for("the first epochs", lambda: epochs_told(sweep.folder) >= 5, 120)
    slurm.run("scancel", "--signal=TERM", "--batch", sweep.launch)
    assert sweep.end(300) == "1:0", sweep.logs()
    assert "stopped: " in sweep.logs()
    assert "The table is INCOMPLETE" in sweep.logs()
    again = Sweep(slurm, tmp_path / "sweep", *WORDS, "--tasks", "2")
    assert again.end(900) == "0:0", again.logs()
    again.assert_equals(reference)


def test_an_unknown_partition_is_refused_in_the_words_of_slurm(slurm, tmp_path):
    command = (sys.executable, "-m", "raysweep.run", *WORDS, "--slurm", "--partition", "nosuch")
    done = slurm.run(*command, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert "invalid partition specified: nosuch" in done.stderr
