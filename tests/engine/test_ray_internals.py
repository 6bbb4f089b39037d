"""Whether what raysweep uses of Ray's private parts is still there, and still does what it is used for.

Where only a whole launch shows it, the launches do: `tests/test_secrets_of_launches.py` (listens on loopback, variables
and command line), `tests/test_end_to_end.py` (a worker group's reports), `tests/faults/test_killed_workers.py` (lost
workers).
"""

import importlib
import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import ray
import ray.train.v2._internal.execution.controller as train_controller
from packaging.requirements import Requirement
from ray._private import ray_constants
from ray._private import utils as ray_utils
from ray._private import worker as ray_worker
from ray._raylet import AuthenticationTokenLoader
from ray.exceptions import RayActorError
from ray.train._internal import session
from ray.tune.execution import class_cache, tune_controller
from ray.tune.experiment import Trial

from raysweep.engine import ray_internals, ray_start

ROOT = Path(__file__).parents[2]

USED = {
    "ray._raylet:InnerGcsClient.report_cluster_config": "cluster.yaml cannot say how far it may grow",
    "ray.core.generated.autoscaler_pb2:ClusterConfig": "cluster.yaml cannot say how far it may grow",
    "ray._private.state:state.get_max_resources_from_cluster_config": "a cluster without GPUs yet counts as CPUs",
    "ray._private.services:canonicalize_bootstrap_address_or_die": "cluster.yaml does not find the head",
    "ray.autoscaler.v2.instance_manager.ray_installer:RayInstaller.install_ray": "workers do not get the token",
    "ray.autoscaler._private.commands:get_or_create_head_node": "whether `ray up` sends the token first is not tested",
    "ray.autoscaler._private.aws.config:bootstrap_aws": "whether AWS opens port 22 alone is not tested",
    "ray._raylet:AuthenticationTokenLoader.instance": "Ray does not read a token that was just made",
    "ray._private.authentication.authentication_token_generator:generate_new_authentication_token": "no token is made",
    "ray._private.ray_constants:ENABLE_RAY_CLUSTER": "a local Ray listens on every interface",
    "ray._private.utils:get_entrypoint_name": "passwords of the command line are in Ray's job table",
    "ray.tune.execution.class_cache:ENV_VARS_TO_PROPAGATE": "keys of object storage are in Ray's logs",
    "ray._private.worker:print_to_stdstream": "a lost node prints paragraphs",
    "ray.train._internal.session:get_session": "a group's last reports are lost",
    "ray.train.v2._internal.exceptions:WorkerHealthCheckFailedError": "a lost worker of a group fails its cell",
}
"""Private parts of Ray that raysweep or cluster.yaml rely on, and what breaks without them."""


@pytest.mark.parametrize("place", USED)
def test_this_breaks_without(place):
    module, _, names = place.partition(":")
    found = importlib.import_module(module)
    for name in names.split("."):
        assert hasattr(found, name), f"{place} is gone: {USED[place]}"
        found = getattr(found, name)


def test_ray_stays_below_the_next_version():
    """Raise the limit when all tests pass with it, those named in this file's heading and test_cluster_yaml.py too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    asked = [found for found in (Requirement(line) for lines in lists for line in lines) if found.name == "ray"]
    (pinned,) = re.findall(r"(?m)^ray==(\S+)$", (ROOT / "constraints.txt").read_text())
    assert len(asked) == 2
    for one in asked:
        assert one.specifier.contains(pinned)
        assert one.specifier.contains(ray.__version__)
        assert not one.specifier.contains("2.61.0")


def test_the_command_line_that_ray_writes_down_is_changed_and_put_back(monkeypatch):
    monkeypatch.setattr(ray_utils, "get_entrypoint_name", lambda: "run --store s3://me:hidden@b")
    with ray_internals.command_line(lambda words: words.replace("hidden", "***")):
        assert ray_utils.get_entrypoint_name() == "run --store s3://me:***@b"
    assert ray_utils.get_entrypoint_name() == "run --store s3://me:hidden@b"


def test_ray_takes_clusters_for_unsupported_while_it_starts_on_loopback_and_not_after():
    before = ray_constants.ENABLE_RAY_CLUSTER
    with ray_internals.on_loopback():
        assert ray_constants.ENABLE_RAY_CLUSTER is False
    assert ray_constants.ENABLE_RAY_CLUSTER is before


def test_tune_asks_the_list_that_variables_are_taken_from(monkeypatch):
    monkeypatch.setattr(ray_internals, "ENV_VARS_TO_PROPAGATE", names := {"AWS_SECRET_ACCESS_KEY", "OTHER"})
    ray_internals.keep_from_workers(["AWS_SECRET_ACCESS_KEY", "UNKNOWN"])
    assert names == {"OTHER"}
    assert "ENV_VARS_TO_PROPAGATE" in inspect.getsource(class_cache) + inspect.getsource(tune_controller)
    assert not class_cache.ENV_VARS_TO_PROPAGATE & {"UNKNOWN"}


def test_a_token_is_one_that_ray_accepts(monkeypatch):
    token = ray_internals.new_token()
    monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    ray_internals.forget_token()
    assert len(token) >= 32
    assert AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True)
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    ray_internals.forget_token()


def test_a_trial_has_the_queue_that_group_reports_come_by():
    assert "_get_or_create_inter_actor_queue" in dir(session._TrainSession)
    assert hasattr(train_controller, "TrainController")


def test_a_running_ray_says_where_its_session_is_and_how_far_it_could_grow():
    code = """
