"""What can be removed from a store, by kind, and how each kind is removed."""

from __future__ import annotations

import fcntl
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from raysweep.store.files import draft_is_dead
from raysweep.store.formats import EVENT
from raysweep.store.lease_holders import Holder, Watch
from raysweep.store.ray_sessions import dead_sessions
from raysweep.store.store import MANIFEST, Store
from raysweep.study.launch_record import LaunchRecord
from raysweep.study.launch_records import live, sizes_by_key

from .status import Living

PRODUCTS = "products that no study needs"


@dataclass(frozen=True)
class Pile:
    """Removable files of one kind. `remove` takes one of the names; `versioned`: files among them that hold the version
    of their format."""

    what: str
    names: Sequence[str]
    bytes: int
    remove: Callable[[str], None] = field(repr=False)
    versioned: Sequence[str] = ()


def piles(
    store: Store,
    held: Mapping[str, int],
    needed: Collection[str],
    records: Sequence[LaunchRecord],
    launches: Sequence[Living],
    holders: Sequence[Holder],
) -> list[Pile]:
    """Everything that can be removed, without empty groups.

    Args:
        held: bytes of all products, by key.
        needed: keys that a study refers to or a running launch has reserved.
        holders: living holders of leases.
    """
    found = [
        _products(store, held, needed),
        _unfinished(store, held, needed),
        _failures(store, needed),
        _leases(store, holders),
        _records(store, records, launches),
        _drafts(store, holders),
        _tune_folders(store, holders),
        _journals(store),
        _copies(store, held),
        _local("Ray sessions of dead launches", dead_sessions()),
    ]
    return [pile for pile in found if pile.names]


def _products(store: Store, held: Mapping[str, int], needed: Collection[str]) -> Pile:
    names = sorted(held.keys() - set(needed))
    manifests = [f"stages/{key}/{MANIFEST}" for key in names]
    return Pile(PRODUCTS, names, sum(held[key] for key in names), store.drop, manifests)


def _unfinished(store: Store, held: Collection[str], needed: Collection[str]) -> Pile:
    """Checkpoints of work that is done or that no study needs."""
    sizes = sizes_by_key(store, "partial")
    done = store.present(key for key in sizes if key in held)
    names = sorted(key for key in sizes if key not in needed or key in done)
    return Pile("checkpoints of unfinished work", names, sum(sizes[key] for key in names), store.drop_partial)


def _failures(store: Store, needed: Collection[str]) -> Pile:
    sizes = store.files.sizes("failed")
    names = [name.removesuffix(".json") for name in sorted(sizes) if name.removesuffix(".json") not in needed]
    total = sum(sizes[f"{key}.json"] for key in names)
    return Pile("failure records", names, total, store.forget_failure, [f"failed/{key}.json" for key in names])


def _leases(store: Store, holders: Sequence[Holder]) -> Pile:
    """Leases and heartbeats of dead launches."""
    living = {holder.token for holder in holders}
    claims = Watch(store).all_claims().items()
    names = [f"leases/{key}/{token}" for key, tokens in claims for token in tokens - living]
    dead = [f"holders/{name}" for name in store.files.names("holders") if name.partition(".")[0] not in living]
    beats = [name for name in dead if name.endswith(".json")]
    return Pile("leases of dead launches", sorted([*names, *dead]), 0, store.files.remove, beats)


def _records(store: Store, records: Sequence[LaunchRecord], launches: Sequence[Living]) -> Pile:
    """Records of launches whose cells are all superseded: by newer records, or by changed code or data."""
    kept = {record.file for record, _ in live(records)}
    alive = {launch.name for launch in launches}
    names = [record.file for record in records if record.file not in kept and record.launch not in alive]
    sizes = store.files.sizes("studies")
    return Pile("records of superseded launches", names, _total(sizes, names, "studies/"), store.files.remove)


def _drafts(store: Store, holders: Sequence[Holder]) -> Pile:
    """Half-written files of dead processes; those of other machines after a day, if no launch is running."""
    now = store.now() if store.is_local and not holders else None
    yesterday = (time.time() if now is None else now) - 24 * 3600
    paths = [
        path
        for path in _paths(store.local / "drafts")
        if draft_is_dead(path.name) or (not holders and path.stat().st_mtime < yesterday)
    ]
    return _local("half-written files", paths)


def _tune_folders(store: Store, holders: Sequence[Holder]) -> Pile:
    """Ray Tune's files of dead launches; folder names end in the launch's process id."""
    alive = {holder.process.pid for holder in holders}
    paths = []
    for path in _paths(store.local / "tune"):
        match = re.fullmatch(r"\d{8}-\d{6}-(\d+)", path.name)
        if not alive or (match is not None and int(match[1]) not in alive):
            paths.append(path)
    return _local("folders of Ray Tune", paths)


def _journals(store: Store) -> Pile:
    """Journals that no process holds and that are completely published; empty ones too."""
    paths = [path for path in _paths(store.local / "journal") if path.suffix == ".jsonl" and _is_published(path)]
    marks = [path.with_suffix(".published") for path in paths]
    return _local("published journals", [*paths, *(path for path in marks if path.exists())])


def _copies(store: Store, held: Collection[str]) -> Pile:
    """Local copies of products that were removed from a remote store."""
    folder = store.local / "products"
    paths = [] if store.is_local else [path for path in _paths(folder) if path.name not in held]
    return _local("local copies of removed products", paths)


def _is_published(journal: Path) -> bool:
    try:
        published = int(journal.with_suffix(".published").read_text())
    except (FileNotFoundError, ValueError):
        published = 0  # an empty journal counts as published
    with journal.open("rb") as stream:
        if EVENT.is_newer(stream.readline()):
            return False
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False  # its launch is running
    return published >= journal.stat().st_size


def _local(what: str, paths: Sequence[Path]) -> Pile:
    return Pile(what, [str(path) for path in paths], sum(map(_size, paths)), _remove_local)


def _remove_local(name: str) -> None:
    path = Path(name)
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _paths(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(part.stat().st_size for part in path.rglob("*") if part.is_file())


def _total(sizes: dict[str, int], names: Iterable[str], prefix: str) -> int:
    return sum(sizes.get(name.removeprefix(prefix), 0) for name in names)
