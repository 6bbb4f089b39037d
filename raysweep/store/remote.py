"""Products and unfinished work of a remote store: files are sent first, what names them last.

An object store renames nothing, so every writer sends its files to a folder of its own,
`stages/<key>/<token>/`, and then writes `stages/<key>/manifest.json`, which says which folder counts. Two that
write the same product never mix their files. A checkpoint of unfinished work is sent under a new name each time,
`<name>@<number>-<checksum>`, and the older ones are removed after it has arrived.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from raysweep.core.hashing import file_checksum
from raysweep.core.versioned import NewerRecord

from .files import RemoteFiles, draft_path, new_draft
from .local import MANIFEST, Manifest, is_intact, looks_whole, manifest_bytes, parse_manifest, read_manifest, seal
from .names import DIGEST, below
from .unusable import writing
from .verified import altered_file

_NUMBER = re.compile(r"[0-9]{1,12}")

FEW = 500
"""Up to so many keys are asked for one by one, at the same time; for more the whole store is listed."""


class RemoteProducts:
    """Methods as in `Store`. `local`: folder of the cache, shared by the processes of a machine."""

    def __init__(self, files: RemoteFiles, local: Path) -> None:
        self.files, self.local = files, local

    def folder(self, key: str) -> Path:
        return self.local / "products" / below(key)

    def keys(self) -> Iterator[str]:
        yield from self.files.names("stages")

    def has(self, key: str) -> bool:
        return self._manifest(key) is not None

    def manifests(self, keys: Iterable[str]) -> dict[str, Manifest]:
        """Of the keys for which `has` is true: for many keys one listing instead of two requests per key."""
        wanted = set(keys)
        if len(wanted) <= FEW:
            names = self.files.read_all(f"stages/{key}/{MANIFEST}" for key in wanted)
            few = {key: self._manifest(key) for key in (name.split("/")[1] for name in names)}
            return {key: manifest for key, manifest in few.items() if manifest is not None}
        there: dict[str, dict[str, int]] = {}
        for path, size in self.files.sizes("stages").items():
            key, _, name = path.partition("/")
            if key in wanted:
                there.setdefault(key, {})[name] = size
        contents = self.files.read_all(f"stages/{key}/{MANIFEST}" for key, sizes in there.items() if MANIFEST in sizes)
        places = {name: name.split("/")[1] for name in contents}
        manifests = {key: parse_manifest(contents[name], key) for name, key in places.items()}
        return {key: found for key, found in manifests.items() if found is not None and _whole(found, there[key])}

    def get(self, key: str) -> Manifest | None:
        manifest = self._manifest(key)
        if manifest is None or not (self._cached(key, manifest) or self._fetch(key, manifest)):
            return None
        return manifest

    def put(self, key: str, write: Callable[[Path], None], facts: Manifest) -> Path:
        with writing(self.local):
            draft = new_draft(self.local)
            try:
                write(draft)
                manifest = seal(draft, key, {**facts, "at": secrets.token_hex(6)})
                if self.get(key) is None and self._send(key, draft, manifest):
                    self._install(key, draft, manifest)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        return self.folder(key)

    def drop(self, key: str) -> None:
        self.files.remove(f"stages/{key}/{MANIFEST}")  # first: the rest is not read without it
        self.files.remove(f"stages/{key}")
        shutil.rmtree(self.folder(key), ignore_errors=True)

    def partial_file(self, key: str, name: str) -> Path | None:
        for _, version, checksum in sorted(self._versions(key, name), reverse=True):
            path = self.local / "partial" / key / version
            if path.exists() or self._fetch_version(key, version, checksum):
                return path
        return None

    def save_partial(self, key: str, name: str, write: Callable[[Path], None]) -> None:
        folder = self.local / "partial" / key
        with writing(self.local):
            draft = new_draft(self.local)
            try:
                write(draft / name)
                older = sorted(self._versions(key, name))
                number = older[-1][0] + 1 if older else 1
                version = f"{name}@{number:06}-{file_checksum(draft / name)}"
                self.files.send(draft / name, f"partial/{key}/{version}")
                folder.mkdir(parents=True, exist_ok=True)
                os.replace(draft / name, folder / version)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        for _, old, _ in older:
            if old != version:
                self.files.remove(f"partial/{key}/{old}")
                (folder / old).unlink(missing_ok=True)

    def drop_partial(self, key: str) -> None:
        self.files.remove(f"partial/{key}")
        shutil.rmtree(self.local / "partial" / below(key), ignore_errors=True)

    def _manifest(self, key: str) -> Manifest | None:
        """The store's manifest, if every file that it names exists with its size."""
        content = self.files.read(f"stages/{key}/{MANIFEST}")
        manifest = None if content is None else parse_manifest(content, key)
        whole = manifest is not None and _whole(manifest, self.files.sizes(f"stages/{key}"))
        return manifest if whole else None

    def _send(self, key: str, draft: Path, manifest: Manifest) -> bool:
        """Send files, then the manifest. False if another writer was faster; its product counts."""
        before = self.files.read(f"stages/{key}/{MANIFEST}")
        try:
            for name in manifest["files"]:
                self.files.send(draft / name, f"stages/{key}/{manifest['at']}/{name}")
            if self.files.read(f"stages/{key}/{MANIFEST}") != before and self.get(key) is not None:
                self.files.remove(f"stages/{key}/{manifest['at']}")
                return False
            self.files.write(f"stages/{key}/{MANIFEST}", manifest_bytes(manifest))
        except BaseException:
            self.files.remove(f"stages/{key}/{manifest['at']}")
            raise
        broken = None if before is None else parse_manifest(before, key)
        if broken is not None and broken.get("at"):
            self.files.remove(f"stages/{key}/{broken['at']}")
        return True

    def _cached(self, key: str, manifest: Manifest) -> bool:
        """Whether the local copy is this product. Checksums are computed only if a file's size or time changed."""
        folder = self.folder(key)
        try:
            copied = read_manifest(folder, key)
        except NewerRecord:
            return False
        if copied != manifest or not looks_whole(folder, manifest):
            return False
        return altered_file(folder, manifest["files"]) is None

    def _fetch(self, key: str, manifest: Manifest) -> bool:
        with writing(self.local):
            draft = new_draft(self.local)
            try:
                for name in manifest["files"]:
                    (draft / name).parent.mkdir(parents=True, exist_ok=True)
                    if not self.files.fetch(_place(key, manifest, name), draft / name):
                        return False
                if not is_intact(draft, manifest):
                    return False
                (draft / MANIFEST).write_bytes(manifest_bytes(manifest))
                self._install(key, draft, manifest)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        return True

    def _install(self, key: str, draft: Path, manifest: Manifest) -> None:
        """Make a verified folder the local copy, unless another process of this machine has done so."""
        final = self.folder(key)
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.exists() and not self._cached(key, manifest):
            aside = draft_path(self.local)
            os.replace(final, aside)
            shutil.rmtree(aside, ignore_errors=True)
        try:
            os.replace(draft, final)
        except OSError:
            if not self._cached(key, manifest):
                raise

    def _versions(self, key: str, name: str) -> list[tuple[int, str, str]]:
        """(number, file name, checksum) of every stored version of a checkpoint."""
        found = []
        for version in self.files.names(f"partial/{key}"):
            stem, _, suffix = version.rpartition("@")
            number, _, checksum = suffix.partition("-")
            if stem == name and _NUMBER.fullmatch(number) and DIGEST.fullmatch(checksum):
                found.append((int(number), version, checksum))
        return found

    def _fetch_version(self, key: str, version: str, checksum: str) -> bool:
        target = self.local / "partial" / key / version
        with writing(self.local):
            draft = draft_path(self.local)
            try:
                draft.parent.mkdir(parents=True, exist_ok=True)
                if not self.files.fetch(f"partial/{key}/{version}", draft) or file_checksum(draft) != checksum:
                    return False
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(draft, target)
            finally:
                draft.unlink(missing_ok=True)
        return True


def _place(key: str, manifest: Manifest, name: str) -> str:
    """Name of a product's file. A store that was copied from a local one has no folder per writer."""
    at = manifest.get("at")
    return f"stages/{key}/{at}/{name}" if at else f"stages/{key}/{name}"


def _whole(manifest: Manifest, sizes: dict[str, int]) -> bool:
    """Whether a listing of a product's folder has every file with its size."""
    wanted = {_place("", manifest, name).removeprefix("stages//"): name for name in manifest["files"]}
    lengths = manifest.get("sizes", {})
    return all(place in sizes and lengths.get(name, sizes[place]) == sizes[place] for place, name in wanted.items())
