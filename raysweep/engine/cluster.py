"""The Ray cluster of a launch: started on this machine or joined, and divided among trials."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from raysweep.data.set_content import SetContent
from raysweep.store.store import Store

from .device_wait import wait_for_devices
from .interrupt import CtrlC
from .ray_internals import keep_cluster_messages, most_resources, native_errors_into, session_folder
from .ray_join import join
from .ray_start import asks_for_token, leave_no_session, start_local, told
from .resources import Allotment, allot

NATIVE_ERRORS = "ray.err"
"""File of a launch's local folder with what Ray's C++ code reports, such as lost connections."""


@dataclass(frozen=True)
class ClusterOptions:
    """Store, cluster address and devices of a launch.

    `cache`: folder of decoded images; `wait_for`: devices that the cluster must have before work begins; `command`: as
    typed; `sets`: data sets that every node of a cluster must have.
    """

    store: Store
    cache: Path
    address: str | None = None
    devices_per_trial: int = 1
    wait_for: int = 0
    command: str = ""
    sets: Sequence[SetContent] = ()


@contextmanager
def cluster(
    options: ClusterOptions, has_tasks: bool, say: Callable[[str], object] = print
) -> Iterator[Allotment | None]:
    """Join the cluster at `options.address`, or start one on this machine; leave it at the end.

    Yields the devices of the launch; None, without starting Ray, when there are no tasks. `say` prints what it waits
    for.

    Raises:
        UserError: no cluster at that address, or a cell needs more devices than it can have.
    """
    if not has_tasks:
        yield None
        return
    session: Path | None = None
    with redirect_stdout(sys.stderr):  # Ray prints to stdout, which --json needs for its object
        try:
            with CtrlC(lambda: None) as ctrl_c:  # interrupting Ray while it starts may crash it
                _join(options)
            if ctrl_c.presses:
                raise KeyboardInterrupt
            here = session_folder()
            if options.wait_for:
                wait_for_devices(options.wait_for, say)
            yield allot(ray.cluster_resources(), most_resources(), options.devices_per_trial)
            session = None if options.address else here  # after an error the session is kept for its logs
        finally:
            ray.shutdown()
            _drop_if_empty(options.store.local / NATIVE_ERRORS)
            if session is not None:
                leave_no_session(session)


def resized(allotment: Allotment) -> Allotment:
    """The same for the cluster as it is now."""
    return allotment.resized(ray.cluster_resources(), most_resources())


def _join(options: ClusterOptions) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # long tracebacks of errors that raysweep reports itself
    keep_cluster_messages(told)
    errors = options.store.local / NATIVE_ERRORS
    with native_errors_into(errors):
        if options.address is None:
            start_local(**quiet)
        else:
            asks_for_token()
            join(options.address, errors, **quiet)


def _drop_if_empty(file: Path) -> None:
    with suppress(OSError):
        if not file.stat().st_size:
            file.unlink()
