"""Which nodes of a cluster get a launch's work: all are checked first, and each is told of in one line."""

from __future__ import annotations

from collections.abc import Mapping

from raysweep.data.prepare.location import Home, home_place
from raysweep.engine.cluster import ClusterOptions
from raysweep.engine.dispatcher import Dispatcher
from raysweep.engine.storage_access import storage_access

from .check import check_nodes
from .look import Needs


def needs_of(options: ClusterOptions, probe: str) -> Needs:
    """What a launch needs of a node. `probe`: from `Store.probe`."""
    store = options.store
    return Needs(store.url, str(store.local), probe, Home(home_place()).place, storage_access(), options.sets)


def admit_nodes(dispatcher: Dispatcher, options: ClusterOptions, device: str, probe: str, most: float) -> list[str]:
    """Check the nodes of a cluster that a launch has joined, and tell the dispatcher's listener.

    Nodes that cannot work are noted as unfit. Those of other versions are left out for good; the others are tried again
    by processes there. Where no node can work and none may come, the dispatcher is stopped.

    Args:
        device: "GPU" or "CPU", which the work runs on; nodes without one get no work and are not told of.
        most: devices that the cluster may ever have.

    Returns:
        Ray's ids of the nodes that are left out. Empty without a check on this machine's own Ray.
    """
    if options.address is None:
        return []
    reports = [report for report in check_nodes(needs_of(options, probe)) if report.has(device)]
    unfit = {report.host: report.reason for report in reports if not report.can_work}
    dispatcher.outcome.unfit.update(unfit)
    may_come = most > sum(report.devices[device] for report in reports)
    if reports and not may_come and not any(report.can_work for report in reports):
        dispatcher.stop(none_can_work(unfit))
        return []
    for report in reports:
        dispatcher.listener.node_checked(report.host, report.text(), report.can_work)
    return [report.node for report in reports if report.lasting]


def none_can_work(unfit: Mapping[str, str]) -> str:
    """A sentence per host."""
    return "no machine can work\n" + "\n".join(f"  {host}: {reason}" for host, reason in unfit.items())
