"""Findings on this machine: versions, disk, store, reports, tracking, token, devices. Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from raysweep.core.errors import UserError
from raysweep.core.formatting import listed, plural, size
from raysweep.core.ray_token import AUTH_MODE, TOKEN, get_token, has_token, token_file
from raysweep.engine.nodes.look import LEAST_ROOM, room_of
from raysweep.engine.nodes.versions import Versions, installed
from raysweep.store.store import Store
from raysweep.store.unusable import free_bytes, why_unwritable

from .findings import Finding, tried

NEEDED = ("ray", "torch", "torchvision", "mlflow", "optuna", "fsspec", "pydantic", "rich")
"""Packages without which no launch works."""


def versions() -> Finding:
    missing = [name for name in NEEDED if not installed(name)]
    if missing:
        return Finding("fault", "versions", f"{listed(missing)} not installed: pip install {' '.join(missing)}")
    return Finding("ok", "versions", Versions.here().text())


def store_findings(place: str) -> Iterator[Finding]:
    """The store is written and read, where it exists, and its local disk measured."""
    try:
        store = Store(place)
    except UserError as error:
        yield Finding("fault", "store", str(error))
        return
    yield tried("store", lambda: _try_store(store))
    yield disk(store.local)


def _try_store(store: Store) -> str:
    if store.is_local and (why := why_unwritable(store.local)):
        raise UserError(
            f"cannot be written: {why}: choose another folder with --store, or get the right to write there"
        )
    if store.is_local and not store.local.exists():
        return f"{store.url}, will be made"
    store.try_out()
    return f"{store.url}, can be written and read"


def disk(folder: Path) -> Finding:
    free = free_bytes(folder)
    faults, warnings = room_of(folder, free)
    level = "fault" if free < LEAST_ROOM else "warning" if warnings else "ok"
    return Finding(level, "disk", next(iter([*faults, *warnings]), f"{size(free)} free at {folder}"))  # type: ignore[arg-type]


def report_folder(out: str | None) -> Finding:
    folder = Path(out or "reports").expanduser()
    why = why_unwritable(folder)
    if why:
        return Finding("fault", "reports", f"cannot be written: {why}: choose another folder with --out")
    return Finding("ok", "reports", str(folder))


def tracking(uri: str | None) -> Finding:
    def check() -> str:
        from raysweep.tracking.server import check_tracking  # MLflow takes seconds

        return check_tracking(uri)

    return tried("tracking", check)


def token(joins: bool) -> Finding:
    """Ray's token. `joins`: whether a cluster's is needed, which cannot be made here."""
    if os.environ.get(AUTH_MODE, "token").lower() == "disabled":
        text = f"{AUTH_MODE}=disabled: anyone who can reach Ray's ports can run code as you; unset it"
        return Finding("warning", "token", text)
    if not has_token():
        if joins:
            return Finding("warning", "token", f"none here; a cluster that wants one refuses: {get_token()}")
        return Finding("ok", "token", f"{token_file()}, will be made")
    if os.environ.get(TOKEN):
        return Finding("ok", "token", f"in the variable {TOKEN}")
    if token_file().stat().st_mode & 0o077:
        return Finding("warning", "token", f"other accounts can read {token_file()}: chmod 600 {token_file()}")
    return Finding("ok", "token", str(token_file()))


def devices(per_trial: int) -> Finding:
    """GPUs of this machine, else its CPUs."""
    try:
        import torch  # takes seconds

        names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    except (ImportError, RuntimeError) as error:
        return Finding("fault", "devices", f"torch cannot be used ({error}): install it again")
    count = len(names) or len(os.sched_getaffinity(0))
    kind = plural(count, "GPU" if names else "CPU") + (f" ({listed(sorted(set(names)))})" if names else "")
    if per_trial > count:
        text = f"--devices-per-trial {per_trial}, but this machine has {kind}: at most {count} without a cluster"
        return Finding("fault", "devices", text)
    return Finding("ok", "devices", kind)
