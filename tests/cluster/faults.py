"""Drills on a cluster of hosts that fail, or whose services do: each must end in the table of an undisturbed launch."""

from __future__ import annotations

import time

from tests.cluster import services
from tests.cluster.cluster import HEAD, PATIENCE, WORKERS, Cluster, Launch, results
from tests.cluster.expectations import ends, expect, hosts_of


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


def mlflow_restarted(cluster: Cluster) -> Launch:
    """The MLflow server is killed and comes back 20 s later."""
    launch = cluster.launch("mlflow_restarted")
    launch.wait_until_cells(2)
    cluster.head("pkill -KILL -f 'mlflow[ .]server|uvicorn'")
    time.sleep(20)
    cluster.start_mlflow()
    ends(launch, 0)
    return launch


def machine_added(cluster: Cluster) -> Launch:
    """A third worker joins in mid-sweep and is used."""
    cluster.set_up("w3")
    launch = cluster.launch("machine_added", "--seeds 3")  # long enough for the first process there to import torch
    launch.cells = 36
    launch.wait_until_cells(1)
    cluster.join("w3")
    ends(launch, 0)
    cluster.hosts.stop("w3")
    used = {
        host for texts in results(cluster.hosts, launch.store, "manifest.json").values() for host in hosts_of(texts)
    }
    expect("w3" in used, f"the new machine was not used: {sorted(used)}: {launch.said()[-1500:]}")
    return launch


def preempted(cluster: Cluster) -> Launch:
    """A spot machine: SIGTERM in all its processes, off 30 s later. No restart of a cell is used up."""
    launch = cluster.launch("preempted")
    launch.wait_until_cells(2)
    cluster.hosts.run("w1", "kill -TERM -1", "root", check=False)
    time.sleep(30)
    cluster.hosts.stop("w1")
    ends(launch, 0)
    cluster.switch_on("w1", WORKERS["w1"])
    cluster.up()
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
