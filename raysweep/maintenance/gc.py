"""`collect`: what a store holds, by study, and what can be removed because nothing refers to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raysweep.core.errors import UserError
from raysweep.core.formatting import duration, plural, size
from raysweep.core.versioned import NewerRecord
from raysweep.store.formats import newer_file
from raysweep.store.lease_holders import Holder, Watch
from raysweep.store.leases import PRESENCE
from raysweep.store.store import Store
from raysweep.study.launch_record import LaunchRecord
from raysweep.study.launch_records import future, live, read_records, sizes_by_key, superseded

from .garbage import PRODUCTS, Pile, piles
from .status import Living, living

FUTURE_SECONDS = 60.0
"""Seconds that a record may be ahead of the store's clock."""

UNRECORDED = (
    "these products belong to no recorded study: an older version made them, or they were copied here",
    "launch their studies again to record them; existing products are not computed again",
    "nothing was removed; --yes works once a study is recorded",
)


@dataclass(frozen=True)
class Held:
    """Products that only one study refers to; `study` is "" for products of several studies."""

    study: str
    products: int
    bytes: int

    @property
    def name(self) -> str:
        return self.study or "shared by several studies"


@dataclass(frozen=True)
class Collection:
    """Result of `--gc`.

    `stale`: (study, cell, reason) of products made by old code or from old data. `recorded`: whether the store has a
    launch record; without one, needed products are unknown and none is removed.
    """

    store: str
    held: Sequence[Held]
    piles: Sequence[Pile]
    stale: Sequence[tuple[str, str, str]]
    launches: Sequence[Living]
    deleted: bool
    recorded: bool

    @property
    def bytes(self) -> int:
        return sum(pile.bytes for pile in self.piles)

    def text(self) -> str:
        """As text."""
        lines = [f"store {self.store} holds, counting each product once:"]
        lines += [f"  {own.products:>7} products  {size(own.bytes):>7}  {own.name}" for own in self.held]
        lines += [launch.line() for launch in self.launches]
        if self.held and not self.recorded:
            return "\n".join([*lines, *UNRECORDED])
        if not self.piles:
            return "\n".join([*lines, "nothing to remove"])
        lines.append("removed:" if self.deleted else "can be removed:")
        lines += [f"  {len(pile.names):>7} {pile.what}  {size(pile.bytes)}" for pile in self.piles]
        reasons = Counter((study, reason) for study, _, reason in self.stale)
        lines += [f"          stale: {plural(n, 'cell')} of {study}, {why}" for (study, why), n in reasons.items()]
        if not self.deleted:
            lines.append(f"nothing was removed; add --yes to remove {size(self.bytes)}")
        return "\n".join(lines)

    def json(self) -> dict[str, Any]:
        return {
            "store": self.store,
            "held": [{"study": own.study, "products": own.products, "bytes": own.bytes} for own in self.held],
            "removable": [{"what": p.what, "names": list(p.names), "bytes": p.bytes} for p in self.piles],
            "stale": [{"study": study, "cell": cell, "reason": why} for study, cell, why in self.stale],
            "launches": [{"name": own.name, "owner": own.owner, "since": own.since} for own in self.launches],
            "bytes": self.bytes,
            "deleted": self.deleted,
            "recorded": self.recorded,
        }


def collect(store: Store, delete: bool = False, watch: Watch | None = None) -> Collection:
    """What the store holds and what can be removed; `delete` removes it.

    Products that a running launch refers to or has reserved are kept. Deleting first waits for the heartbeats of
    launches on other machines.

    Raises:
        UserError: with `delete`, if a running launch has no record yet, there is no record at all, a record is
            unreadable or from the future, or a newer raysweep wrote it or a file to be removed. Nothing is removed.
    """
    watch = watch or Watch(store)
    holders = watch.surely_living() if delete else watch.holders()
    launches = living(store, holders)
    broken: dict[str, UserError] = {}
    records = read_records(store, broken=broken)
    held = sizes_by_key(store)
    if delete:
        _check_readable(store, broken)
        _check_past(store, records)
        _check_known(launches, records, held)
    needed = _needed(records, launches)
    reserved = _reserved(watch, holders)
    found = piles(store, held, needed.keys() | reserved, records, launches, holders)
    gone = {key for pile in found for key in pile.names if pile.what == PRODUCTS}
    old = [(cell.record.study, cell.entry.name, cell.reason) for cell in superseded(records) if cell.key in gone]
    if delete:
        _check_versions(store, found)
        for pile in found:
            for name in pile.names:
                pile.remove(name)
    return Collection(store.url, _by_study(held, needed), found, old, launches, delete, bool(records))


