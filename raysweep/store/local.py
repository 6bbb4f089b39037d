"""Products and unfinished work of a local store: folders that are renamed into place."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from raysweep.core.hashing import file_checksum
from raysweep.core.versioned import NewerRecord

from .files import draft_path, is_regular, new_draft, read_regular
from .formats import PRODUCT
from .names import inside, product_fault
from .unusable import writing

MANIFEST = "manifest.json"

Manifest = dict[str, Any]


class LocalProducts:
    """`stages/<key>/` and `partial/<key>/` below a folder. Methods as in `Store`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, key: str) -> Path:
        return self.root / "stages" / key

    def keys(self) -> Iterator[str]:
        with contextlib.suppress(FileNotFoundError), os.scandir(self.root / "stages") as entries:
            yield from (entry.name for entry in entries if not entry.name.startswith("."))

    def has(self, key: str) -> bool:
        return self._manifest(key) is not None

    def manifests(self, keys: Iterable[str]) -> dict[str, Manifest]:
        found = {key: self._manifest(key) for key in keys}
        return {key: manifest for key, manifest in found.items() if manifest is not None}

    def _manifest(self, key: str) -> Manifest | None:
        """The manifest, if every file that it names exists with its size."""
        manifest = read_manifest(self.folder(key), key)
        return manifest if manifest is not None and looks_whole(self.folder(key), manifest) else None

    def get(self, key: str) -> Manifest | None:
        manifest = read_manifest(self.folder(key), key)
        return manifest if manifest is not None and is_intact(self.folder(key), manifest) else None

    def put(self, key: str, write: Callable[[Path], None], facts: Manifest) -> Path:
        with writing(self.root):
            draft = new_draft(self.root)
            try:
                write(draft)
                seal(draft, key, facts)
                self._move_in(key, draft)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        return self.folder(key)

    def drop(self, key: str) -> None:
        aside = draft_path(self.root)
        aside.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.replace(inside(self.root, f"stages/{key}"), aside)  # atomic for readers
        shutil.rmtree(aside, ignore_errors=True)

    def partial_file(self, key: str, name: str) -> Path | None:
        path = self.root / "partial" / key / name
        return path if path.exists() else None

    def save_partial(self, key: str, name: str, write: Callable[[Path], None]) -> None:
        target = inside(self.root, f"partial/{key}/{name}")
        with writing(self.root):
            draft = new_draft(self.root)
            try:
                write(draft / name)
                target.parent.mkdir(parents=True, exist_ok=True)  # another process with the same work removed it
                os.replace(draft / name, target)
            finally:
                shutil.rmtree(draft, ignore_errors=True)

    def drop_partial(self, key: str) -> None:
        shutil.rmtree(inside(self.root, f"partial/{key}"), ignore_errors=True)

    def _move_in(self, key: str, draft: Path) -> None:
        """Rename a draft into place, unless an intact product is there or another process was faster."""
        final = inside(self.root, f"stages/{key}")
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.exists():
            if self.get(key) is not None:
                return
            self.drop(key)
        try:
            os.replace(draft, final)
        except OSError:
            if self.get(key) is None:
                raise


def seal(folder: Path, key: str, facts: Manifest) -> Manifest:
    """Write the manifest of a filled folder: the facts, and every file's checksum and size."""
    paths = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    files = {name: file_checksum(path) for name, path in paths.items()}
    sizes = {name: path.stat().st_size for name, path in paths.items()}
    manifest = {**facts, "key": key, "files": files, "sizes": sizes}
    (folder / MANIFEST).write_bytes(manifest_bytes(manifest))
    return manifest


def manifest_bytes(manifest: Manifest) -> bytes:
    return json.dumps(PRODUCT.stamped(manifest), indent=1).encode()


def read_manifest(folder: Path, key: str) -> Manifest | None:
    """The manifest of a folder; None if there is no usable one. Raises NewerRecord."""
    try:
        content = read_regular(folder / MANIFEST)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return None if content is None else parse_manifest(content, key)


def parse_manifest(content: bytes, key: str) -> Manifest | None:
    """A product's manifest; None if it is malformed, of another product, or holds invalid names.

    Raises:
        NewerRecord: the product must be neither read nor replaced.
    """
    try:
        manifest = PRODUCT.read(content)
    except NewerRecord as error:
        raise NewerRecord(f"stages/{key}/{MANIFEST} in the store was {error}") from None
    except ValueError:
        return None
    return manifest if manifest.get("key", key) == key and not product_fault(manifest) else None


def looks_whole(folder: Path, manifest: Manifest) -> bool:
    """Whether every file exists with its size. Old manifests have no sizes."""
    sizes = manifest.get("sizes", {})
    try:
        found = {name: (folder / name).stat() for name in manifest["files"]}
    except OSError:
        return False
    return all(is_regular(stat) and sizes.get(name, stat.st_size) == stat.st_size for name, stat in found.items())


def is_intact(folder: Path, manifest: Manifest) -> bool:
    """Whether every file has its checksum."""
    try:
        files = manifest["files"].items()
        return all(
            is_regular((folder / name).stat()) and file_checksum(folder / name) == digest for name, digest in files
        )
    except OSError:
        return False
