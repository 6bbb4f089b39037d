"""Processes that died because their machine went away (switched off, preempted), which is no fault of their task."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import ray

GRACE = 3.0
"""Seconds within which a machine that shuts down is reported as dead: its processes die first."""

MOST_LOSSES = 10
"""Machines that a trial may lose before further losses count as its own failures."""


def nodes_alive() -> frozenset[str]:
    """Ids of the cluster's machines."""
    return frozenset(node["NodeID"] for node in ray.nodes() if node["Alive"])


class LostNodes:
    """The machines of each trial, and how many of them it has lost."""

    def __init__(self, alive: Callable[[], frozenset[str]] = nodes_alive, grace: float = GRACE) -> None:
        self.alive, self.grace = alive, grace
        self._nodes: dict[str, frozenset[str]] = {}
        self._losses: dict[str, int] = {}

    def began(self, trial_id: str, nodes: Iterable[str]) -> None:
        """The trial works on these machines now. Unknown ids ("") are left out."""
        self._nodes[trial_id] = frozenset(nodes) - {""}

    def lost(self, trial_id: str) -> bool:
        """Whether a trial whose process has just died lost its machine with it. Counts it; waits `grace` to be sure."""
        nodes = self._nodes.pop(trial_id, frozenset())
        until = time.monotonic() + self.grace
        if not nodes:
            return False
        while nodes <= self.alive():
            if time.monotonic() >= until:
                return False
            time.sleep(0.2)
        self._losses[trial_id] = self._losses.get(trial_id, 0) + 1
        return self._losses[trial_id] <= MOST_LOSSES
