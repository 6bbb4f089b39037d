"""Reading photographs from disk: decode, square, resize, collect what is broken.

Every source of real photographs gives a list of `Record`; `assemble` turns it into a `FaceData`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from raysweep.core.errors import UserError

from .dataset import TRAIN, FaceData
from .expressions import EXPRESSIONS
from .record import SPLITS, Record

IMAGE_TYPES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""What a file is taken for, whatever its name. Pillow knows more, and would hand PostScript to another program."""

LONGEST_PROBLEM = 500
"""Characters of a line: a path alone can have thousands."""

MAX_BAD_SHARE = 0.05
"""A data set with more unreadable images than this is refused."""


def assemble(
    name: str,
    records: Sequence[Record],
    image_size: int,
    notes: tuple[str, ...] = (),
    bad_rows: Sequence[str] = (),
) -> FaceData:
    """Decode every record to (3, image_size, image_size) and build the data set.

    Classes are AffectNet's eight in canonical order as far as present; other names follow in
    alphabetical order. A photograph that cannot be read is left out and listed in
    `info["problems"]`, beside the `bad_rows` of a list that never became records.

    Raises:
        UserError: no records, one class only, or more than 5 % of the rows or photographs are bad.
    """
    images, unreadable = _decode_all(records, image_size)
    kept = [i for i, image in enumerate(images) if image is not None]
    problems, rows = [*bad_rows, *unreadable], len(records) + len(bad_rows)
    if not kept or len(problems) > MAX_BAD_SHARE * rows:
        first = problems[0] if problems else "there are no records"
        raise UserError(
            f"{name}: at most {MAX_BAD_SHARE:.0%} bad rows or unreadable photographs are allowed, "
            f"but {len(problems)} of {rows} are; the first: {first}"
        )
    records = [records[i] for i in kept]
    present = {record.expression for record in records}
    classes = tuple(e for e in EXPRESSIONS if e in present) + tuple(sorted(present - set(EXPRESSIONS)))
    if len(classes) < 2:
        raise UserError(f"{name}: at least two expressions are needed, but all photographs are {classes[0]!r}")
    pixels = torch.from_numpy(np.stack([image for image in images if image is not None]))
    labels = torch.tensor([classes.index(record.expression) for record in records])
    return FaceData(
        name=name,
        classes=classes,
        images=pixels,
        labels=labels,
        va=torch.tensor([record.va for record in records], dtype=torch.float32),
        votes=torch.full((len(records), len(classes)), math.nan),
        subjects=_subject_ids(records),
        splits=torch.tensor([SPLITS.get(record.split, TRAIN) for record in records]),
        fingerprint=fingerprint(pixels, records),
        notes=notes,
        info={"problems": problems},
    )


def fingerprint(pixels_N3HW: torch.Tensor, records: Sequence[Record]) -> str:
    """SHA-256 over the pixels and every word of the records but the folder they lie in."""
    digest = hashlib.sha256(pixels_N3HW.numpy().tobytes())
    for r in records:
        digest.update(f"{r.path.name}|{r.expression}|{r.va}|{r.subject}|{r.split}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _decode_all(records: Sequence[Record], image_size: int) -> tuple[list[np.ndarray | None], list[str]]:
    problems: list[str] = []

    def decode(record: Record) -> np.ndarray | None:
        try:
            return decode_image(record.path, image_size)
        except OSError as error:
            problems.append(" ".join(f"{record.where}: {record.path}: {error}".split())[:LONGEST_PROBLEM])
            return None

    with ThreadPoolExecutor() as pool:
        images = list(pool.map(decode, records))
    return images, sorted(problems)


def decode_image(path: Path, image_size: int) -> np.ndarray:
    """An RGB uint8 array (3, S, S): the central square of the photograph, resized with antialiasing.

    Raises:
        OSError: no such file, or no image that can be read.
    """
    if path.is_fifo():
        raise OSError("a pipe, no file")
    try:
        with Image.open(path, formats=FORMATS) as photo:
            rgb = ImageOps.exif_transpose(photo).convert("RGB")
    except Exception as error:  # what broken files make Pillow raise is open-ended
        raise OSError(str(error) or type(error).__name__) from error
    side = min(rgb.size)
    left, top = (rgb.width - side) // 2, (rgb.height - side) // 2
    square = rgb.resize((image_size, image_size), Image.Resampling.BILINEAR, (left, top, left + side, top + side))
    return np.asarray(square).transpose(2, 0, 1).copy()


def _subject_ids(records: Sequence[Record]) -> torch.Tensor:
    names = sorted({record.subject for record in records if record.subject})
    number: Callable[[str], int] = {name: i for i, name in enumerate(names)}.__getitem__
    return torch.tensor([number(record.subject) if record.subject else -1 for record in records])
