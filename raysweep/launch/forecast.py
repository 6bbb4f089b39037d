"""How long a launch will take, before it begins."""

from __future__ import annotations

from dataclasses import dataclass

from raysweep.scheduling.cost_model import Speeds
from raysweep.scheduling.simulation import simulate
from raysweep.study.plan import Plan


@dataclass(frozen=True)
class Forecast:
    """What a launch would take. `unknown`: classes of work, in words, that no launch has measured yet; as long as there
    are any, `device_seconds` (of all devices together) and `wall_seconds` are None. `measured_on`: the devices whose
    speed was taken. `images` to train on, at most: what M_A keeps of an extra set is known later."""

    epochs: int
    images: int
    device_seconds: float | None
    wall_seconds: float | None
    unknown: frozenset[str]
    measured_on: frozenset[str]


def forecast(plan: Plan, speeds: Speeds, devices: int, device: str = "", per_trial: int = 1) -> Forecast:
    """Simulate a plan at measured speed.

    Args:
        devices: how many there are.
        device: what kind, as `FitEvent.device` says it; "" for the kind measured last.
        per_trial: devices that a task runs on.
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
