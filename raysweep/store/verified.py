"""Checksums of files, computed once per machine and again if a file may have changed.

A stamp lies below the user's cache, one for each folder: digest, size, times of last change and inode of every file.
A file whose stamp is the same is not read again.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raysweep.core.hashing import file_checksum
from raysweep.core.user_cache import user_cache
from raysweep.core.versioned import json_object

from .files import is_regular, read_regular


def altered_file(folder: Path, digests: Mapping[str, str]) -> str | None:
    """The first file below `folder` that is missing or has another SHA-256; None if there is none."""
    place = _place(folder)
    known = _read(place)
    stamps = dict(known)
    for name, digest in digests.items():
        try:
            state = (folder / name).stat()
            stamps[name] = [digest, state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]
            if not is_regular(state) or (stamps[name] != known.get(name) and file_checksum(folder / name) != digest):
                return name
        except OSError:
            return name
    if stamps != known:
        _write(place, stamps)
    return None


def _place(folder: Path) -> Path:
    text = f"{platform.node()} {os.path.realpath(folder)}"
    return user_cache() / "verified" / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def _read(place: Path) -> dict[str, Any]:
    try:
        return json_object(read_regular(place) or b"")
    except (OSError, ValueError):
        return {}


def _write(place: Path, stamps: Mapping[str, Any]) -> None:
    draft = place.with_suffix(f".{secrets.token_hex(4)}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(stamps))
        os.replace(draft, place)
    except OSError:  # without stamps, files are read every time
        draft.unlink(missing_ok=True)
