"""`status`: done, failed, unfinished and missing cells of every recorded study, and running launches."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from raysweep.core.errors import unknown_name
from raysweep.core.formatting import duration, plural, size
from raysweep.store.lease_holders import Holder, Watch
from raysweep.store.leases import PRESENCE
from raysweep.store.store import Store
from raysweep.study.launch_record import CellEntry, LaunchRecord
from raysweep.study.launch_records import live, read_records, sizes_by_key
from raysweep.study.plan import failures


@dataclass(frozen=True)
class StudyStatus:
    """One study at one preset on one data set. `cells`: number over all launched configurations.

    `hosts`: machine by name of a done cell, where it is known; `failed`: cause by cell name; `bytes`: size of all
    products that the study refers to.
    """

    study: str
    preset: str
    data: str
    launch: str
    time: float
    cells: int
    done: int
    hosts: Mapping[str, str]
    failed: Mapping[str, str]
    unfinished: Sequence[str]
    missing: Sequence[str]
    trials: int
    bytes: int

    def lines(self) -> list[str]:
        """As text."""
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.time))
        counts = [f"{self.done} of {plural(self.cells, 'cell')} done"]
        counts += [f"{len(self.failed)} failed"] if self.failed else []
        counts += [f"{len(self.unfinished)} unfinished"] if self.unfinished else []
        counts += [f"{len(self.missing)} missing"] if self.missing else []
        counts += [plural(self.trials, "search trial")] if self.trials else []
        causes, hosts = Counter(self.failed.values()), Counter(self.hosts.values())
        return [
            f"{self.study}, {self.preset}, {self.data}: {', '.join(counts)}; {size(self.bytes)}",
            f"    last launch {self.launch}, {when}",
            *([f"    computed on {', '.join(f'{host} ({n})' for host, n in sorted(hosts.items()))}"] if hosts else []),
            *(f"    failed: {cause} ({n} x)" for cause, n in causes.most_common()),
            *([f"    unfinished, with a checkpoint: {', '.join(self.unfinished)}"] if self.unfinished else []),
        ]


@dataclass(frozen=True)
class Living:
    """A running launch. `since`: seconds since 1970; `leases`: number of stages that it has reserved."""

    name: str
    owner: str
    since: float
    leases: int

    def line(self) -> str:
        reserved = f", {plural(self.leases, 'stage')} reserved" if self.leases else ""
        return f"running: {self.owner}, for {duration(time.time() - self.since)}{reserved}"


@dataclass(frozen=True)
class Status:
    """Result of `--status`."""

    store: str
    products: int
    bytes: int
    studies: Sequence[StudyStatus]
    launches: Sequence[Living]

    def text(self) -> str:
        lines = [f"store {self.store}: {plural(self.products, 'product')}, {size(self.bytes)}"]
        lines += [line for study in self.studies for line in study.lines()]
        lines += [launch.line() for launch in self.launches] or ["no launch is running"]
        return "\n".join(lines)

    def json(self) -> dict[str, Any]:
        return asdict(self)


def status(store: Store, study: str | None = None) -> Status:
    """The status of one study, or of all. Writes nothing.

    Raises:
        UserError: the store has no record of this study.
    """
    records = read_records(store)
    studies = {record.study for record in records}
    if study is not None and study not in studies:
        raise unknown_name("study in the store", study, studies)
    held = sizes_by_key(store)
    groups: dict[tuple[str, str, str], list[tuple[LaunchRecord, list[CellEntry]]]] = {}
    for record, entries in live(record for record in records if study in (None, record.study)):
        groups.setdefault((record.study, record.preset, record.source), []).append((record, entries))
    marks = Marks.of(store, (record.key(entry) for group in groups.values() for record, es in group for entry in es))
    found = [study_status(group, held, marks) for _, group in sorted(groups.items())]
    found = _with_sources(found, [source for _, _, source in sorted(groups)])
    return Status(store.url, len(held), sum(held.values()), found, living(store, Watch(store).holders()))


def _with_sources(told: Sequence[StudyStatus], sources: Sequence[str]) -> list[StudyStatus]:
    """Adds the source to data sets that share a name."""
    names = Counter((one.study, one.preset, one.data) for one in told)
    return [
        replace(one, data=f"{one.data} ({source})") if names[one.study, one.preset, one.data] > 1 else one
        for one, source in zip(told, sources, strict=True)
    ]


def living(store: Store, holders: Iterable[Holder]) -> list[Living]:
    """The launches that hold leases, with their numbers of reserved stages."""
    claims: dict[str, list[str]] = {}
    for key, tokens in Watch(store).all_claims().items():
        for token in tokens:
            claims.setdefault(token, []).append(key)
    found = []
    for holder in holders:
        keys = claims.get(holder.token, [])
        names = [key.removeprefix(PRESENCE) for key in keys if key.startswith(PRESENCE)]
        found.append(Living(names[0] if names else "", holder.description, holder.since, len(keys) - len(names)))
    return found


@dataclass(frozen=True)
class Marks:
    """States of keys in the store: done (on a machine, "" if unknown), failed with a cause, or with a checkpoint."""

    done: Mapping[str, str]
    failed: Mapping[str, str]
    unfinished: frozenset[str]

    @classmethod
    def of(cls, store: Store, keys: Iterable[str]) -> Marks:
        wanted = set(keys)
        done = store.hosts(wanted)
        noted = failures(store, wanted - done.keys())
        failed = {key: str(facts.get("cause", "unknown")) for key, facts in noted.items()}
        return cls(done, failed, frozenset(store.files.names("partial")))


def study_status(
    group: Sequence[tuple[LaunchRecord, list[CellEntry]]], held: Mapping[str, int], marks: Marks
) -> StudyStatus:
    """Status of one study at one preset on one data set, from its records with their live entries."""
    done, hosts, failed, unfinished, missing, trials = 0, {}, {}, [], [], 0
    refers: set[str] = set()
    for record, entries in group:
        refers |= record.below(entries)
        trials += len(entries) if record.trials else 0
        for entry in () if record.trials else entries:
            key = record.key(entry)
            if key in marks.done:
                done += 1
                if host := marks.done[key]:
                    hosts[entry.name] = host
            elif key in marks.failed:
                failed[entry.name] = marks.failed[key]
            elif marks.unfinished and not marks.unfinished.isdisjoint(record.below([entry])):
                unfinished.append(entry.name)
            else:
                missing.append(entry.name)
    last = group[-1][0]
    cells = done + len(failed) + len(unfinished) + len(missing)
    total = sum(held.get(key, 0) for key in refers)
    parts = (last.study, last.preset, last.data, last.launch, last.time)
    return StudyStatus(*parts, cells, done, hosts, failed, unfinished, missing, trials, total)
