"""All of `--doctor`, in the order in which it is printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from raysweep.core.errors import UserError
from raysweep.core.formatting import plural
from raysweep.data.set_content import SetContent, content_of
from raysweep.engine.nodes.check import NodeReport, check_nodes
from raysweep.store.store import Store
from raysweep.study.request import Request
from raysweep.study.sources import check_sources, named_sources

from . import here
from .cluster_file import cluster_files, missing_workers
from .findings import Diagnosis, Finding


@dataclass(frozen=True)
class Asked:
    """The options of a launch that would be made. `requests`: empty without a study; `cluster_file`: for `ray up`."""

    store: str
    requests: Sequence[Request] = ()
    address: str | None = None
    devices_per_trial: int = 1
    tracking: str | None = None
    out: str | None = None
    cluster_file: str | None = None


@dataclass
class _Sets:
    """Data sets of the studies: findings, and what nodes have to have."""

    findings: list[Finding] = field(default_factory=list)
    there: list[SetContent] = field(default_factory=list)


def diagnose(asked: Asked) -> Diagnosis:
    """Check what a launch needs. Trains nothing; writes small files into the store, and joins the cluster at `address`,
    for a moment."""
    sets = _data_sets(asked.requests)
    found = [
        here.versions(),
        *here.store_findings(asked.store),
        here.report_folder(asked.out),
        here.tracking(asked.tracking),
        *sets.findings,
        here.token(asked.address is not None),
        *cluster_files(asked.cluster_file),
    ]
    if asked.address is None:
        return Diagnosis([*found, here.devices(asked.devices_per_trial)])
    if any(finding.level == "fault" and finding.what in ("versions", "store") for finding in found):
        return Diagnosis([*found, Finding("warning", "cluster", "not looked at: mend what is above first")])
    findings, nodes = _on_cluster(asked, sets.there)
    return Diagnosis([*found, *findings], [report.describe() for report in nodes])


def _data_sets(requests: Sequence[Request]) -> _Sets:
    sets = _Sets()
    for request in requests:
        try:
            check_sources(request.study, request.cells, request.changes)
        except UserError as error:
            sets.findings.append(Finding("fault", "data", str(error)))
            continue
        named = {(source, cell.experiment.data.image_size): None for cell in request.cells
                 for _, source in named_sources(cell.experiment)}  # fmt: skip
        for source, size in named:
            try:
                one = content_of(source, size)
            except UserError as error:
                sets.findings.append(Finding("fault", "data", str(error)))
                continue
            sets.there.append(one)
            sets.findings.append(Finding("ok", "data", f"{source}: {one.about}"))
    sets.findings, sets.there = list(dict.fromkeys(sets.findings)), list(dict.fromkeys(sets.there))
    return sets


def _on_cluster(asked: Asked, sets: Sequence[SetContent]) -> tuple[list[Finding], list[NodeReport]]:
    from raysweep.engine.cluster import ClusterOptions, cluster
    from raysweep.engine.nodes.admission import needs_of

    store = Store(asked.store)
    options = ClusterOptions(store, store.local / "data", asked.address, asked.devices_per_trial, sets=sets)
    try:
        with cluster(options, True) as allotment, store.probe() as probe:
            assert allotment is not None
            nodes = check_nodes(needs_of(options, probe))
            device, total = allotment.device, allotment.total
    except UserError as error:
        return [Finding("fault", "cluster", str(error))], []
    missing = missing_workers(asked.cluster_file, {node.address for node in nodes})
    return [*_of_cluster(nodes, device, total, asked.devices_per_trial), *_of_nodes(nodes, device), *missing], nodes


def _of_cluster(nodes: Sequence[NodeReport], device: str, total: int, per_trial: int) -> Iterator[Finding]:
    working = [node for node in nodes if node.has(device)]
    now = sum(node.devices[device] for node in working)
    more = f", up to {plural(total, device)} may come" if total > now else ""
    able = [node for node in working if node.can_work]
    if working and not able and not more:
        yield Finding("fault", "cluster", f"none of {plural(len(working), 'machine')} with a {device} can work")
        return
    yield Finding("ok", "cluster", f"{plural(now, device)} on {plural(len(working), 'machine')}{more}")
    largest = max((node.devices[device] for node in able), default=0)
    if able and per_trial > largest:
        text = (
            f"--devices-per-trial {per_trial}, but no machine has more than {plural(largest, device)}: a cell spans "
            "machines, and every step waits for the network"
        )
        yield Finding("warning", "cluster", text)


def _of_nodes(nodes: Sequence[NodeReport], device: str) -> Iterator[Finding]:
    """A line a machine. One that cannot work is a warning here: the others work without it."""
    for node in nodes:
        what = f"machine {node.host}"
        if not node.has(device):
            yield Finding("ok", what, f"gets no cells: it has no {device}")
        elif node.can_work:
            yield Finding("warning" if node.warnings else "ok", what, node.text())
        else:
            yield Finding("warning", what, f"cannot work: {node.reason}")
