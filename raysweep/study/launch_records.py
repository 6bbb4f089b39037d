"""What each launch refers to, kept in the store: so that one can say later what is stale, and what nobody needs.

A launch leaves `studies/<study>/<launch>.json.gz` with its cells and every stage of theirs that the store may keep;
a search leaves its trials in `<launch>.trials.json.gz`. Stages stand there once, with the stages that they are
computed from, so a record of 100,000 stages takes seconds and a few megabytes.

Several records may name the same cell (study, preset, data, arm, replicate) under different keys. Where the user asked
for another configuration (`--set`), all of these keys are live: every one can be asked for again. Where numerics of the
code or a fingerprint of the data have moved since, the older key is superseded. Both are compared record by record: a
record has the versions of all kinds of stages in it, not those of each cell. Of the trials of a search, those that its
newest record lists are live.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from raysweep.core.errors import UserError
from raysweep.core.notices import passed_over
from raysweep.core.versioned import NewerRecord
from raysweep.pipeline.stage import Stage
from raysweep.store.store import Store

from .identity import SetIdentity
from .launch_record import ENDING, BadRecord, CellEntry, LaunchRecord, Slot, record_of
from .plan import Plan


@dataclass(frozen=True)
class Superseded:
    """A cell computed before code or data moved; `reason` says which. `record` is the older launch's."""

    record: LaunchRecord
    entry: CellEntry
    reason: str

    @property
    def key(self) -> str:
        return self.record.key(self.entry)


@dataclass(frozen=True)
class Leftovers:
    """What the store holds that a plan cannot use: (cell, reason) of `stale` ones, and what no study refers to."""

    stale: Sequence[tuple[str, str]]
    orphans: int
    orphan_bytes: int


def write_record(store: Store, plan: Plan, launch: str) -> None:
    """Leave the record of a launch, before it computes anything. Raises StoreUnusable."""
    finals = [(cell.arm.name, cell.replicate, plan.finals[cell.key]) for cell in plan.cells]
    _write(store, record_of(plan.study_name, plan.preset, launch, plan.used, finals, plan.study.origin.file))


def write_trials(
    store: Store,
    study: str,
    preset: str,
    launch: str,
    used: Sequence[SetIdentity],
    trials: Iterable[tuple[str, int, Stage]],
    study_file: str = "",
) -> None:
    """Leave the trials of a search, all that its study has so far. Those of an older launch no longer count.

    Args:
        used: the scored set first, then others.
        trials: arm, number and last stage of each.
    """
    _write(store, replace(record_of(study, preset, launch, used, trials, study_file), trials=True))


def has_launch(store: Store, study: str, launch: str) -> bool:
    """Whether a launch of a study, by name, has left a record in this store."""
    return any(name.startswith(f"{launch}.") for name in store.files.names(f"studies/{study}"))


def read_records(
    store: Store, study: str | None = None, broken: dict[str, UserError] | None = None
) -> list[LaunchRecord]:
    """Every record, oldest first; of one study or of all. Files that cannot be used are passed over, which is said, and
    put into `broken` with what is wrong with them: a `NewerRecord` or a `BadRecord`."""
    studies = store.files.names("studies") if study is None else [study]
    names = [f"studies/{own}/{name}" for own in studies for name in store.files.names(f"studies/{own}")]
    contents = store.files.read_all(name for name in names if name.endswith(ENDING))
    missing = [name for name in names if name.endswith(ENDING) and name not in contents]
    found, bad = [], dict.fromkeys(missing, UserError("it is no file"))
    for name, content in contents.items():
        try:
            record = LaunchRecord.unpacked(content, name)
        except (BadRecord, NewerRecord) as error:
            passed_over(f"{store.url}/{name}", str(error))
            bad[name] = error
        else:
            stored = store.files.changed(name)
            found.append(replace(record, stored=record.time if stored is None else stored))
    if broken is not None:
        broken |= dict(sorted(bad.items()))
    return sorted(found, key=_launched)


def live(records: Iterable[LaunchRecord]) -> list[tuple[LaunchRecord, list[CellEntry]]]:
    """Records with those of their entries that count, each key of a cell in the newest record that has it.

    Of a cell every configuration that was asked for counts, as long as neither code nor data have moved since; of
    trials those of the newest record. Clocks of machines differ, and copying a store changes its files' times: what is
    newer must be so by the clock of the launches and by the store's, else both count.
    """
    known = sorted(records, key=_launched)
    kept = set().union(*(_live_by(known, clock) for clock in _CLOCKS))
    named: set[tuple[object, ...]] = set()  # the same cell in two records, if clocks disagree: in the newer one
    found: dict[str, list[CellEntry]] = {}
    for record in reversed(known):
        mine = [entry for entry in record.entries if (record.file, entry) in kept]
        names = {entry: (record.trials, record.slot(entry), record.key(entry)) for entry in mine}
        found[record.file] = [entry for entry in mine if names[entry] not in named]
        named.update(names.values())
    return [(own, found[own.file]) for own in known if found[own.file] or (own.trials and not own.entries)]


def _launched(record: LaunchRecord) -> tuple[float, str]:
    return record.time, record.launch


def _stored(record: LaunchRecord) -> tuple[float, float, str]:
    return record.stored, record.time, record.launch


Clock = Callable[[LaunchRecord], tuple[Any, ...]]
_CLOCKS: tuple[Clock, Clock] = (_launched, _stored)


