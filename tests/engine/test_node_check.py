"""Every node is checked before the first cell: a real Ray, and nodes on which something is wrong."""

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import raysweep
from raysweep.core.errors import UserError
from raysweep.engine import ray_join
from raysweep.engine.nodes.check import NodeReport
from raysweep.engine.nodes.versions import Versions
from tests.faults import processes
from tests.faults.launches import wait_for
from tests.several_launches import free_port, ray_head, run_all

ON_ITS_OWN = """
import json, sys
import ray
from raysweep.engine.nodes.check import check_nodes
from raysweep.engine.nodes.look import Needs
from raysweep.engine.ray_start import start_local
from raysweep.data.set_content import SetContent
from raysweep.store.store import Store

folder = sys.argv[1]
store = Store(folder + "/store")
start_local(num_cpus=1, log_to_driver=False, logging_level="ERROR")
found = []
with store.probe() as probe:
    here = (store.url, str(store.local))
    rest = (folder + "/data", "{}")
    faces = SetContent("faces", 32, "", "drawn")
    gone = SetContent(folder + "/gone.csv", 32, "0" * 64, "a list")
    for needs in (Needs(*here, probe, *rest, [faces]), Needs(*here, "probes/other", *rest, []),
                  Needs(*here, probe, *rest, [faces, gone])):
        (report,) = check_nodes(needs)
        found.append({**report.describe(), "text": report.text()})
print(json.dumps(found))
ray.shutdown()
"""


def python(script, *words, **env):
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)],
        env={**os.environ, "PYTHONWARNINGS": "ignore", **env},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_a_node_that_can_work_one_without_the_store_and_one_without_data(tmp_path):
    good, unshared, bare = json.loads(python(ON_ITS_OWN, tmp_path).splitlines()[-1])
    assert (good["can_work"], good["faults"], good["devices"]["CPU"]) == (True, [], 1)
    assert good["host"] == socket.gethostname()
    assert good["versions"] == Versions.here().describe()
    assert good["free_bytes"] > 0
    assert good["text"].startswith("1 CPU, ")
    assert unshared["faults"] == [
        f"its store {tmp_path}/store is not the launch's: --store must be a folder that all machines share, or a URL"
    ]
    assert bare["faults"] == [f"{tmp_path}/gone.csv: no such file or folder"]
    assert list((tmp_path / "store").rglob("probes/*")) == []


def test_a_line_says_what_a_node_has():
    report = NodeReport("1", "w1", {"GPU": 2, "CPU": 8}, "A10G", Versions("0.1", "ab", "3.11.7", "2.60.0", "2.9"), 5e9)
    assert report.text() == (
        "2 GPUs (A10G), 8 CPUs, 5 GB free; raysweep 0.1 (code ab), Python 3.11.7, torch 2.9, Ray 2.60.0"
    )
    assert report.has("GPU")
    assert not NodeReport("1", "w1", {"CPU": 8}).has("GPU")


