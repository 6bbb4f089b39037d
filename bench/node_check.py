"""How long a launch looks at the nodes of a cluster before its first cell: eight Ray nodes on this machine.

Cold: no process has been started on any node yet, and all eight are started on this machine's cores; on machines of
their own they start at the same time. Warm: the same check again. Prints one JSON line.

    python -m bench.node_check [--nodes 8]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import ray

from bench.cluster_scheduling import cluster
from raysweep.data.prepare.location import Home, home_place
from raysweep.data.set_content import SetContent
from raysweep.engine.nodes.check import check_nodes
from raysweep.engine.nodes.look import Needs
from raysweep.engine.ray_internals import forget_token, read_settings_again
from raysweep.engine.storage_access import storage_access
from raysweep.store.store import Store


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=8, metavar="N", help="default 8")
    asked = parser.parse_args()
    cores = ",".join(str(core) for core in range(os.cpu_count() or 1))
    with (
        tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name,
        cluster([(1, cores)] * asked.nodes, Path(name)) as address,
    ):
        read_settings_again()  # of the token, which `cluster` has made
        forget_token()
        ray.init(address, logging_level="ERROR", log_to_driver=False)
        store = Store(f"{name}/store")
        faces = SetContent("faces", 32, "", "drawn")
        with store.probe() as probe:
            needs = Needs(store.url, str(store.local), probe, Home(home_place()).place, storage_access(), [faces])
            seconds = [checked(needs, asked.nodes + 1) for _ in range(3)]
        ray.shutdown()
    figures = {"bench": "node_check", "nodes": asked.nodes, "cold_s": seconds[0], "warm_s": seconds[1:]}
    print(json.dumps({**figures, "machine": platform.machine(), "cpus": os.cpu_count(), "ray": ray.__version__}))
    return 0


def checked(needs: Needs, nodes: int) -> float:
    """Seconds of one check, in which every node, the head with them, must be fit."""
    began = time.perf_counter()
    reports = check_nodes(needs)
    if len(reports) != nodes or not all(report.can_work and report.versions for report in reports):
        raise SystemExit(f"not all nodes can work: {[report.text() for report in reports]}")
    return round(time.perf_counter() - began, 2)


if __name__ == "__main__":
    sys.exit(main())
