"""`make test-cluster`: real hosts in namespaces, `ray up cluster-local.yaml`, drills. Needs root on Linux.

python -m tests.cluster [DRILL ...]    default: all
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from tests.cluster import services
from tests.cluster.cluster import Cluster
from tests.cluster.drills import DRILLS
from tests.cluster.expectations import expect, scores
from tests.cluster.hosts import Hosts, HostsError, check_machine

FOLDER = Path(os.environ.get("HOSTS", "/var/tmp/raysweep-hosts"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="make test-cluster", description=__doc__)
    parser.add_argument("drill", nargs="*", metavar="DRILL", help=", ".join(DRILLS))
    parser.add_argument("--keep-base", action="store_true", help="keep the base layer for the next run (1 GB)")
    asked = parser.parse_args()
    if unknown := [name for name in asked.drill if name not in DRILLS]:
        parser.error(f"no drill is called {unknown[0]!r}; there are {', '.join(DRILLS)}")
    hosts = Hosts(FOLDER)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that `finally` takes the hosts down
    try:
        check_machine()
        hosts.down(keep_base=True)
        return run(hosts, asked.drill or list(DRILLS))
    except HostsError as error:
        print(f"test-cluster: {error}", file=sys.stderr)
        return 1
    finally:
        hosts.down(asked.keep_base)


def run(hosts: Hosts, names: list[str]) -> int:
    """Exit code: 0 if every drill ended in the undisturbed table."""
    cluster = Cluster(hosts)
    timed("base layer", hosts.build)
    timed("S3 server and PostgreSQL", lambda: services.start(hosts))
    timed("hosts", cluster.build)
    timed("ray up", cluster.up)
    for step, seconds in cluster.seconds.items():
        print(f"     {step:24} {seconds:6.0f} s", flush=True)
    timed("undisturbed, one host", lambda: undisturbed(cluster))
    reference, failed = scores(cluster, f"s3://{services.BUCKET}/one"), []
    expect(len(reference) == 12, f"the undisturbed launch has {len(reference)} cells instead of 12")
    for name in names:
        began = time.monotonic()
        try:
            verdict = drilled(cluster, name, reference)
        except (AssertionError, HostsError, OSError) as error:
            failed.append(name)
            verdict = f"FAILED: {error}"
        print(
            f"{'FAIL' if name in failed else 'ok':4} {name:24} {time.monotonic() - began:6.0f} s  {verdict}", flush=True
        )
    return 1 if failed else 0


def drilled(cluster: Cluster, name: str, reference: dict[str, set[str]]) -> str:
    """Run a drill and compare its table with the undisturbed one; what the launch said at its end."""
    launch = DRILLS[name](cluster)
    if launch is None:
        return "as expected"
    found = scores(cluster, launch.store)
    expect(len(found) == launch.cells, f"{len(found)} cells instead of {launch.cells}")
    different = sorted(key for key in reference if reference[key] != found.get(key))
    expect(not different, f"{len(different)} of {len(reference)} cells differ: {different[:3]}")
    cluster.head(f"cd ~/drills && python -m raysweep.report ~/drills/{name}.py --out ~/drills/{name} --check")
    return [line.strip() for line in launch.said().splitlines() if "cells done" in line][-1]


def undisturbed(cluster: Cluster) -> None:
    launch = cluster.launch("one", address="")
    expect(launch.wait(600) == 0, launch.said()[-1500:])


def timed(what: str, step: object) -> None:
    began = time.monotonic()
    assert callable(step)
    step()
    print(f"     {what:24} {time.monotonic() - began:6.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
