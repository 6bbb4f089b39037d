"""`Store`: finished work by key. A product is a folder of files whose manifest is written last.

A put is idempotent and atomic: the folder is filled under a temporary name and renamed into place,
so a reader sees a whole product or none. Every read checks the files against the manifest; a
truncated or altered product counts as missing and is computed again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .keys import file_checksum

MANIFEST = "manifest.json"


class Store:
    """Products under `root/stages/<key>`, unfinished work under `root/partial/<key>`. `root` is a local folder."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).resolve()

    def folder(self, key: str) -> Path:
        return self.root / "stages" / key

    def partial(self, key: str) -> Path:
        """Folder for checkpoints of unfinished work; created on first use."""
        path = self.root / "partial" / key
        path.mkdir(parents=True, exist_ok=True)
        return path

    def get(self, key: str) -> dict[str, Any] | None:
        """The manifest of a whole, unaltered product, or None."""
        folder = self.folder(key)
        try:
            manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
            intact = all(file_checksum(folder / name) == digest for name, digest in manifest["files"].items())
        except (OSError, ValueError, KeyError):
            return None
        return manifest if intact else None

    def put(self, key: str, write: Callable[[Path], None], facts: dict[str, Any]) -> Path:
        """Let `write` fill a folder, add the manifest with `facts` and checksums, move it into place.

        When an intact product is there already it stays: equal keys mean equal numbers.
        """
        final = self.folder(key)
        final.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{key[:12]}-", dir=final.parent))
        try:
            write(draft)
            files = {str(p.relative_to(draft)): file_checksum(p) for p in sorted(draft.rglob("*")) if p.is_file()}
            (draft / MANIFEST).write_text(json.dumps({**facts, "key": key, "files": files}, indent=1))
            self._move_in(key, draft)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(self.root / "partial" / key, ignore_errors=True)
        return final

    def _move_in(self, key: str, draft: Path) -> None:
        """Rename a draft into place, unless an intact product is there or another process is quicker."""
        final = self.folder(key)
        if final.exists():
            if self.get(key) is not None:
                return
            with contextlib.suppress(FileNotFoundError):
                os.replace(final, draft.with_suffix(".broken"))
                shutil.rmtree(draft.with_suffix(".broken"), ignore_errors=True)
        try:
            os.replace(draft, final)
        except OSError:
            if self.get(key) is None:
                raise
