"""Checkpoints that resume bit for bit. Where they lie, and that a crash leaves a whole one, is the store's."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def save_checkpoint(state: dict[str, Any], path: Path) -> None:
    """Write tensors and plain values to a file. Through a Python stream: a full disk then keeps its error number."""
    with path.open("wb") as stream:
        torch.save(state, stream)


def load_checkpoint(path: Path | None) -> dict[str, Any] | None:
    """What `save_checkpoint` wrote, or None when there is nothing readable. Never unpickles code."""
    if path is None:
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except Exception:  # noqa: BLE001  truncated or altered: torch raises many kinds; the work starts over
        return None
    return state


def weights_hash(state: dict[str, Tensor]) -> str:
    """SHA-256 over names, shapes and bytes of a state dict: equal hashes mean equal weights, bit for bit."""
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
