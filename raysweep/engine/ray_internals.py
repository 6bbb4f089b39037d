"""All uses of private Ray APIs, which Ray 2 has no public way for. `tests/engine/test_ray_internals.py` checks them."""

from __future__ import annotations

import ctypes
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants, services
from ray._private import utils as ray_utils
from ray._private import worker as ray_worker
from ray._private.state import state
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]
from ray.exceptions import RayActorError, RpcError
from ray.train._internal.session import get_session
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError
from ray.tune.execution.class_cache import ENV_VARS_TO_PROPAGATE
from ray.tune.experiment import Trial

SESSION_LATEST: str = ray_constants.SESSION_LATEST
"""Name of the link to the newest session's folder, in the same folder."""

LOST_WORKER = (RayActorError, WorkerHealthCheckFailedError)
"""Exceptions in Train's `worker_failures` for a worker that died instead of raising."""

CLUSTER = "raylet"
"""Where Ray says messages about the cluster come from."""

_print_to_stdstream = ray_worker.print_to_stdstream

PASSING = 1.0
"""Maximum seconds for a report to pass from one queue to the next within a process."""


def most_resources() -> dict[str, float]:
    """Maximum resources of the autoscaler, by Ray's names; empty without an autoscaler."""
    return dict(state.get_max_resources_from_cluster_config() or {})


def session_folder() -> Path:
    """Folder of the running Ray's logs and sockets."""
    return Path(ray._private.worker._global_node.get_session_dir_path())


def bootstrap_address(address: str) -> str | None:
    """Host and port of a cluster's control service ("auto": of the cluster of this machine); None for "local".

    Raises:
        ConnectionError: "auto" where no cluster is known.
        ValueError: not an address.
    """
    place: str | None = services.canonicalize_bootstrap_address(address)
    return place


def raylet_connection() -> socket.socket:
    """An open connection to this machine's raylet, without blocking."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(ray._private.worker._global_node.raylet_socket_name)
    connection.setblocking(False)
    return connection


def gcs_answers(seconds: int) -> bool:
    """Whether the cluster's control service, on its head, answers within so many seconds."""
    try:
        ray._private.worker.global_worker.gcs_client.internal_kv_get(b"raysweep", None, timeout=seconds)
    except RpcError:
        return False
    return True


def gcs_address() -> str:
    """Host and port of the cluster's control service."""
    return str(ray._private.worker._global_node.gcs_address)


def keep_from_workers(variables: Iterable[str]) -> None:
    """Stop Tune from passing these environment variables to workers: Ray writes them into its logs."""
    ENV_VARS_TO_PROPAGATE.difference_update(variables)


def read_settings_again() -> None:
    """Make Ray read its `RAY_*` variables again; it has read them at import."""
    Config.initialize("")


def uncount_failure(trial: Trial) -> None:
    """Take back the failure that Tune has just counted for a trial which it starts again."""
    trial.run_metadata.num_failures -= 1


def new_token() -> str:
    """A token for Ray's token mode."""
    from ray._private.authentication.authentication_token_generator import generate_new_authentication_token

    return str(generate_new_authentication_token())


def forget_token() -> None:
    """Make Ray read the token file again."""
    AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def on_loopback() -> Iterator[None]:
    """Make Ray bind to 127.0.0.1 instead of all interfaces.

    It does so only where it takes clusters for unsupported; the argument `_node_ip_address` is not used.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def command_line(changed: Callable[[str], str]) -> Iterator[None]:
    """Apply `changed` to the command line that Ray writes into its job table and logs."""
    before = ray_utils.get_entrypoint_name
    ray_utils.get_entrypoint_name = lambda: changed(before())
    try:
        yield
    finally:
        ray_utils.get_entrypoint_name = before


@contextmanager
def native_errors_into(file: Path) -> Iterator[None]:
    """Within the block, what Ray's C++ code starts to log to stderr goes into a file for good: it takes the C library's
    stream when Ray connects. Python's stderr stays. Does nothing where that stream or the file cannot be opened."""
    library = ctypes.CDLL(None)
    library.fopen.restype = ctypes.c_void_p
    try:
        stderr = ctypes.c_void_p.in_dll(library, "stderr")
    except ValueError:  # another C library
        yield
        return
    before, opened = stderr.value, library.fopen(os.fsencode(file), b"ae")
    if opened is None:
        yield
        return
    library.setvbuf(ctypes.c_void_p(opened), None, 1, 0)  # by line
    stderr.value = opened
    try:
        yield
    finally:
        stderr.value = before


def keep_cluster_messages(keep: Callable[[str], str]) -> None:
    """Pass what Ray tells drivers about its cluster (lost nodes, a full memory) through `keep`; "" prints nothing."""

    def print_kept(data: dict[str, Any], ignore_prefix: bool) -> None:
        if data.get("pid") == CLUSTER:
            data = {**data, "lines": [line for line in map(keep, data["lines"]) if line]}
        if data["lines"]:
            _print_to_stdstream(data, ignore_prefix)

    ray_worker.print_to_stdstream = print_kept


def wait_for_group_reports() -> None:
    """Wait until the last reports of a group's Train workers have reached Tune.

    Train forwards them through a queue to the trial's main thread, which puts them into the one-slot queue of
    `tune.report`. Only that thread drains it: reporting before it is empty deadlocks.
    """
    session = get_session()
    assert session is not None
    queue, end = session._get_or_create_inter_actor_queue(), time.monotonic() + 10 * PASSING
    while not queue.empty() and time.monotonic() < end:  # a stopped trial takes no more reports
        time.sleep(0.05)
    time.sleep(PASSING)  # a report may be out of the first queue but not in the second yet
