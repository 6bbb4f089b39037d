"""`Store`: finished work by key. A product is a folder of files whose manifest is written last.

A put is idempotent and atomic: a reader sees a whole product or none. Every read checks the files against the
manifest; a truncated or altered product counts as missing and is computed again. A store is a local folder or any
fsspec URL.

    raysweep.json        the version of this layout
    stages/<key>/        products, each with its manifest.json
    partial/<key>/       checkpoints of unfinished work
    failed/<key>.json    why a stage failed last
    leases/, holders/    who is computing what (`store/leases.py`)
    slurm/               scripts and logs of launches on a Slurm cluster
    studies/             what each launch referred to (`study/launch_records.py`)
    drafts/, probes/     what is being written just now
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import raysweep
from raysweep.core.errors import UserError
from raysweep.core.notices import passed_over
from raysweep.core.user_cache import user_cache
from raysweep.core.versioned import NewerRecord, json_object

from .access import why_refused
from .files import Files, LocalFiles, RemoteFiles
from .formats import FAILURE, LAYOUT
from .local import MANIFEST as MANIFEST
from .local import LocalProducts, Manifest
from .remote import RemoteProducts
from .unusable import StoreUnusable as StoreUnusable

VERSION_FILE = "raysweep.json"

HOST = "host"
"""Fact of a manifest: name of the machine that computed the product. Older ones have none."""


class Store:
    """Finished and unfinished work of all launches on it.

    Args:
        root: a folder, or a URL that fsspec knows (`s3://bucket/folder`). It need not exist yet.
        local: folder of this machine for what stays here: fetched products, the journal. A local store's is its
            own; a remote store's default is a cache in the user's home, one a URL.

    `url` names the store to another process. `root` and `local` are the same folder.

    Raises:
        UserError: a newer raysweep wrote this store, or it cannot be reached or opened.
    """

    def __init__(self, root: Path | str, local: Path | str | None = None) -> None:
        self.files: Files
        self.products: LocalProducts | RemoteProducts
        if "://" in str(root):
            self.url = str(root).rstrip("/")
            self.local = Path(local).resolve() if local is not None else _cache_of(self.url)
            self.files = RemoteFiles(self.url)
            self.products = RemoteProducts(self.files, self.local)
        else:
            self.local = Path(root).resolve()
            self.url = str(self.local)
            self.files = LocalFiles(self.local)
            self.products = LocalProducts(self.local)
        self.root = self.local
        self._marked = self._has_version()

    @property
    def is_local(self) -> bool:
        return isinstance(self.products, LocalProducts)

    def has(self, key: str) -> bool:
        """Whether a product exists, with every file's size as in its manifest. Reads no file."""
        return self.products.has(key)

    def present(self, keys: Iterable[str]) -> frozenset[str]:
        """The keys for which `has` is true; few requests on a remote store."""
        return frozenset(self.products.manifests(keys))

    def hosts(self, keys: Iterable[str]) -> dict[str, str]:
        """For those keys for which `has` is true, the machine that computed the product; "" if unknown."""
        return {key: str(manifest.get(HOST, "")) for key, manifest in self.products.manifests(keys).items()}

    def get(self, key: str) -> Manifest | None:
        """The manifest of a whole, unaltered product, or None. A remote one's files are then in `folder`.

        Raises:
            StoreUnusable: no room on this machine for a copy.
        """
        return self.products.get(key)

    def folder(self, key: str) -> Path:
        """Local folder with the files of a product after `get` or `put`."""
        return self.products.folder(key)

    def put(self, key: str, write: Callable[[Path], None], facts: dict[str, Any]) -> Path:
        """Let `write` fill a folder, add the manifest with `facts`, checksums and sizes, and make it the product.

        When an intact product is there already it stays: equal keys mean equal numbers. What was unfinished of it,
        and a note of its failure, go.

        Raises:
            StoreUnusable: nothing of it stays.
        """
        self.mark()
        folder = self.products.put(key, write, facts)
        self.products.drop_partial(key)
        self.forget_failure(key)
        return folder

    def drop(self, key: str) -> None:
        """Remove a product, whole or broken."""
        self.products.drop(key)

    def keys(self) -> Iterator[str]:
        """Keys of all products, whole or broken, in no order."""
        return self.products.keys()

    def partial_file(self, key: str, name: str) -> Path | None:
        """Local path of the latest checkpoint of unfinished work with this name, or None."""
        return self.products.partial_file(key, name)

    def save_partial(self, key: str, name: str, write: Callable[[Path], None]) -> None:
        """Replace the file of that name by what `write` makes, atomically for readers.

        Raises:
            StoreUnusable: the previous one is kept.
        """
        self.mark()
        self.products.save_partial(key, name, write)

    def drop_partial(self, key: str) -> None:
        self.products.drop_partial(key)

    def note_failure(self, key: str, facts: dict[str, Any]) -> None:
        """Record the failure of a stage, as plain values."""
        self.mark()
        self.files.write(f"failed/{key}.json", json.dumps(FAILURE.stamped(facts), indent=1).encode())

    def failure(self, key: str) -> dict[str, Any] | None:
        """The latest `note_failure`; None without one, or with a warning if it is unusable."""
        content = self.files.read(f"failed/{key}.json")
        if content is None:
            return None
        try:
            return FAILURE.read(content)
        except ValueError as error:
            passed_over(f"{self.url}/failed/{key}.json", f"{error}: the stage counts as not tried")
            return None

    def forget_failure(self, key: str) -> None:
        self.files.remove(f"failed/{key}.json")

    def now(self) -> float | None:
        """The time by the store's own clock, from a file written now; None if unknown."""
        with self.probe() as probe, contextlib.suppress(OSError, StoreUnusable):
            return self.files.changed(probe) if probe else None
        return None

    @contextlib.contextmanager
    def probe(self) -> Iterator[str]:
        """A file in the store, inside this context, for other machines with the same store to look for; "" if it cannot
        be written (later writes raise their own errors)."""
        name = f"probes/{secrets.token_hex(8)}"
        try:
            self.files.write(name, b"")
        except (OSError, StoreUnusable):
            name = ""
        try:
            yield name
        finally:
            with contextlib.suppress(OSError, StoreUnusable):
                if name:
                    self.files.remove(name)

    def try_out(self) -> None:
        """Write, read and remove a file.

        Raises:
            StoreUnusable: it cannot be written or read, with the remedy.
        """
        name, content = f"probes/{secrets.token_hex(8)}", secrets.token_bytes(16)
        try:
            self.files.write(name, content)
            if self.files.read(name) != content:
                raise StoreUnusable(f"the store {self.url} does not give back what was written: check its disk")
            self.files.remove(name)
        except StoreUnusable:
            raise
        except Exception as error:  # fsspec's packages have errors of their own
            raise StoreUnusable(f"the store {self.url} cannot be written: {why_refused(error)}") from error

    def sees(self, probe: str) -> bool:
        """Whether the probe of another machine exists here."""
        return self.files.read(probe) is not None

    def mark(self) -> None:
        """Write the layout's version before anything else."""
        if not self._marked:
            values = LAYOUT.stamped({"raysweep": raysweep.__version__})
            self.files.write(VERSION_FILE, json.dumps(values).encode())
            self._marked = True

    def _has_version(self) -> bool:
        """Whether the layout's version is there. Refuses a newer one."""
        content = self._first_look()
        if content is None:
            return False
        values: dict[str, Any] = {}
        try:
            values = json_object(content)
            LAYOUT.current(values)
        except NewerRecord:
            raise UserError(
                f"the store {self.url} was written by raysweep {values.get('raysweep', '?')} (store version "
                f"{values[LAYOUT.field]}, this one reads {LAYOUT.version}): install that version, or choose another "
                "folder with --store"
            ) from None
        except ValueError as error:
            passed_over(f"{self.url}/{VERSION_FILE}", str(error))
            return False
        return True

    def _first_look(self) -> bytes | None:
        if self.is_local and self.local.exists() and not self.local.is_dir():
            raise UserError(f"the store must be a folder, but {self.url} is a file")
        try:
            return self.files.read(VERSION_FILE)
        except Exception as error:
            if self.is_local:
                raise
            raise UserError(f"the store {self.url} cannot be used: {why_refused(error.__cause__ or error)}") from error


def _cache_of(url: str) -> Path:
    """This machine's cache of a remote store's products."""
    return user_cache() / hashlib.sha256(url.encode()).hexdigest()[:16]
