"""What a store on disk holds, and ways to damage it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from raysweep.store.store import Store


def products(store: Store) -> dict[str, dict[str, Any]]:
    """The manifest of every product, by key. Fails when one is broken."""
    found = {key: store.get(key) for key in list(store.keys())}
    broken = [key for key, manifest in found.items() if manifest is None]
    assert not broken, f"broken products: {broken}"
    return {key: manifest for key, manifest in found.items() if manifest is not None}


def results(store: Store) -> dict[str, tuple[str, Any]]:
    """Hash of the weights and scores of every cell's product, by key."""
    files = {key: store.folder(key) / "result.json" for key in list(store.keys())}
    told = {key: json.loads(file.read_text()) for key, file in files.items() if file.is_file()}
    return {key: (result["facts"]["weights_hash"], result["scores"]) for key, result in told.items()}


def leases(folder: Path) -> list[Path]:
    """Who still says that he computes something."""
    return [path for path in (folder / ".raysweep" / "leases").rglob("*") if path.is_file()]


def cut_short(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def alter(file: Path) -> None:
    """One bit, in the middle: the size stays."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
