"""Waits until a cluster has as many devices as a launch asks for."""

from __future__ import annotations

import time
from collections.abc import Callable

import ray
from ray.autoscaler.sdk import request_resources

from raysweep.core.errors import UserError
from raysweep.core.formatting import duration, plural

from .ray_internals import most_resources
from .resources import Allotment, allot_kind

LOOK_EVERY = 1.0
SAY_EVERY = 15.0
LIMIT = 1800.0
"""Seconds after which the launch ends without them. A machine of a cloud takes minutes to come."""


def wait_for_devices(count: int, say: Callable[[str], object]) -> None:
    """Ask the autoscaler, if there is one, for `count` devices, and wait until they are there.

    GPUs as soon as the cluster has one or its autoscaler may bring one; else CPUs.

    Raises:
        UserError: they did not come within `LIMIT`, or are more than the autoscaler may bring.
    """
    began, said, before = time.monotonic(), 0.0, -1
    most = most_resources()
    try:
        while (there := _present(most)).present < count:
            if most and there.total < count:
                raise UserError(
                    f"--wait-for-devices {count}: this cluster has at most {plural(there.total, there.device)}"
                )
            now = time.monotonic()
            if now - began > LIMIT:
                raise UserError(
                    f"--wait-for-devices {count}: the cluster has {plural(there.present, there.device)} after "
                    f"{duration(LIMIT)}; `ray status` shows its machines"
                )
            if before < 0 and most:
                request_resources(bundles=[{there.device: 1}] * count)
            if there.present != before or now - said > SAY_EVERY:
                say(f"waiting for {plural(count, there.device)}: the cluster has {there.present}")
                said, before = now, there.present
            time.sleep(LOOK_EVERY)
    finally:
        if before >= 0 and most:
            request_resources(bundles=[])  # the trials ask for theirs


def _present(most: dict[str, float]) -> Allotment:
    now = ray.cluster_resources()
    return Allotment(allot_kind(now, most), 0, 1, 1).resized(now, most)
