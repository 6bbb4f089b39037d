"""Checkpoints that resume bit for bit. The store chooses their paths and replaces them atomically."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def save_checkpoint(state: dict[str, Any], path: Path) -> None:
    """Write tensors and plain values to a file, through a Python stream: a full disk then raises OSError with errno."""
    with path.open("wb") as stream:
        torch.save(state, stream)


def load_checkpoint(path: Path | None) -> dict[str, Any] | None:
    """What `save_checkpoint` wrote, or None if it is missing or unreadable. Never unpickles code."""
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
