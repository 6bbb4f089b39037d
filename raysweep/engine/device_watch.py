"""Follows the devices of a cluster, up and down, while a launch runs on it."""

from __future__ import annotations

import time

import ray

from raysweep.core.formatting import duration, plural

from .cluster import resized
from .dispatcher import Dispatcher
from .resources import Allotment

LOOK_EVERY = 1.0
"""Seconds between two looks at the cluster."""

WAIT_WITHOUT_DEVICES, WAIT_FOR_AUTOSCALER = 600.0, 3600.0
"""Seconds after which a launch ends that has no device at all: none may come, or an autoscaler may bring one."""


class DeviceWatch:
    """Tells the dispatcher and its listener of the devices of the cluster whenever they change.

    Ends the launch when there has been no device for too long.
    """

    def __init__(self, dispatcher: Dispatcher, allotment: Allotment) -> None:
        self.dispatcher, self.allotment = dispatcher, allotment
        self._looked = time.monotonic()
        self._none_since: float | None = None
        self._numbers = {allotment.present}
        self._tell()

    def look(self) -> Allotment:
        """The devices as they are now; at most every `LOOK_EVERY` seconds a call of Ray."""
        if time.monotonic() - self._looked > LOOK_EVERY:
            self._looked = time.monotonic()
            if (now := resized(self.allotment)) != self.allotment:
                self.allotment = now
                self._numbers.add(now.present)
                self._tell()
            self._stop_without_devices()
        return self.allotment

    def machines(self) -> int:
        """Machines of the cluster that have devices of the launch's kind."""
        return sum(node["Alive"] and node["Resources"].get(self.allotment.device, 0) >= 1 for node in ray.nodes())

    def _tell(self) -> None:
        most = plural(max(self._numbers), self.allotment.device)
        self.dispatcher.outcome.devices = most if len(self._numbers) == 1 else f"up to {most}"
        self.dispatcher.resize(self.allotment.total)
        self.dispatcher.listener.devices(self.allotment)

    def _stop_without_devices(self) -> None:
        if self.allotment.present:
            self._none_since = None
            return
        self._none_since = self._none_since or self._looked
        patience = WAIT_FOR_AUTOSCALER if self.allotment.total else WAIT_WITHOUT_DEVICES
        if self._looked - self._none_since > patience:
            missing, since = self.allotment.device, duration(patience)
            self.dispatcher.stop(f"the cluster has had no {missing} for {since}: `ray status` shows its machines")