def _live_by(records: Sequence[LaunchRecord], clock: Clock) -> set[tuple[str, CellEntry]]:
    """What counts if this clock is right, by file and entry."""
    newest: dict[Slot, LaunchRecord] = {}
    cells: dict[tuple[Slot, str], tuple[LaunchRecord, CellEntry]] = {}
    trials: dict[tuple[str, ...], LaunchRecord] = {}
    for record in sorted(records, key=clock):
        if record.trials:
            trials[record.study, record.study_file, record.preset, record.source] = record
        else:
            newest.update((record.slot(entry), record) for entry in record.entries)
            cells.update(((record.slot(entry), record.key(entry)), (record, entry)) for entry in record.entries)
    found = {(record.file, entry) for record in trials.values() for entry in record.entries}
    for (slot, _), (record, entry) in cells.items():
        if record is newest[slot] or not _moved(record, newest[slot]):
            found.add((record.file, entry))
    return found


def live_keys(records: Iterable[LaunchRecord]) -> set[str]:
    """Keys of everything that some study refers to."""
    return {key for record, entries in live(records) for key in record.below(entries)}


def superseded(records: Iterable[LaunchRecord]) -> list[Superseded]:
    """Cells of older records whose key differs from the newest record's because code or data moved; each key once. What
    is newer is so by the clock of the launches and by the store's."""
    known = list(records)
    by_launch, by_store = (_superseded_by(known, clock) for clock in _CLOCKS)
    return [own for name, own in by_launch.items() if name in by_store]


def future(records: Iterable[LaunchRecord], now: float, tolerance: float) -> list[tuple[LaunchRecord, float]]:
    """Records from later than `now` (by the store's clock), and by how many seconds; later than the tolerance."""
    found = [(record, max(record.time, record.stored) - now) for record in records]
    return [(record, ahead) for record, ahead in found if ahead > tolerance]


def _superseded_by(records: Sequence[LaunchRecord], clock: Clock) -> dict[tuple[Slot, str], Superseded]:
    newest: dict[Slot, tuple[LaunchRecord, CellEntry]] = {}
    found: dict[tuple[Slot, str], Superseded] = {}
    for record in sorted(records, key=clock, reverse=True):
        for entry in () if record.trials else record.entries:
            slot = record.slot(entry)
            now, entry_now = newest.setdefault(slot, (record, entry))
            key = record.key(entry)
            if key == now.key(entry_now) or (slot, key) in found:
                continue
            if reason := _moved(record, now):
                found[slot, key] = Superseded(record, entry, reason)
    return found


def stale(records: Iterable[LaunchRecord], plan: Plan) -> list[Superseded]:
    """Cells of a plan that were computed before its code or data moved: their products are of no use to it."""
    planned = _record_of_plan(plan)
    keys = {planned.slot(entry): planned.key(entry) for entry in planned.entries}
    found = []
    for record, entries in live(record for record in records if not record.trials):
        for entry in entries:
            key = keys.get(record.slot(entry))
            if key in (None, record.key(entry)):
                continue
            if reason := _moved(record, planned):
                found.append(Superseded(record, entry, reason))
    return found


def leftovers(store: Store, plan: Plan) -> Leftovers:
    """What the store holds that a plan cannot use, and what no study refers to."""
    records = read_records(store)
    old = stale(records, plan)
    there = store.present(cell.key for cell in old)
    held = sizes_by_key(store)
    needed = live_keys(records) | set(_record_of_plan(plan).stages)
    orphans = held.keys() - needed
    named = [(cell.entry.name, cell.reason) for cell in old if cell.key in there]
    return Leftovers(named, len(orphans), sum(held[key] for key in orphans))


def sizes_by_key(store: Store, folder: str = "stages") -> dict[str, int]:
    """Bytes of every product (or, of `partial`, of every piece of unfinished work), by key."""
    totals: dict[str, int] = {}
    for name, size in store.files.sizes(folder).items():
        key = name.partition("/")[0]
        totals[key] = totals.get(key, 0) + size
    return totals


def _record_of_plan(plan: Plan) -> LaunchRecord:
    finals = [(cell.arm.name, cell.replicate, plan.finals[cell.key]) for cell in plan.cells]
    return record_of(plan.study_name, plan.preset, "", plan.used, finals, plan.study.origin.file)


def _moved(old: LaunchRecord, new: LaunchRecord) -> str:
    """Which code or data moved between two records of a cell; "" if none did: then only its configuration differs."""
    moved = [kind for kind, version in new.numerics.items() if old.numerics.get(kind, version) != version]
    data = [name for name in new.fingerprints if _other_content(name, old, new)]
    reasons = []
    if moved:
        reasons.append(f"code changed ({', '.join(moved)})")
    if data:
        reasons.append(f"data changed ({', '.join(data)})")
    return ", ".join(reasons)


def _other_content(name: str, old: LaunchRecord, new: LaunchRecord) -> bool:
    """Whether a data set of this name holds something else now. One from another place is another data set, and one of
    which more or less was taken is another configuration."""
    if name not in old.fingerprints or old.sources.get(name, name) != new.sources.get(name, name):
        return False
    before, now = (record.fingerprints[name].split(" ")[0] for record in (old, new))
    return before != now


def _write(store: Store, record: LaunchRecord) -> None:
    store.mark()
    store.files.write(record.file, record.packed())
