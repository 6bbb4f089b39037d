"""`manifest.json`, which describes a prepared data set. Written last; without it a set does not count as prepared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from raysweep.core.errors import UserError
from raysweep.core.versioned import NewerRecord, RecordFormat

MANIFEST, IMAGES, LABELS, PROBLEMS = "manifest.json", "images.npy", "labels.parquet", "problems.csv"

FORMAT = RecordFormat(field="format")
"""Of the folder; gets a new version when an older raysweep cannot read what a newer one writes."""


class File(BaseModel):
    """A file beside the manifest."""

    model_config = ConfigDict(frozen=True)

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


def _known(files: dict[str, File]) -> dict[str, File]:
    """Refuse other names of files: those in a manifest are fetched and written."""
    if unknown := files.keys() - {IMAGES, LABELS, PROBLEMS}:
        raise ValueError(f"{min(unknown)!r} is no file of a prepared set")
    return files


class VaMoments(BaseModel):
    """Annotated points of one class in the valence-arousal plane; covariances are divided by their number."""

    model_config = ConfigDict(frozen=True)

    count: int
    mean: tuple[float, float]
    std: tuple[float, float]
    covariance: float


class Borrowed(BaseModel):
    """`BorrowedGaussians`: their source, their numbers by `within_std`, and the reader of that set."""

    model_config = ConfigDict(frozen=True)

    origin: str
    numbers: dict[str, dict[str, list[Any]]]
    reader: str = ""


class Manifest(BaseModel):
    """Description of a prepared set. Images 0 to `images - va_only - 1` have an expression, the others VA alone.

    `counts` and `va`: split, then class ("" where there is VA alone); `problems`: by kind, `bad`: those for which an
    image was left out and that are not by the set's design; `published_counts` and `published_means`: training images,
    by class. `source`: the folder it was read from; `lists`: SHA-256 of its lists; `photographs`: 16 hex digits that
    change with the name or size of any file that was read ("": not recorded). `detector`: of faces without a box, or
    "". `reader`: its name ("": prepared before this was recorded, see `read_by`). `gaussians`: those of another set
    that classes were derived from.
    """

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT.version
    name: str
    release: str
    reader: str = ""
    gaussians: Borrowed | None = None
    source: str
    lists: dict[str, str]
    photographs: str = ""
    options: dict[str, str]
    classes: tuple[str, ...]
    size: int
    margin: float
    detector: str = ""
    cropped: str
    images: int
    va_only: int
    notes: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    counts: dict[str, dict[str, int]]
    va: dict[str, dict[str, VaMoments]]
    problems: dict[str, int]
    bad: dict[str, int] = {}
    left_out: int
    published_counts: dict[str, int]
    published_means: dict[str, tuple[float, float]]
    fingerprint: str
    raysweep: str
    pillow: str
    files: Annotated[dict[str, File], AfterValidator(_known)]

    @property
    def read_by(self) -> str:
        """The reader; for an older set by its release, "" where that is ambiguous: MorphSet's list, or a user's list of
        that name."""
        official = self.release not in ("CSV", "folder by class")
        return self.reader or (self.name if official else "")

    @property
    def stored_bytes(self) -> int:
        return sum(file.bytes for file in self.files.values())

    def content(self) -> bytes:
        return (self.model_dump_json(indent=1) + "\n").encode()


def parse_manifest(content: bytes, where: str) -> Manifest:
    """A manifest from its file's bytes.

    Raises:
        UserError: not a manifest, or one of a newer raysweep (`NewerRecord`).
    """
    try:
        return Manifest.model_validate(FORMAT.read(content))
    except NewerRecord as error:
        raise NewerRecord(f"{where}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"{where}: no manifest of a prepared data set ({field}: {first['msg']})") from None
    except ValueError as error:
        raise UserError(f"{where}: no manifest of a prepared data set ({error})") from None


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a prepared folder; None where there is none. Raises UserError: it cannot be read."""
    try:
        content = (folder / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"{folder / MANIFEST}: {error.strerror}") from None
    return parse_manifest(content, str(folder / MANIFEST))
