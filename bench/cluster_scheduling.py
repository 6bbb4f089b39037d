"""What a second machine costs: a sweep on two Ray nodes of one CPU each against the same sweep on one node of two.

60 short cells (`ablation_noise_rate`, preset smoke, 5 replicates). Each node's processes are pinned to cores of their
own; the driver may use both. All nodes are on this machine and share one folder as store, so network and disks do not
count. The two kinds take turns; every sweep begins with a new cluster and an empty store, and `result.json` of every
cell must be the same. `loss` is the median of the ratios two nodes / one node, minus 1; seconds are those of the
engine, from the first task to the last. `driver_cpu_s_per_cell`: user and system time of the launch's process, with
planning, MLflow and the report. Prints one JSON line; exits with 1 if the loss is 10 % or more.

    python -m bench.cluster_scheduling [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import ray

CELLS = 60
MOST_LOSS = 0.10
TIMES = {"seconds", "hours", "began", "ended", "device", "host"}
"""Keys of result.json that differ between equal cells."""

KINDS = {"one node of two CPUs": [(2, "0,1")], "two nodes of one CPU": [(1, "0"), (1, "1")]}
"""CPUs and cores of each node."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="sweeps of each kind; default 3")
    asked = parser.parse_args()
    if (os.cpu_count() or 1) < 2:
        parser.error("needs two cores")
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    driver: dict[str, list[float]] = {kind: [] for kind in KINDS}
    results = []
    for _ in range(asked.rounds):
        for kind, nodes in KINDS.items():
            with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
                with cluster(nodes, Path(folder)) as address:
                    took, cpu = sweep(address, Path(folder))
                results.append(scores(Path(folder) / "store"))
            seconds[kind].append(took)
            driver[kind].append(cpu)
            print(f"{kind}: {took:.1f} s, driver {cpu:.1f} CPU s", file=sys.stderr)
    if len(results[0]) != CELLS or any(found != results[0] for found in results):
        raise SystemExit(f"the sweeps differ, or have other than {CELLS} cells")
    one, two = KINDS
    loss = statistics.median(b / a for a, b in zip(seconds[one], seconds[two], strict=True)) - 1
    print(json.dumps({
        "bench": "cluster_scheduling",
        "cells": CELLS,
        "loss": round(loss, 3),
        "one_node_s": [round(value, 1) for value in seconds[one]],
        "two_nodes_s": [round(value, 1) for value in seconds[two]],
        "driver_cpu_s_per_cell": {kind: round(statistics.median(driver[kind]) / CELLS, 3) for kind in KINDS},
        "machine": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "ray": ray.__version__,
    }))  # fmt: skip
    return int(loss >= MOST_LOSS)


@contextmanager
def cluster(nodes: list[tuple[int, str]], folder: Path) -> Iterator[str]:
    """A head without CPUs, and nodes on these cores; the head's address."""
    port = free_port()
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32), RAY_USAGE_STATS_ENABLED="0")
    head = ["--head", f"--port={port}", "--num-cpus=0", "--include-dashboard=false", f"--temp-dir={folder}/ray"]
    with ExitStack() as running:
        running.enter_context(node("0,1", head))
        for cpus, cores in nodes:
            running.enter_context(node(cores, [f"--address=127.0.0.1:{port}", f"--num-cpus={cpus}"]))
        yield f"127.0.0.1:{port}"


@contextmanager
def node(cores: str, options: list[str]) -> Iterator[None]:
    """`ray start` on these cores. At the end all its processes are gone."""
    program = str(Path(sys.executable).parent / "ray")
    ports = ["--min-worker-port=0", "--max-worker-port=0", "--object-store-memory=150000000"]
    words = ["taskset", "-c", cores, program, "start", "--block", *ports, *options]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            said = []
            assert process.stdout is not None
            for line in process.stdout:
                said.append(line)
                if "Ray runtime started" in line:
                    break
            else:
                raise SystemExit(f"ray start failed: {''.join(said)[-500:]}")
            yield
        finally:
            process.terminate()  # `ray start --block` stops its processes


def sweep(address: str, folder: Path) -> tuple[float, float]:
    """Seconds of the engine, and CPU seconds of the launch's process."""
    words = [sys.executable, "-m", "raysweep.run", "ablation_noise_rate", "--preset", "smoke", "--seeds", "5", "--json"]
    places = ["--address", address, "--store", f"{folder}/store", "--out", f"{folder}/report"]
    tracking = ["--tracking", f"sqlite:///{folder}/mlflow.db"]
    with (folder / "launch.log").open("wb") as log, (folder / "errors.log").open("wb") as errors:
        process = subprocess.Popen([*words, *places, *tracking], stdout=log, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
    text = (folder / "launch.log").read_text()
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"the launch failed: {(folder / 'errors.log').read_text()[-1000:]}")
    told: dict[str, Any] = json.loads(text)
    return float(told["seconds"]), usage.ru_utime + usage.ru_stime


def scores(store: Path) -> dict[str, Any]:
    """`result.json` of every cell, without times and machines."""
    return {file.parent.name: lasting(json.loads(file.read_text())) for file in store.glob("stages/*/result.json")}


def lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: lasting(inner) for key, inner in value.items() if key not in TIMES}
    return [lasting(inner) for inner in value] if isinstance(value, list) else value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
