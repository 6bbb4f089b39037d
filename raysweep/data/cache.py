"""A decoded data set on disk: one `.npy` an array, read back memory-mapped. No pickle anywhere."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch

from .dataset import FaceData
from .npy import NO_ARRAY

_ARRAYS = ("images", "labels", "va", "votes", "subjects", "splits")


def save_packed(data: FaceData, folder: Path) -> None:
    """Write a data set under `folder`, atomically. Tensors in `info` travel too, other entries as JSON."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name in _ARRAYS:
            np.save(draft / f"{name}.npy", getattr(data, name).numpy(), allow_pickle=False)
        facts = {k: v for k, v in data.info.items() if not isinstance(v, torch.Tensor)}
        for key in data.info.keys() - facts.keys():
            np.save(draft / f"info-{key}.npy", data.info[key].numpy(), allow_pickle=False)
        words = {"name": data.name, "classes": data.classes, "fingerprint": data.fingerprint}
        (draft / "data.json").write_text(json.dumps({**words, "notes": data.notes, "info": facts}))
        with contextlib.suppress(OSError):  # another process was quicker
            os.replace(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def load_packed(folder: Path) -> FaceData | None:
    """Read back what `save_packed` wrote, images memory-mapped copy-on-write; None when it is not there."""
    try:
        words = json.loads((folder / "data.json").read_text())
        arrays = {name: _read(folder / f"{name}.npy", mapped=name == "images") for name in _ARRAYS}
    except NO_ARRAY:  # of words that are no JSON, too
        return None
    info = {p.stem.removeprefix("info-"): _read(p) for p in sorted(folder.glob("info-*.npy"))}
    return FaceData(  # no built-in set borrows Gaussians
        name=words["name"],
        classes=tuple(words["classes"]),
        fingerprint=words["fingerprint"],
        notes=tuple(words["notes"]),
        info={**words["info"], **info},
        gaussians=None,
        **arrays,
    )


def _read(path: Path, mapped: bool = False) -> torch.Tensor:
    return torch.from_numpy(np.load(path, mmap_mode="c" if mapped else None, allow_pickle=False))
