"""Validation of names from outside (manifests, listings, records).

Others can write to a store: a name is followed only if it stays below the store's root.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from raysweep.core.errors import UserError
from raysweep.core.notices import passed_over

DIGEST = re.compile(r"[0-9a-f]{64}")
"""SHA-256."""

WRITER = re.compile(r"[0-9a-f]{12}")
"""The folder of whoever wrote a remote product."""

LONGEST = 1000


class OutsideStore(UserError):
    """A name or a link that leads out of its folder or URL."""


def is_below(name: object) -> TypeGuard[str]:
    """Whether a name stays below the folder that it is taken from: relative, with slashes, without `..`, backslashes
    and control characters.

    >>> [is_below(name) for name in ("a/b.json", "", "/a", "../a", "a/../b", "a//b", "a\\\\b", "c:/a", "a\\0", "~/a")]
    [True, False, False, False, False, False, False, False, False, False]
    """
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST or name.startswith("~"):
        return False
    if any(c in name for c in "\\\0") or any(ord(c) < 32 or ord(c) == 127 for c in name) or _undecodable(name):
        return False
    parts = name.split("/")
    return all(part not in ("", ".", "..") for part in parts) and ":" not in parts[0]


def below(name: str) -> str:
    """The name, checked.

    Raises:
        OutsideStore: not `is_below`.
    """
    if not is_below(name):
        raise OutsideStore(f"{name!r} is no name of a file in a store: it must lie below the store's folder")
    return name


def inside(root: Path, name: str) -> Path:
    """The path of a file to be written or removed. No link on the way may lead out of `root`.

    Raises:
        OutsideStore: one does, or the name.
    """
    path = root / below(name)
    folder, top = os.path.realpath(path.parent), os.path.realpath(root)
    if folder != top and not folder.startswith(top.rstrip("/") + "/"):
        raise OutsideStore(
            f"{path} leads to {folder}, outside {root}: a link there was not made by raysweep; remove it"
        )
    return path


def product_fault(manifest: Mapping[str, Any]) -> str:
    """The first fault of the names, sizes and digests in a product's manifest; "" if there is none."""
    files, sizes, at = manifest.get("files"), manifest.get("sizes", {}), manifest.get("at")
    if not isinstance(files, dict) or not isinstance(sizes, dict):
        return "its files or sizes are no JSON object"
    for name, digest in files.items():
        if not is_below(name):
            return f"{name!r} is no name of a file in it"
        if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
            return f"the digest of {name!r} is no SHA-256"
    for name, size in sizes.items():
        if name not in files or not isinstance(size, int) or isinstance(size, bool) or size < 0:
            return f"the size of {name!r} is none"
    if at is not None and (not isinstance(at, str) or not WRITER.fullmatch(at)):
        return f"'at' is {at!r}"
    return ""


def _undecodable(name: str) -> bool:
    """Whether it holds lone surrogates."""
    return any(0xD800 <= ord(c) <= 0xDFFF for c in name)


def usable(names: Iterable[str], place: str) -> list[str]:
    """The listed names that are below their folder; the others are reported and skipped."""
    found = []
    for name in names:
        if is_below(name):
            found.append(name)
        else:
            passed_over(f"{name!r} in {place}", "no name of a file in a store")
    return found
