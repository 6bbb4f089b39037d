"""What a drill expects of a launch, and what of a store must be equal to an undisturbed one's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from bench.cluster_scheduling import lasting
from tests.cluster.cluster import Cluster, Launch, results

Drill = Callable[[Cluster], Launch | None]
"""Disturbs a launch; the launch whose table must be the undisturbed one's, or None if it has checked all itself."""


def ends(launch: Launch, code: int) -> None:
    """Raises AssertionError unless the launch ends with this exit code."""
    ended = launch.wait(420)
    expect(ended == code, f"exit code {ended} instead of {code}: {launch.said()[-1500:]}")


def expect(true: bool, otherwise: str) -> None:
    if not true:
        raise AssertionError(otherwise)


def hosts_of(manifests: Iterable[str]) -> set[str]:
    """The machines that wrote these products."""
    return {str(json.loads(text).get("host", "")) for text in manifests}


def scores(cluster: Cluster, store: str) -> dict[str, set[str]]:
    """`result.json` of every cell without what differs between launches of equal cells; twins must be equal."""
    found = results(cluster.hosts, store)
    return {key: {json.dumps(lasting(json.loads(text))) for text in texts} for key, texts in found.items()}