def _check_readable(store: Store, broken: Mapping[str, UserError]) -> None:
    """Raises UserError if a record cannot be read: its products would look unreferenced."""
    for name, error in broken.items():
        if isinstance(error, NewerRecord):
            raise UserError(f"{store.url}/{name} was {error}: nothing was removed")
    if broken:
        first, *others = broken
        more = f" and {plural(len(others), 'more record')}" if others else ""
        raise UserError(
            f"{store.url}/{first}{more} cannot be read, so the products that it needs are unknown: nothing was "
            "removed; launch its study again (existing products are kept), remove the file, then repeat --gc"
        )


def _check_versions(store: Store, found: Sequence[Pile]) -> None:
    """Raises UserError if a newer raysweep wrote a file that would be removed: its use is not known here."""
    if newer := newer_file(store.files, [name for pile in found for name in pile.versioned]):
        raise UserError(f"{store.url}/{newer} was written by a newer raysweep; update: nothing was removed")


def _check_past(store: Store, records: Sequence[LaunchRecord]) -> None:
    """Raises UserError if a record is from the future: products that it marks as stale may be newer than it."""
    now = store.now()
    ahead = [] if now is None else future(records, now, FUTURE_SECONDS)
    if ahead:
        record, seconds = max(ahead, key=lambda found: found[1])
        raise UserError(
            f"{store.url}/{record.file} is {duration(seconds)} ahead of the store's clock, so the products that it "
            "marks as stale may be newer: nothing was removed; correct the clock of the machine that launched it, "
            "launch its study again, remove the file, then repeat --gc"
        )


def _check_known(launches: Sequence[Living], records: Sequence[LaunchRecord], held: Mapping[str, int]) -> None:
    """Raises UserError if the needed products are unknown; older versions of raysweep left no records."""
    if held and not records:
        raise UserError(
            "the products in this store belong to no recorded study (an older version made them, or they were copied "
            "here): nothing was removed; launch their studies again (existing products are kept), then repeat --gc"
        )
    known = {record.launch for record in records}
    for launch in launches:
        if launch.name not in known:
            raise UserError(
                f"{launch.owner} is running and has not recorded yet which products it needs: nothing was "
                "removed; repeat --gc when it has ended"
            )


def _needed(records: Sequence[LaunchRecord], launches: Sequence[Living]) -> dict[str, set[str]]:
    """Studies by key, for every key that a live record or any record of a running launch refers to."""
    names = {launch.name for launch in launches}
    studies: dict[str, set[str]] = {}
    of_living = [(record, list(record.entries)) for record in records if record.launch in names]
    for record, entries in [*live(records), *of_living]:
        for key in record.below(entries):
            studies.setdefault(key, set()).add(record.study)
    return studies


def _reserved(watch: Watch, holders: Sequence[Holder]) -> set[str]:
    """Keys that running launches have leased."""
    tokens = {holder.token for holder in holders}
    return {key for key, claimed in watch.all_claims().items() if claimed & tokens and not key.startswith(PRESENCE)}


def _by_study(held: Mapping[str, int], needed: Mapping[str, set[str]]) -> list[Held]:
    """Products and bytes by study; shared products and products without a study are counted once, separately."""
    counts: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    for key, count in held.items():
        studies = needed.get(key, {"(no study)"})
        name = next(iter(studies)) if len(studies) == 1 else ""
        counts[name] += 1
        totals[name] += count
    return [Held(name, counts[name], totals[name]) for name in sorted(counts, key=lambda name: (name == "", name))]
