"""Estimated time of a launch, from measured speeds."""

from __future__ import annotations

from dataclasses import dataclass

from raysweep.scheduling.cost_model import Speeds
from raysweep.scheduling.simulation import simulate
from raysweep.study.plan import Plan


@dataclass(frozen=True)
class Forecast:
    """What a launch would take.

    `unknown`: descriptions of work that no launch has measured; if any, `device_seconds` (summed over devices) and
    `wall_seconds` are None. `measured_on`: the devices whose speeds are used. `images`: upper bound of the images
    trained on, since the part of an extra set that M_A selects is not known yet.
    """

    epochs: int
    images: int
    device_seconds: float | None
    wall_seconds: float | None
    unknown: frozenset[str]
    measured_on: frozenset[str]


def forecast(plan: Plan, speeds: Speeds, devices: int, device: str = "", per_trial: int = 1) -> Forecast:
    """Simulate a plan at measured speeds.

    Args:
        devices: number of devices.
        device: kind of device, as in `FitEvent.device`; "" for the kind measured last.
        per_trial: devices per task.
    """
    costs = speeds.on(device, per_trial)
    images = sum(costs.images.of_task(task) for task in plan.tasks)
    unknown = frozenset[str]().union(*(costs.unknown(task) for task in plan.tasks))
    if unknown:
        return Forecast(plan.epochs_to_train, images, None, None, unknown, costs.devices)
    seconds = {task.key: costs.seconds(task) or 0.0 for task in plan.tasks}
    schedule = simulate(plan.tasks, max(1, devices // per_trial), lambda task: seconds[task.key])
    busy = per_trial * schedule.busy_seconds
    return Forecast(plan.epochs_to_train, images, busy, schedule.wall_seconds, unknown, costs.devices)
