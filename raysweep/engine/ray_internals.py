"""Every use of what Ray calls private, in one place: `tests/engine/test_ray_internals.py` says when one of them moves.

Each is here because Ray 2 has no public way to it. The environment variables that Ray reads are public.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import ray
from ray._private import ray_constants
from ray._private import utils as ray_utils
from ray._private.state import state
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]
from ray.exceptions import RayActorError
from ray.train._internal.session import get_session
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError
from ray.tune.execution.class_cache import ENV_VARS_TO_PROPAGATE

SESSION_LATEST: str = ray_constants.SESSION_LATEST
"""Name of the link to the newest session's folder, beside it."""

LOST_WORKER = (RayActorError, WorkerHealthCheckFailedError)
"""What Train's `worker_failures` hold for a worker that died rather than raised."""

PASSING = 1.0
"""Seconds that a report may take from a queue to its place, both in one process."""


def most_resources() -> dict[str, float]:
    """What the autoscaler may scale up to, by Ray's names of resources; empty without an autoscaler."""
    return dict(state.get_max_resources_from_cluster_config() or {})


def session_folder() -> Path:
    """Where the running Ray keeps its logs and sockets."""
    return Path(ray._private.worker._global_node.get_session_dir_path())


def keep_from_workers(variables: Iterable[str]) -> None:
    """Tune does not pass these environment variables on to its workers: Ray writes those into its logs."""
    ENV_VARS_TO_PROPAGATE.difference_update(variables)


def read_settings_again() -> None:
    """Ray reads its `RAY_*` variables when it is imported; this makes it read them now."""
    Config.initialize("")


def new_token() -> str:
    """A token for Ray's token mode."""
    from ray._private.authentication.authentication_token_generator import generate_new_authentication_token

    return str(generate_new_authentication_token())


def forget_token() -> None:
    """The token file has changed: it is read again."""
    AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def on_loopback() -> Iterator[None]:
    """Ray binds to its node's address, and to every interface unless that is 127.0.0.1. It takes that address itself
    where it thinks clusters unsupported, and from no argument: `_node_ip_address` is looked up again."""
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def command_line(changed: Callable[[str], str]) -> Iterator[None]:
    """Ray writes the command line of whoever starts or joins it into its job table and logs: as `changed` gives it."""
    before = ray_utils.get_entrypoint_name
    ray_utils.get_entrypoint_name = lambda: changed(before())
    try:
        yield
    finally:
        ray_utils.get_entrypoint_name = before


def wait_for_group_reports() -> None:
    """Return when what a group's Train workers reported last has reached Tune.

    Train forwards their reports through a queue to the trial's main thread, which puts them into the one-slot queue
    that `tune.report` uses, too, and which that thread alone drains: reporting before it is empty deadlocks.
    """
    session = get_session()
    assert session is not None
    queue, end = session._get_or_create_inter_actor_queue(), time.monotonic() + 10 * PASSING
    while not queue.empty() and time.monotonic() < end:  # a trial that was stopped takes nothing any more
        time.sleep(0.05)
    time.sleep(PASSING)  # taken from the first queue, not yet in the second
