"""Division of a cluster's devices among cells, and the resources that each process requests from Ray."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from raysweep.core.errors import UserError
from raysweep.core.formatting import plural

DRIVER_CPU = 0.01
"""CPUs requested for a trial's driver whose worker group does the work. Ray refuses zero."""

CPU_WORKER = 0.9
"""CPUs requested for a worker of a CPU group: below one, so that the drivers' 0.01 fit as well."""


@dataclass(frozen=True)
class Allotment:
    """Devices of a launch. `device`: "GPU" or "CPU"; `concurrency`: cells at a time; `per_cell`: devices per cell."""

    device: str
    total: int
    per_cell: int
    concurrency: int

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


def allot(now: Mapping[str, float], later: Mapping[str, float], per_cell: int, cells: int) -> Allotment:
    """Divide a cluster among tasks so that no task waits for devices that cannot come.

    Args:
        now: resources of the running nodes, by Ray's names.
        later: maximum resources of the autoscaler; empty without one.
        per_cell: devices per cell.
        cells: cells to train.

    Raises:
        UserError: a cell needs more devices than the cluster can have.
    """
    capacity = {name: int(max(now.get(name, 0), later.get(name, 0))) for name in ("GPU", "CPU")}
    device = "GPU" if capacity["GPU"] else "CPU"
    total = capacity[device]
    if per_cell < 1:
        raise UserError(f"`devices-per-trial >= 1` must hold, but got {per_cell}")
    if per_cell > total:
        raise UserError(
            f"a trial needs {per_cell} devices, but the cluster has {plural(total, device)}: "
            f"lower --devices-per-trial to at most {total}, or start more nodes"
        )
    return Allotment(device, total, per_cell, max(1, min(cells, total // per_cell)))
