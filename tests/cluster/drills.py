"""All drills by name, in the order in which they run."""

from __future__ import annotations

from tests.cluster.bad_input import bad_input
from tests.cluster.expectations import Drill
from tests.cluster.faults import (
    cable_out,
    database_restarted,
    disk_full,
    head_killed,
    machine_added,
    mlflow_restarted,
    plain,
    preempted,
    raylet_killed,
    store_refuses,
    store_slow,
    worker_killed,
)  # fmt: skip
from tests.cluster.open_ports import open_ports
from tests.cluster.sharing import clock_off, not_shared, shared_folder, two_accounts, two_launches

DRILLS: dict[str, Drill] = {
    drill.__name__: drill
    for drill in (
        plain, open_ports, bad_input, shared_folder, not_shared, machine_added, disk_full, mlflow_restarted,
        database_restarted, store_refuses, store_slow, two_launches, two_accounts, clock_off, cable_out, worker_killed,
        preempted, raylet_killed, head_killed,
    )
}  # fmt: skip
