"""`cluster-local.yaml` against Ray's own schema; `make test-cluster` runs it on hosts."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("jsonschema")

from ray.autoscaler._private.util import prepare_config, validate_config

from raysweep.launch.doctor.cluster_file import worker_addresses
from tests.cluster.cluster import WORKERS, filled_in

FILE = Path(__file__).resolve().parent.parent / "cluster-local.yaml"
COMMANDS = ("setup_commands", "head_setup_commands", "worker_setup_commands", "head_start_ray_commands",
            "worker_start_ray_commands")  # fmt: skip


@pytest.fixture
def config() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return read


def test_ray_accepts_it_as_it_is_and_filled_in(config: dict[str, Any]) -> None:
    for each in (config, yaml.safe_load(filled_in(FILE.read_text(), list(WORKERS.values())))):
        validate_config(prepare_config(each))


def test_what_makes_workers_come_is_there(config: dict[str, Any]) -> None:
    """Without a key `ray up` ends well and no worker comes; autoscaler v2 starts one of two."""
    assert config["auth"]["ssh_private_key"]
    [head] = [command for command in config["head_start_ray_commands"] if "ray start" in command]
    assert "RAY_enable_autoscaler_v2=0" in head
    assert worker_addresses(str(FILE)) == config["provider"]["worker_ips"]


def test_ray_asks_for_the_token_and_mlflow_listens_on_the_loopback(config: dict[str, Any]) -> None:
    starts = config["head_start_ray_commands"] + config["worker_start_ray_commands"]
    assert all("RAY_AUTH_MODE=token" in command for command in starts if "ray start" in command)
    assert "--host 127.0.0.1" in str(starts)
    assert "0.0.0.0" not in FILE.read_text()


def test_bash_can_read_its_commands_and_its_files_are_here(config: dict[str, Any]) -> None:
    for kind in COMMANDS:
        for command in config[kind]:
            assert subprocess.run(["bash", "-n", "-c", command], capture_output=True).returncode == 0, command
    for place in config["file_mounts"].values():
        assert place.startswith("~") or (FILE.parent / place).exists(), place


def test_the_lines_to_change_are_few_and_marked() -> None:
    assert FILE.read_text().count("CHANGE:") <= 8
