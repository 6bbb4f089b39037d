"""Drills with two launches on one store, and with a store in a folder that machines share, or do not."""

from __future__ import annotations

from tests.cluster.cluster import Cluster, Launch
from tests.cluster.expectations import ends, expect
from tests.cluster.hosts import SHARED

SECOND = (
    "cp -r ~ubuntu/raysweep ~ubuntu/.raysweep_env ~ubuntu/.aws ~other/; mkdir -p ~other/.ray; "
    "cp ~ubuntu/.ray/auth_token ~other/.ray/; chown -R other: ~other; chmod 700 ~other/.ray ~other/.aws"
)
"""What another account of the head needs."""


def two_launches(cluster: Cluster) -> Launch:
    """Two launches of one study over one store at once, by one account."""
    return both(cluster.launch("two_launches"), cluster.launch("two_launches"))


def two_accounts(cluster: Cluster) -> Launch:
    """Another account of the head: Ray refuses it, which is said; without the cluster it joins in."""
    cluster.hosts.run("head", SECOND, "root")
    refused = cluster.launch("two_accounts", user="other")  # first: it must have something to do
    ends(refused, 2)
    expect("Ray runs on this machine as ubuntu" in refused.said(), refused.said()[-600:])
    return both(cluster.launch("two_accounts"), cluster.launch("two_accounts", user="other", address=""))


def clock_off(cluster: Cluster) -> Launch:
    """The same, and the clock of the second is five minutes ahead."""
    ahead = "faketime -f +300s"
    return both(cluster.launch("clock_off"), cluster.launch("clock_off", before=ahead))


def both(first: Launch, second: Launch) -> Launch:
    ends(second, 0)
    ends(first, 0)
    trained = [done_by(launch) for launch in (first, second)]
    expect(sum(trained) <= 24, f"{trained} epochs were trained instead of 24: something was done twice")
    return first


def done_by(launch: Launch) -> int:
    """Epochs that a launch has trained, as it says."""
    for line in launch.said().splitlines():
        if " epochs trained in " in line:
            return int(line.partition(" epochs trained")[0].split()[-1])
    return 0


def shared_folder(cluster: Cluster) -> Launch:
    """The store is a folder that all machines have mounted."""
    launch = cluster.launch("shared_folder", store=f"{SHARED}/store")
    ends(launch, 0)
    expect("cannot work" not in launch.said(), launch.said()[-1500:])
    return launch


def not_shared(cluster: Cluster) -> Launch:
    """The store is a folder that only the head has: the other machines are named and get no work."""
    launch = cluster.launch("not_shared", store="/home/ubuntu/store")
    ends(launch, 0)
    for name in ("w1", "w2"):
        expect(f"machine {name} cannot work" in launch.said(), launch.said()[-1500:])
    return launch