@contextlib.contextmanager
def joined(folder, address, access, code):
    """One more node, of one CPU, that finds raysweep in the folder `code`."""
    log = folder / f"node-{secrets.token_hex(3)}.out"
    ports = ["--min-worker-port=0", "--max-worker-port=0"]
    ray = str(Path(sys.executable).parent / "ray")
    with log.open("wb") as out:
        node = subprocess.Popen(
            [ray, "start", "--block", f"--address={address}", "--num-cpus=1", *ports],
            env={**os.environ, **access, "PYTHONPATH": str(code)},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    with processes.leaving_none(node):
        wait_for("a node of Ray", lambda: "runtime started" in log.read_text() or node.poll() is not None, 90)
        assert node.poll() is None, log.read_text()
        yield


@pytest.fixture
def changed(tmp_path):
    """A folder with another raysweep of the same version: in one file there is a comment more."""
    there = tmp_path / "changed" / "raysweep"
    shutil.copytree(Path(raysweep.__file__).parent, there, ignore=shutil.ignore_patterns("__pycache__"))
    with (there / "core" / "awake.py").open("a") as stream:
        stream.write("# changed\n")
    return there.parent


@pytest.fixture
def work(tmp_path):
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


LAUNCH = ("run", "ablation_alpha", "--preset", "smoke", "--axis", "alpha=0.5,1", "--json")


@pytest.mark.full
@pytest.mark.parametrize("missing", [False, True])
def test_where_all_nodes_have_another_raysweep_or_none_nothing_is_trained(tmp_path, work, changed, missing):
    if missing:  # as one of before the check: its module is not there
        shutil.rmtree(changed / "raysweep" / "engine" / "nodes")
    with ray_head(tmp_path, cpus=0) as (address, access), joined(tmp_path, address, access, changed):
        doctor, launch = run_all(work, [[*LAUNCH, "--doctor", "--address", address], [*LAUNCH, "--address", address]],
                                 **access)  # fmt: skip
    host = socket.gethostname()
    (found,) = doctor.told
    lines = [one["text"] for one in found["findings"] if one["what"] == f"machine {host}"]
    assert doctor.code == 1
    assert any(line.startswith("cannot work: its raysweep is") for line in lines)
    assert [one["can_work"] for one in found["nodes"] if one["devices"]] == [False]
    (told,) = launch.told
    assert (launch.code, told["done"]) == (1, 0)
    assert told["stopped"].startswith(f"no machine can work\n  {host}: its raysweep is {raysweep.__version__} (code ")
    assert "install the same there" in told["unfit_machines"][host]


@pytest.mark.full
def test_a_node_of_another_raysweep_is_left_out_and_the_others_do_all(tmp_path, work, changed):
    with (
        ray_head(tmp_path, cpus=1) as (address, access),
        joined(tmp_path, address, access, changed),
    ):
        (launch,) = run_all(work, [[*LAUNCH, "--address", address]], **access)
    (told,) = launch.told
    assert (launch.code, told["done"]) == (0, 2), launch.stderr
    assert f"machine {socket.gethostname()} is ready: 1 CPU" in launch.stderr
    assert f"machine {socket.gethostname()} cannot work: its raysweep is" in launch.stderr


JOIN = """
import sys
from raysweep.core.errors import UserError
from raysweep.engine.ray_join import join
try:
    join(sys.argv[1], log_to_driver=False, logging_level="ERROR")
except UserError as error:
    print(error)
"""


def test_an_address_where_nobody_is_and_a_cluster_whose_token_is_not_here(tmp_path):
    nobody = f"127.0.0.1:{free_port()}"
    access = {"HOME": str(tmp_path), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "", "RAY_AUTH_TOKEN_PATH": ""}
    said = python(JOIN, nobody, **access)
    assert said.startswith(f"--address {nobody}: cannot join a Ray cluster there (nothing answers at ")
    with socket.socket() as somebody:
        somebody.bind(("", 0))  # Ray takes the loopback for the address of this machine
        somebody.listen()
        said = python(JOIN, f"127.0.0.1:{somebody.getsockname()[1]}", **access)
    assert "the cluster wants a token, and there is none here: copy ~/.ray/auth_token of the cluster's head to" in said
    assert len(said.strip().splitlines()) == 1
    assert "give HOST:PORT" in python(JOIN, "127.0.0.1:head", **access)


def test_a_cluster_that_another_account_of_this_machine_has_started(monkeypatch):
    """Ray would abort the process."""
    monkeypatch.setattr(ray_join, "_raylets", lambda: iter([(1, "127.0.0.1:6379"), (4711, "127.0.0.1:1111")]))
    monkeypatch.setattr(ray_join.os, "geteuid", lambda: 1500)
    monkeypatch.setattr(ray_join, "_check_answers", lambda address: None)
    with pytest.raises(UserError, match=r"--address 127\.0\.0\.1:6379: Ray runs on this machine as daemon, and takes"):
        ray_join.join("127.0.0.1:6379")
    with pytest.raises(PermissionError, match="as user 4711"):
        ray_join._check_account("127.0.0.1:1111")
    ray_join._check_account("127.0.0.1:2222")
    for allowed in (1, 0):
        monkeypatch.setattr(ray_join.os, "geteuid", lambda allowed=allowed: allowed)
        ray_join._check_account("127.0.0.1:6379")


@pytest.mark.full
def test_the_token_of_another_cluster(tmp_path):
    with ray_head(tmp_path, cpus=0) as (address, access):
        accounts = {gcs.rpartition(":")[2]: user for user, gcs in ray_join._raylets()}
        assert accounts[address.rpartition(":")[2]] == os.geteuid()
        (tmp_path / "other").write_text(secrets.token_hex(32))
        said = python(JOIN, address, **{**access, "RAY_AUTH_TOKEN_PATH": str(tmp_path / "other")})
        without = python(JOIN, address, HOME=str(tmp_path), RAY_AUTH_TOKEN="", RAY_AUTH_TOKEN_PATH="", RAY_AUTH_MODE="")
    assert said.startswith(f"--address {address}: the cluster does not accept this token")
    assert len(said.strip().splitlines()) == 1
    assert "wants a token, and there is none here" in without


def test_other_versions_on_the_head():
    from raysweep.engine.ray_join import _why

    error = RuntimeError(
        "Version mismatch: The cluster was started with:\n    Ray: 2.61.0\n    Python: 3.12.1\n"
        "This process on node 1 was started with:\n    Ray: 2.60.0\n    Python: 3.11.7\n"
    )
    assert _why(error, "").startswith("the cluster runs Ray 2.61.0 and Python 3.12.1, this process Ray 2.60.0 and")
