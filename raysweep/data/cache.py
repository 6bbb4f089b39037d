"""A decoded data set on disk: an `.npy` file for each array, read back memory-mapped; without pickles."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import AfterValidator, TypeAdapter
from typing_extensions import TypedDict

from raysweep.core.bounds import NO_ARRAY
from raysweep.core.errors import describe
from raysweep.core.hashing import file_checksum
from raysweep.core.notices import passed_over
from raysweep.core.versioned import NewerRecord, RecordFormat
from raysweep.store.verified import altered_file

from .dataset import DatasetInfo, FaceData

FORMAT = RecordFormat()
"""Of `data.json`."""

_ARRAYS = ("images", "labels", "va", "votes", "subjects", "splits")


def _of_arrays(files: dict[str, str]) -> dict[str, str]:
    if not {f"{name}.npy" for name in _ARRAYS} <= files.keys() or any("/" in name for name in files):
        raise ValueError("its files are not those of a data set")
    return files


class _Description(TypedDict):
    name: str
    classes: list[str]
    fingerprint: str
    notes: list[str]
    info: DatasetInfo
    files: Annotated[dict[str, str], AfterValidator(_of_arrays)]


_DESCRIPTION = TypeAdapter(_Description)


def save_packed(data: FaceData, folder: Path) -> None:
    """Write a data set under `folder`, atomically; of `info` tensors as arrays, too, the rest as JSON.

    What lies there already stays when it is whole, or when a newer raysweep wrote it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name in _ARRAYS:
            np.save(draft / f"{name}.npy", getattr(data, name).numpy(), allow_pickle=False)
        for name, array in data.info.arrays.items():
            np.save(draft / f"info-{name}.npy", array.numpy(), allow_pickle=False)
        values: dict[str, Any] = {"name": data.name, "classes": data.classes, "fingerprint": data.fingerprint}
        files = {path.name: file_checksum(path) for path in sorted(draft.glob("*.npy"))}
        values |= {"notes": data.notes, "info": data.info.facts, "files": files}
        (draft / "data.json").write_text(json.dumps(FORMAT.stamped(values)))
        if folder.exists() and load_packed(folder) is None and not _is_newer(folder):
            shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # another process was quicker
            os.replace(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def load_packed(folder: Path) -> FaceData | None:
    """Read back what `save_packed` wrote, images memory-mapped copy-on-write; None when it is not there.

    What is damaged, older than checksums, or of a newer raysweep counts as missing; that is said.
    """
    try:
        description = _DESCRIPTION.validate_python(FORMAT.read((folder / "data.json").read_bytes()))
    except FileNotFoundError:
        return None
    except NewerRecord as error:
        passed_over(str(folder / "data.json"), str(error))
        return None
    except (OSError, ValueError) as error:  # pydantic's is a ValueError
        passed_over(str(folder), f"its data.json cannot be used ({describe(error)}); it is made again")
        return None
    if altered := altered_file(folder, description["files"]):
        passed_over(str(folder), f"{altered} is not what was written; it is made again")
        return None
    try:
        arrays = {name: _read(folder / f"{name}.npy", mapped=name == "images") for name in _ARRAYS}
        known = {name for name in vars(description["info"]) if f"info-{name}.npy" in description["files"]}
        info = description["info"].with_arrays({name: _read(folder / f"info-{name}.npy") for name in known})
    except NO_ARRAY:
        return None
    return FaceData(  # no built-in set borrows Gaussians
        name=description["name"],
        classes=tuple(description["classes"]),
        fingerprint=description["fingerprint"],
        notes=tuple(description["notes"]),
        info=info,
        gaussians=None,
        **arrays,
    )


def _is_newer(folder: Path) -> bool:
    try:
        return FORMAT.is_newer((folder / "data.json").read_bytes())
    except OSError:
        return False


def _read(path: Path, mapped: bool = False) -> torch.Tensor:
    return torch.from_numpy(np.load(path, mmap_mode="c" if mapped else None, allow_pickle=False))
