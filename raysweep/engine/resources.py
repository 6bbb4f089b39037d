"""Division of a cluster's devices among cells, and the resources that each process requests from Ray."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from raysweep.core.errors import UserError
from raysweep.core.formatting import plural

DRIVER_CPU = 0.01
"""CPUs requested for a trial's driver whose worker group does the work. Ray refuses zero."""

CPU_WORKER = 0.9
"""CPUs requested for a worker of a CPU group: below one, so that the drivers' 0.01 fit as well."""


@dataclass(frozen=True)
class Allotment:
    """Devices of a launch.

    `device`: "GPU" or "CPU"; `total`: devices there are or the autoscaler may bring; `per_cell`: devices per cell;
    `concurrency`: cells at a time; `present`: devices of the running nodes; `other_gpus`: GPUs in a launch on CPUs.
    """

    device: str
    total: int
    per_cell: int
    concurrency: int
    present: int = 0
    other_gpus: int = 0

    @property
    def devices(self) -> str:
        """Such as "2 GPUs", or "2 GPUs now, at most 8" where an autoscaler may bring more."""
        now = plural(self.present, self.device)
        return now if self.total <= self.present else f"{now} now, at most {self.total}"

    def resized(self, now: Mapping[str, float], later: Mapping[str, float]) -> Allotment:
        """For the cluster as it has become; arguments as for `allot`. The kind of device stays."""
        present = int(now.get(self.device, 0))
        total = max(present, int(later.get(self.device, 0)))
        others = int(now.get("GPU", 0)) if self.device == "CPU" else 0
        at_once = max(1, total // self.per_cell)
        return replace(self, total=total, concurrency=at_once, present=present, other_gpus=others)

    @property
    def trial_resources(self) -> dict[str, float]:
        """Resources that Tune reserves for a trial's own process."""
        if self.per_cell > 1:
            return {"CPU": DRIVER_CPU}
        return {"GPU": 1, "CPU": DRIVER_CPU} if self.device == "GPU" else {"CPU": 1}

    @property
    def worker_resources(self) -> dict[str, float]:
        """Resources that Train reserves for each worker of a group."""
        return {"GPU": 1, "CPU": DRIVER_CPU} if self.device == "GPU" else {"CPU": CPU_WORKER}


def allot(now: Mapping[str, float], later: Mapping[str, float], per_cell: int) -> Allotment:
    """Divide a cluster among cells so that no cell waits for devices that cannot come.

    Args:
        now: resources of the running nodes, by Ray's names.
        later: maximum resources of the autoscaler; empty without one.
        per_cell: devices per cell.

    Raises:
        UserError: a cell needs more devices than the cluster can have.
    """
    if per_cell < 1:
        raise UserError(f"`devices-per-trial >= 1` must hold, but got {per_cell}")
    allotment = Allotment(allot_kind(now, later), 0, per_cell, 1).resized(now, later)
    if not allotment.total:
        raise UserError(
            "the cluster has no device: start its workers (`ray status` shows what there is), or let the launch wait "
            "for them with --wait-for-devices N"
        )
    if per_cell > allotment.total:
        raise UserError(
            f"a trial needs {per_cell} devices, but the cluster has {plural(allotment.total, allotment.device)}: "
            f"lower --devices-per-trial to at most {allotment.total}, or start more nodes"
        )
    return allotment


def allot_kind(now: Mapping[str, float], later: Mapping[str, float]) -> str:
    """The kind of device that a launch uses: "GPU" where there is one or may come one, else "CPU"."""
    return "GPU" if max(now.get("GPU", 0), later.get("GPU", 0)) >= 1 else "CPU"
