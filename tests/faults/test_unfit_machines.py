"""Machines on which the store or the data are not there: an empty file system covers a folder on them."""

import os
import secrets
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from raysweep.data.__main__ import main as prepare
from tests.faults import processes
from tests.faults.launches import run, wait_for
from tests.faults.records import outcome
from tests.faults.test_elastic import free_port
from tests.own_sets import write_set

pytestmark = [
    pytest.mark.full,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

RAY = Path(sys.executable).parent / "ray"


def may_mount() -> bool:
    return subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], check=False).returncode == 0


@pytest.fixture
def nodes(tmp_path, monkeypatch):
    """Starts a head without CPUs, then a worker for each folder given: an empty file system covers that folder on it,
    and it is called w1, w2, ... Gives the head's address."""
    if not may_mount():
        pytest.skip("needs mount namespaces (root)")
    (tmp_path / "token").write_text(secrets.token_hex(32))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    with tempfile.TemporaryDirectory(prefix="ray-") as place, ExitStack() as running:

        def node(said, options, before=()):
            process = start(before, options, tmp_path / said)
            running.enter_context(processes.leaving_none(process))
            await_start(process, tmp_path / said)

        def cluster(*covered):
            address = f"127.0.0.1:{free_port()}"
            head = ["--head", f"--port={address.split(':')[1]}", "--num-cpus=0", "--include-dashboard=false"]
            node("head.out", [*head, f"--temp-dir={place}"])
            for number, folder in enumerate(covered, 1):
                hide = f'mount -t tmpfs none "{folder}" && ' if folder else ""
                script = f'hostname w{number} && {hide}exec "$@"'
                before = ["unshare", "--mount", "--uts", "bash", "-c", script, "bash"]
                node(f"w{number}.out", [f"--address={address}", "--num-cpus=1"], before)
            return address

        yield cluster


def start(before: list[str], options: list[str], said: Path) -> subprocess.Popen:
    with said.open("wb") as out:
        return subprocess.Popen(
            [*before, str(RAY), "start", "--block", "--min-worker-port=0", "--max-worker-port=0", *options],
            env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def await_start(node: subprocess.Popen, said: Path) -> None:
    wait_for(
        "a node of Ray", lambda: "runtime started" in said.read_text() or node.poll() is not None, 90, said.read_text
    )
    assert node.poll() is None, said.read_text()


def launch(folder, address, *more, code=None):
    parts = ("ablation_alpha", "--preset", "smoke", "--json", "--axis", "alpha=0.5,1", "--address", address)
    return run(folder, *parts, *more, code=code)


def test_where_no_machine_shares_the_store_the_launch_ends_before_training(nodes, fresh):
    ended = launch(fresh, nodes(fresh))
    assert ended.code == 1
    assert ended.told["done"] == 0
    assert ended.told["stopped"].startswith("no machine can begin a task (w1: UserError: its store ")
    assert "--store must be a folder that all machines share, or a URL" in ended.stderr
    assert not [cell for cell in outcome(fresh, "ablation_alpha").values() if cell.state in ("complete", "failed")]
    assert not list((fresh / ".raysweep").glob("failed/*"))


def test_a_machine_without_the_store_takes_no_part_and_the_others_do_all(nodes, fresh):
    ended = launch(fresh, nodes(fresh, ""), code=0)
    assert ended.told["done"] == 2
    assert list(ended.told["unfit_machines"]) == ["w1"]
    assert "machine w1 cannot work" in ended.stderr
    assert {cell.state for cell in outcome(fresh, "ablation_alpha").values()} == {"complete"}


def test_data_that_a_machine_lacks_fail_no_cell_and_are_found_once_they_are_there(nodes, fresh, tmp_path, monkeypatch):
    home = tmp_path / "data"
    monkeypatch.setenv("RAYSWEEP_DATA", str(home))
    counts = dict.fromkeys(("neutral", "happiness", "fear", "surprise"), 12)
    table = write_set(tmp_path, "mine", {"train": counts, "test": counts}, va=True)
    assert prepare(["prepare", "csv", str(table), "--as", "mine", "--size", "32"]) == 0
    stopped = launch(fresh, nodes(home), "--on", "mine")
    assert stopped.code == 1
    assert stopped.told["failed"] == {}
    assert "no machine can begin a task (w1: " in stopped.told["stopped"]
    again = run(fresh, "ablation_alpha", "--preset", "smoke", "--json", "--axis", "alpha=0.5,1", "--on", "mine")
    assert again.told["done"] == 2  # nothing is left alone as failed
