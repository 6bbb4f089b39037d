"""The Ray cluster of a launch: started on this machine or joined, and divided among trials."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from raysweep.store.store import Store

from .interrupt import CtrlC
from .ray_internals import most_resources, session_folder
from .ray_start import join, leave_no_session, start_local
from .resources import Allotment, allot


@dataclass(frozen=True)
class ClusterOptions:
    """Store, cluster address and devices of a launch. `cache`: folder of decoded images; `command`: as typed."""

    store: Store
    cache: Path
    address: str | None = None
    devices_per_trial: int = 1
    command: str = ""


@contextmanager
def cluster(options: ClusterOptions, tasks: int) -> Iterator[Allotment | None]:
    """Join the cluster at `options.address`, or start one on this machine; leave it at the end.

    Yields the devices of the launch; None, without starting Ray, when there are no tasks.

    Raises:
        UserError: no cluster at that address, or a cell needs more devices than it can have.
    """
    if not tasks:
        yield None
        return
    session: Path | None = None
    with redirect_stdout(sys.stderr):  # Ray prints to stdout, which --json needs for its object
        try:
            with CtrlC(lambda: None) as ctrl_c:  # interrupting Ray while it starts may crash it
                _join(options.address)
            if ctrl_c.presses:
                raise KeyboardInterrupt
            here = session_folder()
            yield allot(ray.cluster_resources(), most_resources(), options.devices_per_trial, tasks)
            session = None if options.address else here  # after an error the session is kept for its logs
        finally:
            ray.shutdown()
            if session is not None:
                leave_no_session(session)


def allot_again(options: ClusterOptions, allotment: Allotment | None, tasks: int) -> Allotment | None:
    """Devices of the cluster, joined already, for other tasks; None when there are none."""
    if allotment is None or not tasks:
        return None
    return allot(ray.cluster_resources(), most_resources(), options.devices_per_trial, tasks)


def _join(address: str | None) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # long tracebacks of errors that raysweep reports itself
    if address is None:
        start_local(**quiet)
    else:
        join(address, **quiet)
