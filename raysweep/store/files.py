"""Files of a store, by name below its root: in a local folder, or behind any fsspec URL.

Names are relative, with slashes; one that leads out of the store is refused (`names.OutsideStore`), one in a listing
passed over. Small files are read and written whole; a reader of a local store never sees
half of one, a reader of a remote one may (so whoever reads them checks).
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from raysweep.core.errors import UserError, describe
from raysweep.core.masking import remember
from raysweep.core.notices import passed_over

from .names import below, inside, usable
from .process import Process
from .remote_access import PatientFileSystem
from .unusable import StoreUnusable, reading, writing

PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "'raysweep[s3]'"),
    **dict.fromkeys(("gs", "gcs"), "'raysweep[gcs]'"),
    **dict.fromkeys(("abfs", "az"), "adlfs"),
}
"""What to install for a URL scheme that fsspec knows and does not bring along."""


class Files(Protocol):
    """File operations of a store."""

    def read(self, name: str) -> bytes | None:
        """Contents of a file; None if it does not exist."""

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """Contents of those files that exist."""

    def write(self, name: str, content: bytes) -> None:
        """Write or replace a file. Raises StoreUnusable."""

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with its contents, if it exists."""

    def names(self, folder: str) -> list[str]:
        """Names of the entries of a folder."""

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of every file below a folder, by name relative to it."""

    def changed(self, name: str) -> float | None:
        """Time of the last change by the store's own clock, in seconds since 1970; None if unknown."""

    def send(self, source: Path, name: str) -> None:
        """Copy a local file into the store. Raises StoreUnusable."""

    def fetch(self, name: str, target: Path) -> bool:
        """Copy a file of the store to a local path; False when there is none. Raises StoreUnusable."""


