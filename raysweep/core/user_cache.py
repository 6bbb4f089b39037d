"""The user's cache folder, and values in it that can be computed again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def user_cache() -> Path:
    """`XDG_CACHE_HOME` or `~/.cache`, and in it raysweep's own folder. It need not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "raysweep"


def cached_values(kind: str, key: str) -> Any:
    """What `cache_values` kept; None where nothing is kept, or what is kept cannot be read."""
    try:
        return json.loads(_file(kind, key).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def cache_values(kind: str, key: str, values: Any) -> None:
    """Keep values of JSON. A cache that cannot be written keeps nothing, and they are computed again.

    Args:
        kind: names a folder.
        key: a digest of all that the values depend on.
    """
    file = _file(kind, key)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(values), encoding="utf-8")
        draft.replace(file)
    except OSError:
        pass


def _file(kind: str, key: str) -> Path:
    return user_cache() / kind / f"{key}.json"
