"""Drills on a cluster of hosts: each disturbs a launch and expects the table of an undisturbed one on one machine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from tests.cluster import services
from tests.cluster.cluster import HEAD, PATIENCE, WORKERS, Cluster, Launch, results

Drill = Callable[[Cluster], Launch]
TIMES = {"seconds", "hours", "began", "ended", "device", "host"}
"""Keys of result.json that differ between launches of equal cells."""


def plain(cluster: Cluster) -> Launch:
    launch = cluster.launch("plain")
    ends(launch, 0)
    return launch


def worker_killed(cluster: Cluster) -> Launch:
    """A worker's host is switched off in the middle of a sweep, and comes back later."""
    launch = cluster.launch("worker_killed")
    launch.wait_until_cells(2)
    cluster.hosts.stop("w1")
    ends(launch, 0)
    cluster.switch_on("w1", WORKERS["w1"])
    cluster.up()
    return launch


def cable_out(cluster: Cluster) -> Launch:
    """A worker's cable is out for 60 s, also to the store."""
    launch = cluster.launch("cable_out")
    launch.wait_until_cells(2)
    cluster.hosts.cut("w2")
    time.sleep(60)
    cluster.hosts.mend("w2")
    ends(launch, 0)
    cluster.up()
    return launch


def store_refuses(cluster: Cluster) -> Launch:
    """The object store answers 503 for 30 s."""
    launch = cluster.launch("store_refuses")
    launch.wait_until_cells(2)
    services.fault(cluster.hosts, "503")
    time.sleep(30)
    services.fault(cluster.hosts)
    if launch.wait(300) != 0:  # it may end, if it says why; the same command goes on
        expect("run the same command again" in launch.said() or "To continue:" in launch.said(), launch.said()[-600:])
        launch = cluster.launch("store_refuses")
        ends(launch, 0)
    return launch


def store_slow(cluster: Cluster) -> Launch:
    """Every answer of the object store takes 2 s, for a minute."""
    launch = cluster.launch("store_slow")
    launch.wait_until_cells(1)
    services.fault(cluster.hosts, "slow")
    time.sleep(60)
    services.fault(cluster.hosts)
    ends(launch, 0)
    return launch


def database_restarted(cluster: Cluster) -> Launch:
    """PostgreSQL behind MLflow is killed and started again."""
    launch = cluster.launch("database_restarted")
    launch.wait_until_cells(2)
    services.restart_database(cluster.hosts)
    ends(launch, 0)
    return launch


def disk_full(cluster: Cluster) -> Launch:
    """A worker's own disk is full: the others do its work."""
    cluster.hosts.run("w1", "dd if=/dev/zero of=~/ballast bs=1M status=none; true", seconds=300)
    launch = cluster.launch("disk_full")
    try:
        ends(launch, 0)
    finally:
        cluster.hosts.run("w1", "rm ~/ballast")
    return launch


def raylet_killed(cluster: Cluster) -> Launch:
    """The head's raylet dies: the launch ends within a minute and says so; after `ray up` it goes on."""
    launch = cluster.launch("raylet_killed")
    launch.wait_until_cells(2)
    cluster.head("kill -KILL $(pgrep -x raylet)")
    began = time.monotonic()
    ends(launch, 1)
    expect(time.monotonic() - began < 60 * PATIENCE, f"it took {time.monotonic() - began:.0f} s")
    expect("(raylet) has died" in launch.said() and "To continue:" in launch.said(), launch.said()[-600:])
    cluster.up()
    launch = cluster.launch("raylet_killed")
    ends(launch, 0)
    return launch


def head_killed(cluster: Cluster) -> Launch:
    """The head's host is switched off and on; `ray up` again, and the same command goes on."""
    launch = cluster.launch("head_killed")
    launch.wait_until_cells(2)
    cluster.hosts.stop("head")
    launch.process.wait()
    cluster.switch_on(*HEAD)
    cluster.up()
    launch = cluster.launch("head_killed")
    ends(launch, 0)
    return launch


def two_launches(cluster: Cluster) -> Launch:
    """Two launches of one study over one store at once, by one account."""
    first, second = cluster.launch("two_launches"), cluster.launch("two_launches")
    ends(second, 0)
    ends(first, 0)
    return first


DRILLS: dict[str, Drill] = {
    drill.__name__: drill
    for drill in (
        plain, disk_full, database_restarted, store_refuses, store_slow, two_launches, cable_out, worker_killed,
        raylet_killed, head_killed,
    )
}  # fmt: skip


def ends(launch: Launch, code: int) -> None:
    """Raises AssertionError unless the launch ends with this exit code."""
    ended = launch.wait(420)
    expect(ended == code, f"exit code {ended} instead of {code}: {launch.said()[-1500:]}")


def expect(true: bool, otherwise: str) -> None:
    if not true:
        raise AssertionError(otherwise)


def scores(cluster: Cluster, store: str) -> dict[str, set[str]]:
    """`result.json` of every cell without what differs between launches of equal cells; twins must be equal."""
    found = results(cluster.hosts, store)
    return {key: {json.dumps(_lasting(json.loads(text))) for text in texts} for key, texts in found.items()}


def _lasting(value: object) -> object:
    if isinstance(value, dict):
        return {key: _lasting(inner) for key, inner in value.items() if key not in TIMES}
    return [_lasting(inner) for inner in value] if isinstance(value, list) else value
