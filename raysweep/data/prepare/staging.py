"""An unfinished preparation: a hidden folder that is renamed at the end, and resumed after an interruption.

plan.json          data set and settings; with other ones the preparation starts over
journal.jsonl      chunks whose pixels are appended, in order: a `Made` a line
chunks/            a folder a chunk, see `worker.py`; its pixels are removed when they are appended
rest               pixels of faces with VA alone, until they are appended to images.npy at the end
store/             becomes the prepared folder: images.npy grows here
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections import Counter
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from raysweep.core.errors import UserError

from .chunks import Chunk
from .manifest import IMAGES
from .worker import DRAFT, FACES, MADE, REST, Made


class Busy(UserError):
    """Another process is preparing the same folder."""


def draft_folder(target: Path) -> Path:
    """The folder of an unfinished preparation of `target`."""
    return target.with_name(f".{target.name}.part")


class Draft:
    """The unfinished preparation of `target`, locked until `close`.

    Raises:
        Busy: another process is preparing it.
    """

    def __init__(self, target: Path, plan: dict[str, Any], size: int) -> None:
        self.target, self.size = target, size
        self.folder = draft_folder(target)
        self.chunks, self.store = self.folder / "chunks", self.folder / "store"
        self.images, self.rest = self.store / IMAGES, self.folder / "rest"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise Busy(f"{target}: another process prepares it just now; wait for it or choose --as") from None
        self._set_journal(self._read_journal() if self._same_plan(plan) else [])
        if self.journal:
            self._write_journal()  # without an incomplete last line
        else:
            self._start(plan)
        for left in self.chunks.glob(f"{DRAFT}*"):
            shutil.rmtree(left, ignore_errors=True)
        self._cut_pixels()

    def close(self) -> None:
        self._lock.close()

    def discard(self) -> None:
        shutil.rmtree(self.folder)

    def _set_journal(self, journal: list[Made]) -> None:
        """`faces` and `va_only`: images that are appended; `bad`: problems not by design, by kind."""
        self.journal = journal
        self.faces = sum(made.faces for made in journal)
        self.va_only = sum(made.rest for made in journal)
        self.bad = sum((Counter(made.bad) for made in journal), Counter[str]())

    def has(self, chunk: Chunk) -> bool:
        """Whether a chunk is appended; if another chunk has its number, that and all later ones are removed."""
        if chunk.number >= len(self.journal):
            return False
        if self.journal[chunk.number].name == chunk.name:
            return True
        self.keep(chunk.number)
        return False

    def keep(self, count: int) -> None:
        """Remove all chunks but the first `count`."""
        if count < len(self.journal):
            self._set_journal(self.journal[:count])
            self._write_journal()
            self._cut_pixels()

    def made(self, chunk: Chunk) -> Made | None:
        """A chunk that an interrupted preparation finished but did not append."""
        folder = self.chunks / chunk.name
        return _read_made(folder / MADE) if (folder / FACES).exists() else None

    def append(self, made: Made) -> None:
        """Append the pixels of the next chunk."""
        folder = self.chunks / made.name
        for source, target in ((folder / FACES, self.images), (folder / REST, self.rest)):
            with source.open("rb") as pixels, target.open("ab") as stream:
                shutil.copyfileobj(pixels, stream, 1 << 20)
                stream.flush()
                os.fsync(stream.fileno())
        with (self.folder / "journal.jsonl").open("a") as journal:
            journal.write(json.dumps(asdict(made)) + "\n")
            journal.flush()
            os.fsync(journal.fileno())
        self.journal.append(made)
        self.faces, self.va_only = self.faces + made.faces, self.va_only + made.rest
        self.bad.update(made.bad)
        (folder / FACES).unlink()
        (folder / REST).unlink()

    def join_pixels(self) -> None:
        """Append the faces with VA alone, and write the number of images into the array's header."""
        self._cut_pixels()
        with self.images.open("ab") as stream, self.rest.open("rb") as pixels:
            shutil.copyfileobj(pixels, stream, 1 << 20)
        with self.images.open("r+b") as stream:
            stream.write(self._header(self.faces + self.va_only))
            stream.flush()
            os.fsync(stream.fileno())

    def _header(self, count: int) -> bytes:
        """The array's header; numpy pads it, so its length does not depend on the number of images."""
        stream = BytesIO()
        shape = (count, 3, self.size, self.size)
        np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
        return stream.getvalue()

    def _cut_pixels(self) -> None:
        """Remove appended pixels that are not in the journal."""
        image = 3 * self.size * self.size
        os.truncate(self.images, len(self._header(0)) + self.faces * image)
        os.truncate(self.rest, self.va_only * image)

    def _same_plan(self, plan: dict[str, Any]) -> bool:
        try:
            return bool(json.loads((self.folder / "plan.json").read_text()) == plan)
        except (FileNotFoundError, ValueError):
            return False

    def _start(self, plan: dict[str, Any]) -> None:
        for path in (self.chunks, self.store):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
        (self.folder / "journal.jsonl").write_text("")
        self.images.write_bytes(self._header(0))
        self.rest.write_bytes(b"")
        (self.folder / "plan.json").write_text(json.dumps(plan))

    def _read_journal(self) -> list[Made]:
        """Chunks of which all pixels are there; after a power cut a line may be incomplete, or pixels missing."""
        journal: list[Made] = []
        try:
            faces, rest = self._whole_images()
            lines = (self.folder / "journal.jsonl").read_text().splitlines()
        except FileNotFoundError:
            return []
        for line in lines:
            made = _parse_made(line)
            if made is None or made.faces > faces or made.rest > rest:
                break
            faces, rest = faces - made.faces, rest - made.rest
            journal.append(made)
        return journal

    def _whole_images(self) -> tuple[int, int]:
        image = 3 * self.size * self.size
        faces = (self.images.stat().st_size - len(self._header(0))) // image
        return faces, self.rest.stat().st_size // image

    def _write_journal(self) -> None:
        draft = self.folder / "journal.draft"
        draft.write_text("".join(json.dumps(asdict(made)) + "\n" for made in self.journal))
        os.replace(draft, self.folder / "journal.jsonl")


def _read_made(path: Path) -> Made | None:
    try:
        return _parse_made(path.read_text())
    except FileNotFoundError:
        return None


def _parse_made(line: str) -> Made | None:
    try:
        return Made(**json.loads(line))
    except (ValueError, TypeError):
        return None
