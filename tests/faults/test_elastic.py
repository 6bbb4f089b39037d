"""A cluster that starts with no device at all: its autoscaler brings machines when a launch asks for them."""

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from tests.faults import processes
from tests.faults.launches import run, wait_for
from tests.faults.records import outcome

pytestmark = [
    pytest.mark.full,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

ROOT = Path(__file__).parents[2]

NODES = {
    "head": {"resources": {}, "node_config": {}, "max_workers": 0},
    "machine": {"resources": {"CPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": 2},
}

UNUSED = {
    **{name: {} for name in ("auth", "docker", "file_mounts", "head_node", "worker_nodes")},
    **{name: [] for name in ("cluster_synced_files", "rsync_exclude", "rsync_filter", "initialization_commands")},
    **{name: [] for name in ("setup_commands", "head_setup_commands", "worker_setup_commands")},
    **{name: [] for name in ("head_start_ray_commands", "worker_start_ray_commands")},
    "file_mounts_sync_continuously": False,
}
"""What `ray up` would fill in."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Address of a head without CPUs and with Ray's simulated machines, in a session of its own.

    `ray.cluster_utils.AutoscalingCluster` would first stop every Ray on this machine, whoever's it is.
    """
    address = f"127.0.0.1:{free_port()}"
    config = {
        "cluster_name": "elastic",
        "max_workers": 2,
        "provider": {
            "type": "fake_multinode",
            "gcs_address": address,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "available_node_types": NODES,
        "head_node_type": "head",
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": 5,
        **UNUSED,
    }
    file = tmp_path / "elastic.json"
    file.write_text(json.dumps(config))
    (tmp_path / "token").write_text(secrets.token_hex(32))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")  # for the head, its machines and whoever joins
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    with tempfile.TemporaryDirectory(prefix="ray-") as place:  # not Ray's own: others' launches look there for it
        parts = [f"--port={address.split(':')[1]}", f"--temp-dir={place}", f"--autoscaling-config={file}"]
        with processes.leaving_none(start_head(parts, tmp_path / "head.out")) as head:
            said = (tmp_path / "head.out").read_text
            wait_for("Ray's head", lambda: "runtime started" in said() or head.poll() is not None, 90, said)
            assert head.poll() is None, said()
            report_limits(config, address, tmp_path)
            yield address


def report_limits(config: dict[str, object], address: str, home: Path) -> None:
    """Tell Ray how large the cluster may grow, with the very lines that a head runs by `cluster.yaml`."""
    commands = yaml.safe_load((ROOT / "cluster.yaml").read_text())["head_start_ray_commands"]
    script = next(words.split("<<'PY'\n")[1].rpartition("PY")[0] for words in commands if "<<'PY'" in words)
    (home / "ray_bootstrap_config.yaml").write_text(json.dumps(config))  # where `ray up` leaves it
    here = {**os.environ, "HOME": str(home), "RAY_ADDRESS": address}
    subprocess.run([sys.executable, "-c", script], env=here, check=True, capture_output=True)


def start_head(words: list[str], said: Path) -> subprocess.Popen:
    quick = {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    ports = ["--min-worker-port=0", "--max-worker-port=0", "--include-dashboard=false"]
    with said.open("wb") as out:
        return subprocess.Popen(
            [str(Path(sys.executable).parent / "ray"), "start", "--head", "--block", "--num-cpus=0", *ports, *words],
            env={**os.environ, **quick},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def test_a_launch_gets_its_machines_from_the_autoscaler(cluster, fresh):
    parts = ("ablation_alpha", "--preset", "smoke", "--json", "--axis", "alpha=0.5,1", "--address", cluster)
    ended = run(fresh, *parts)
    assert ended.told["done"] == 2
    assert {cell.state for cell in outcome(fresh, "ablation_alpha").values()} == {"complete"}