import json, os
from raysweep.engine import ray_internals, ray_start
ray_start.start_local(log_to_driver=False, num_cpus=1)
folder = ray_internals.session_folder()
print(json.dumps([folder.is_dir(), (folder / "logs").is_dir(), ray_internals.most_resources(),
                  (folder.parent / ray_internals.SESSION_LATEST).resolve() == folder.resolve()]))
import ray
ray.shutdown()
ray_start.leave_no_session(folder)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [True, True, {}, True]


def test_what_ray_says_of_its_cluster_is_printed_as_the_launch_wants(monkeypatch, capsys):
    monkeypatch.setattr(ray_worker, "print_to_stdstream", ray_worker.print_to_stdstream)
    ray_internals.keep_cluster_messages(ray_start.told)
    lost = "The node with node id: 4d1f and address: 10.0.0.2 has been marked dead because the detector has missed"
    full = "2 Workers killed due to memory pressure (OOM)"
    raylet = "Raylet is terminated. Termination is unexpected. Possible reasons include: (1)\n    [state-dump] x"
    died = (
        "A worker died or was killed while executing a task by an unexpected system error. To troubleshoot the problem"
    )
    for message in (lost, died, full, raylet):
        ray_worker.print_to_stdstream({"lines": [message], "pid": "raylet", "is_err": False}, ignore_prefix=False)
    said = capsys.readouterr().out
    assert "marked dead" not in said
    assert "worker died" not in said
    assert full in said
    assert "Termination is unexpected" in said
    assert "state-dump" not in said
    assert 'pid": "raylet"' in inspect.getsource(ray_worker.listen_error_messages)
    assert "print_to_stdstream(" in inspect.getsource(ray_worker.listen_error_messages)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds Ray's processes in /proc")
def test_errors_of_rays_native_code_go_into_a_file_and_not_to_stderr(tmp_path):
    """A lost control store is what it reports by itself."""
    code = """
import os, signal, subprocess, sys, time
from pathlib import Path
from raysweep.engine import ray_internals, ray_start
with ray_internals.native_errors_into(Path(sys.argv[1])):
    ray_start.start_local(log_to_driver=False, logging_level="ERROR", num_cpus=1)
session = str(ray_internals.session_folder())
(server,) = [p for p in subprocess.run(["pgrep", "gcs_server"], capture_output=True, text=True).stdout.split()
             if session in Path(f"/proc/{p}/cmdline").read_text()]
print("Python's", file=sys.stderr, flush=True)
os.kill(int(server), signal.SIGKILL)
time.sleep(100)
"""
    env = {**os.environ, "RAY_gcs_rpc_server_reconnect_timeout_s": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "ray.err")], capture_output=True, text=True, timeout=150, env=env
    )
    assert done.returncode != 0
    assert "Failed to connect to GCS" in (tmp_path / "ray.err").read_text()
    assert "Python's" in done.stderr
    assert "GCS" not in done.stderr


def test_a_failure_that_is_taken_back_leaves_tune_its_restarts():
    trial = Trial("nothing", stub=True, max_failures=1)
    for _ in range(5):
        trial._handle_ray_actor_error(RayActorError())
        assert trial.should_recover()
        ray_internals.uncount_failure(trial)
    trial._handle_ray_actor_error(RayActorError())
    trial._handle_ray_actor_error(RayActorError())
    assert not trial.should_recover()