class LocalFiles:
    """A local or mounted folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, name: str) -> bytes | None:
        try:
            with reading(self.root):
                return read_regular(self.root / below(name))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        contents = ((name, self.read(name)) for name in names)
        return {name: content for name, content in contents if content is not None}

    def write(self, name: str, content: bytes) -> None:
        draft = draft_path(self.root)
        with writing(self.root):
            try:
                draft.parent.mkdir(parents=True, exist_ok=True)
                draft.write_bytes(content)
                self._move(draft, inside(self.root, name))
            finally:
                draft.unlink(missing_ok=True)

    def _move(self, draft: Path, target: Path) -> None:
        while True:
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.replace(draft, target)
            except FileNotFoundError:  # another process removed the empty folder meanwhile
                if not draft.exists():
                    raise
            else:
                return

    def remove(self, name: str) -> None:
        path = inside(self.root, name)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
            return
        with writing(self.root):
            path.unlink(missing_ok=True)
        if path.parent != self.root:
            with contextlib.suppress(OSError):  # not empty, or gone
                path.parent.rmdir()

    def _top(self, folder: str) -> Path:
        return self.root / below(folder) if folder else self.root

    def names(self, folder: str) -> list[str]:
        top = self._top(folder)
        try:
            with reading(self.root):
                return usable(sorted(os.listdir(top)), str(top))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def sizes(self, folder: str) -> dict[str, int]:
        found: dict[str, int] = {}
        top = self._top(folder)
        for place, _, files in os.walk(top):
            for file in files:
                path = Path(place, file)
                with contextlib.suppress(FileNotFoundError):  # concurrent writes and removals
                    found[str(path.relative_to(top))] = path.stat().st_size
        return {name: found[name] for name in usable(found, str(top))}

    def changed(self, name: str) -> float | None:
        try:
            return (self.root / below(name)).stat().st_mtime
        except OSError:
            return None

    def send(self, source: Path, name: str) -> None:
        draft = draft_path(self.root)
        with writing(self.root):
            try:
                draft.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, draft)
                self._move(draft, inside(self.root, name))
            finally:
                draft.unlink(missing_ok=True)

    def fetch(self, name: str, target: Path) -> bool:
        try:
            with writing(target.parent):
                shutil.copyfile(self.root / below(name), target)
        except FileNotFoundError:
            return False
        return True


class RemoteFiles:
    """Any URL that fsspec supports: s3://, gs://, memory://, file:// and others.

    Raises:
        UserError: the scheme is unknown, or needs a package that is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = remember(url).rstrip("/")
        fs, self.top = _filesystem(url)
        self.fs = PatientFileSystem(fs, self.url)

    def _path(self, name: str) -> str:
        return f"{self.top}/{below(name)}"

    def _folder(self, name: str) -> str:
        return self._path(name) if name else self.top

    def read(self, name: str) -> bytes | None:
        try:
            content: bytes = self.fs.cat_file(self._path(name))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        return content

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        paths = {self._path(name): name for name in names}
        if not paths:
            return {}
        if len(paths) == 1 or any(map(self._is_pattern, paths)):
            return {name: content for name in paths.values() if (content := self.read(name)) is not None}
        found = self.fs.cat(list(paths), on_error="return")
        missing = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
        for path, content in found.items():
            if isinstance(content, Exception) and not isinstance(content, missing):
                found[path] = self.read(paths[path])
        return {paths[path]: content for path, content in found.items() if isinstance(content, bytes)}

    def write(self, name: str, content: bytes) -> None:
        with writing(self.url):
            try:
                self.fs.pipe_file(self._path(name), content)
            except FileNotFoundError:  # a real file system needs its folders
                self._make_parent(name)
                self.fs.pipe_file(self._path(name), content)

    def _make_parent(self, name: str) -> None:
        """Raises StoreUnusable where folders need none, but the bucket is missing: making one is the user's choice."""
        if self.url.partition("://")[0] in PACKAGES:
            bucket = self.top.partition("/")[0]
            raise StoreUnusable(f"the store {self.url} cannot be written: there is no bucket {bucket!r}: make it, or "
                                "correct the address")  # fmt: skip
        self.fs.makedirs(self._path(name).rpartition("/")[0], exist_ok=True)

    def remove(self, name: str) -> None:
        self.fs.invalidate_cache()
        path = self._path(name)
        with contextlib.suppress(FileNotFoundError):
            if not self._is_pattern(path):
                self.fs.rm(path, recursive=True)
                return
            there: dict[str, dict[str, Any]] = self.fs.find(path, withdirs=True, detail=True)
            for entry, info in there.items():
                if info["type"] != "directory":
                    self.fs.rm_file(entry)
            folders = [entry for entry, info in there.items() if info["type"] == "directory"]
            for folder in sorted({*folders, path}, key=len, reverse=True):
                with contextlib.suppress(OSError, NotImplementedError, StoreUnusable):  # object stores have none
                    self.fs.rmdir(folder)

    @staticmethod
    def _is_pattern(path: str) -> bool:
        """Whether fsspec's calls for many files would take this address for a pattern, and reach other folders."""
        return any(sign in path for sign in "*?[")

    def names(self, folder: str) -> list[str]:
        self.fs.invalidate_cache()
        try:
            paths = self.fs.ls(self._folder(folder), detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = {path.rstrip("/").rpartition("/")[2] for path in paths if self._is_below(path, folder)}
        return usable(sorted(found), f"{self.url}/{folder}")

    def sizes(self, folder: str) -> dict[str, int]:
        self.fs.invalidate_cache()
        found: dict[str, dict[str, Any]] = self.fs.find(self._folder(folder), detail=True)
        start = len(self._folder(folder)) + 1
        sizes = {path[start:]: int(info["size"]) for path, info in found.items() if self._is_below(path, folder)}
        return {name: sizes[name] for name in usable(sizes, f"{self.url}/{folder}")}

    def _is_below(self, path: str, folder: str) -> bool:
        return len(path.rstrip("/")) > len(self._folder(folder)) + 1

    def changed(self, name: str) -> float | None:
        try:
            return float(self.fs.modified(self._path(name)).timestamp())
        except (OSError, NotImplementedError, AttributeError, KeyError):
            return None

    def send(self, source: Path, name: str) -> None:
        with writing(self.url):
            try:
                self.fs.put_file(str(source), self._path(name))
            except FileNotFoundError:
                self._make_parent(name)
                self.fs.put_file(str(source), self._path(name))

    def fetch(self, name: str, target: Path) -> bool:
        try:
            with writing(target.parent):
                self.fs.get_file(self._path(name), str(target))
        except FileNotFoundError:
            return False
        return True


def read_regular(path: Path) -> bytes | None:
    """Contents of a file; None, with a warning, if it is something else: a folder, a pipe, a device.

    Raises:
        OSError: it does not exist or cannot be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # opening a pipe would block
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):  # a link to itself, a socket
            raise
    else:
        if is_regular(os.fstat(handle)):
            with open(handle, "rb") as stream:
                return stream.read()
        os.close(handle)
    passed_over(str(path), "no file")
    return None


def is_regular(found: os.stat_result) -> bool:
    """Whether it is a regular file."""
    return stat.S_ISREG(found.st_mode)


def draft_path(root: Path) -> Path:
    """A new name below `drafts/` that contains its process."""
    return root / "drafts" / f"{Process.this().word}-{secrets.token_hex(6)}"


def new_draft(root: Path) -> Path:
    """A new, empty folder, to be filled and then moved to its place. Raises StoreUnusable."""
    draft = draft_path(root)
    with writing(root):
        draft.mkdir(parents=True)
    return draft


def draft_is_dead(name: str) -> bool:
    """Whether the process that made a draft is known to be gone."""
    process = Process.parse(name.rpartition("-")[0])
    return process is not None and process.gone()


def _filesystem(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the path of the URL in it."""
    from fsspec.core import url_to_fs  # type: ignore[import-untyped]  # here: local stores need none of it

    scheme = url.partition("://")[0]
    try:
        fs, path = url_to_fs(url, skip_instance_cache=True)
    except (ImportError, ValueError, OSError) as error:
        if scheme in PACKAGES and isinstance(error, ImportError):
            raise UserError(
                f"--store {url} needs a package that is not installed: pip install {PACKAGES[scheme]}"
            ) from None
        raise UserError(
            f"--store {url}: fsspec cannot open {scheme}:// ({describe(error)}); give a folder or "
            "a URL such as s3://bucket/folder"
        ) from None
    return fs, str(path).rstrip("/")
