"""The data home: the folder or URL of prepared data sets, with one folder a set and size below it.

It is set by `RAYSWEEP_DATA`, or by `data` in the file `raysweep.toml` of the working folder.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from raysweep.core.errors import UserError, unknown_name
from raysweep.core.hashing import file_checksum
from raysweep.core.notices import passed_over
from raysweep.core.user_cache import user_cache
from raysweep.store.files import Files, LocalFiles, RemoteFiles, new_draft
from raysweep.store.unusable import writing

from .manifest import MANIFEST, Manifest, parse_manifest

SETTING = "RAYSWEEP_DATA"
DEFAULT = ".raysweep/prepared"
CONFIG = "raysweep.toml"

_SIZE = re.compile(r"([0-9]{1,6})px")
_PART = re.compile(r"\.([0-9]{1,6})px\.part")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Prepared:
    """A prepared data set; `folder` may be a part of a URL. `manifest`: None while it is being prepared."""

    name: str
    size: int
    folder: str
    manifest: Manifest | None


class Home:
    """A folder, or a URL for fsspec, from which sets are copied to `local` before they are read.

    Raises:
        UserError: fsspec cannot open the URL.
    """

    def __init__(self, place: str | Path) -> None:
        self.files: Files
        self.place = str(place).rstrip("/")
        if "://" in self.place:
            self.local = _cache_of(self.place)
            try:
                self.files = RemoteFiles(self.place)
            except UserError as error:
                raise UserError(str(error).replace("--store", SETTING)) from None
        else:
            self.local = Path(self.place).expanduser().absolute()
            self.place = str(self.local)
            self.files = LocalFiles(self.local)

    @property
    def is_local(self) -> bool:
        return isinstance(self.files, LocalFiles)

    def folder(self, name: str, size: int) -> Path:
        """The local folder of a set, whether it exists or not."""
        return self.local / name / f"{size}px"

    def manifest(self, name: str, size: int) -> Manifest | None:
        """The manifest of a set at a size; None when it is not prepared. Raises UserError: it cannot be read."""
        file = f"{name}/{size}px/{MANIFEST}"
        content = self.files.read(file)
        return None if content is None else parse_manifest(content, f"{self.place}/{file}")

    def sizes(self, name: str) -> list[int]:
        """The sizes at which a set is prepared, ascending."""
        found = (_SIZE.fullmatch(folder) for folder in self.files.names(name))
        sizes = sorted(int(match[1]) for match in found if match)
        return [size for size in sizes if self._usable_manifest(name, size) is not None]

    def _usable_manifest(self, name: str, size: int) -> Manifest | None:
        """The manifest; None where there is none, or, with a warning, where it cannot be read."""
        try:
            return self.manifest(name, size)
        except UserError as error:
            passed_over(f"{self.place}/{name}/{size}px", str(error))
            return None

    def names(self) -> list[str]:
        """Names of prepared sets."""
        return [name for name in self.files.names("") if is_name(name) and self.sizes(name)]

    def everything(self) -> Iterator[Prepared]:
        """All sets by name and size; for each name, those being prepared on this machine come last."""
        for name in self.files.names(""):
            for size in self.sizes(name) if is_name(name) else ():
                yield Prepared(name, size, f"{self.place}/{name}/{size}px", self.manifest(name, size))
            unfinished = (_PART.fullmatch(folder) for folder in LocalFiles(self.local).names(name))
            for size in sorted(int(m[1]) for m in unfinished if m):
                yield Prepared(name, size, f"{self.local}/{name}", None)

    def open(self, name: str, size: int) -> Path | None:
        """A local folder with a prepared set, copied from the URL if necessary; None when it is not prepared.

        Raises:
            UserError: a copied file has another checksum than in the manifest.
            StoreUnusable: no room for the copy.
        """
        manifest = self.manifest(name, size)
        if manifest is None or self.is_local:
            return None if manifest is None else self.folder(name, size)
        folder = self.folder(name, size)
        content = manifest.content()
        if not (folder / MANIFEST).exists() or (folder / MANIFEST).read_bytes() != content:
            with writing(self.local):
                self._fetch(f"{name}/{size}px", manifest, content)
        return folder

    def _fetch(self, path: str, manifest: Manifest, content: bytes) -> None:
        draft = new_draft(self.local)
        try:
            for name, file in manifest.files.items():
                fetched = self.files.fetch(f"{path}/{name}", draft / name)
                if not fetched or file_checksum(draft / name) != file.sha256:
                    raise UserError(f"{self.place}/{path}/{name} is not what its manifest says: prepare it again")
            (draft / MANIFEST).write_bytes(content)
            shutil.rmtree(self.local / path, ignore_errors=True)  # an older copy
            (self.local / path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(draft, self.local / path)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def publish(self, name: str, size: int, manifest: Manifest) -> None:
        """Copy a set prepared on this machine to the URL, the manifest last, unless it is there already."""
        if self.is_local or self.manifest(name, size) == manifest:
            return
        folder = self.folder(name, size)
        for file in manifest.files:
            self.files.send(folder / file, f"{name}/{size}px/{file}")
        self.files.write(f"{name}/{size}px/{MANIFEST}", manifest.content())


_used: list[str] = []


def use_home(place: str) -> None:
    """Make this process read prepared sets there, whatever the setting is.

    Not through the environment, which other processes inherit and can show: a URL may contain a password.
    """
    _used[:] = [place]


def home_place() -> str:
    """The place of `use_home`, else the setting `RAYSWEEP_DATA`, else `data` of `raysweep.toml`, else
    `.raysweep/prepared` below this folder.

    Raises:
        UserError: a `raysweep.toml` that cannot be read, or has other settings.
    """
    asked = _used[0] if _used else os.environ.get(SETTING)
    return asked or _configured(Path(CONFIG).absolute()) or str(Path(DEFAULT).absolute())


def _configured(path: Path) -> str | None:
    """`data` of the file; a folder is relative to the file's folder."""
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    for name in settings:
        if name != "data":
            raise unknown_name("setting", name, ["data"], f"(in {path})")
    place = settings.get("data")
    if place is not None and (not isinstance(place, str) or not place):
        raise UserError(f"{path}: `data` must be a folder or a URL in quotes, but got {place!r}")
    return place if place is None or "://" in place else str(path.parent / Path(place).expanduser())


def home(place: str | None = None) -> Home:
    """The home at `place`, else at the set one."""
    return Home(place or home_place())


def is_name(text: str) -> bool:
    """Whether a text can name a prepared set: letters, digits, points, dashes and underscores.

    >>> [is_name(text) for text in ("affectnet-7", ".hidden", "a/b", "")]
    [True, False, False, False]
    """
    return _NAME.fullmatch(text) is not None


def _cache_of(url: str) -> Path:
    return user_cache() / "data" / hashlib.sha256(url.encode()).hexdigest()[:16]
