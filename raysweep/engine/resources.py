"""How many devices there are, how many cells run at once, and what each process asks Ray for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from raysweep.core.errors import UserError
from raysweep.core.formatting import plural

DRIVER_CPU = 0.01
"""CPU a trial's driver asks for when its worker group does the work. Zero raises in Ray."""

CPU_WORKER = 0.9
"""CPU a worker of a CPU group asks for: less than one, so that the drivers' 0.01 always fit beside."""


@dataclass(frozen=True)
class Allotment:
    """What a launch may use: `device` is "GPU" or "CPU", `concurrency` cells at a time, `per_cell` devices each."""

    device: str
    total: int
    per_cell: int
    concurrency: int

    @property
    def trial_resources(self) -> dict[str, float]:
        """What Tune reserves for one trial's own process."""
        if self.per_cell > 1:
            return {"CPU": DRIVER_CPU}
        return {"GPU": 1, "CPU": DRIVER_CPU} if self.device == "GPU" else {"CPU": 1}

    @property
    def worker_resources(self) -> dict[str, float]:
        """What Train reserves for each worker of a group."""
        return {"GPU": 1, "CPU": DRIVER_CPU} if self.device == "GPU" else {"CPU": CPU_WORKER}


def allot(now: Mapping[str, float], later: Mapping[str, float], per_cell: int, cells: int) -> Allotment:
    """Divide a cluster among tasks so that nothing waits for something that cannot come.

    Args:
        now: resources of the nodes that are up, by Ray's names.
        later: what the autoscaler may bring them to; empty without one.
        per_cell: devices a cell trains on.
        cells: cells to train.

    Raises:
        UserError: a cell asks for more devices than the cluster has or may ever have.
    """
    capacity = {name: int(max(now.get(name, 0), later.get(name, 0))) for name in ("GPU", "CPU")}
    device = "GPU" if capacity["GPU"] else "CPU"
    total = capacity[device]
    if per_cell < 1:
        raise UserError(f"`devices-per-trial >= 1` must hold, but got {per_cell}")
    if per_cell > total:
        raise UserError(
            f"a trial asks for {per_cell} devices, but the cluster has {plural(total, device)}: "
            f"lower --devices-per-trial to at most {total}, or start more nodes"
        )
    return Allotment(device, total, per_cell, max(1, min(cells, total // per_cell)))
