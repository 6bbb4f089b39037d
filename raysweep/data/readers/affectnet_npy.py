"""AffectNet as released later: a folder of images and one of small .npy files, four an image."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from raysweep.core.bounds import NO_ARRAY
from raysweep.core.errors import UserError
from raysweep.data.listing import Listing, Problem

from . import affectnet_codes as codes
from .folders import image_names
from .reader import wrong_release
from .rows import Entry
from .values import Rejected, inside_folder, quoted

SPLITS = {"train_set": "train", "val_set": "test"}
"""The official validation set is the test set of all publications."""

LARGEST = 65_536
"""Largest annotation in bytes: 136 landmarks as strings of 100 characters have fewer."""


def fits(root: Path) -> bool:
    return any((root / part / "annotations").is_dir() for part in SPLITS)


def read(root: Path, options: Mapping[str, str]) -> Listing:
    """The listing of the newer release. Raises UserError: a folder is missing or empty."""
    for part in SPLITS:
        if not (root / part / "images").is_dir() or not (root / part / "annotations").is_dir():
            raise wrong_release(root, codes.TITLE, "train_set/ and val_set/ with images/ and annotations/ in each")
    names = {part: image_names(root / part / "images") for part in SPLITS}
    for part in SPLITS:
        if not names[part]:
            raise UserError(f"{root / part / 'images'}: {codes.TITLE} needs .jpg images here, but there are none")
        _check_annotated(root / part, names[part])
    total = sum(map(len, names.values()))
    return codes.listing(root, "release with .npy annotations", options, _entries(root, names, options), (), total)


def _check_annotated(folder: Path, names: list[str]) -> None:
    if not any((folder / "annotations" / f"{Path(name).stem}_exp.npy").is_file() for name in names[:1000]):
        first = f"{Path(names[0]).stem}_exp.npy"
        raise UserError(
            f"{folder / 'annotations'}: {codes.TITLE} needs {quoted(first)} here, for the image of that name"
        )


def _entries(root: Path, names: Mapping[str, list[str]], options: Mapping[str, str]) -> Iterator[Entry]:
    for part, split in SPLITS.items():
        images, annotations = root / part / "images", root / part / "annotations"
        for name in names[part]:
            where = quoted(name)
            try:
                where = inside_folder(annotations, root, f"{Path(name).stem}_exp.npy")
                yield from _face(where, images / name, annotations, split, options)
            except Rejected as fault:
                yield fault.at(where)
        yield from _without_image(root, annotations, names[part])


def _face(where: str, path: Path, annotations: Path, split: str, options: Mapping[str, str]) -> Iterator[Entry]:
    stem = str(annotations / path.stem)
    expression = codes.read_expression(_scalar(f"{stem}_exp.npy"), options)
    if codes.left_out(expression, options):
        return
    affect = _affect(f"{stem}_val.npy"), _affect(f"{stem}_aro.npy")
    yield from codes.face(where, path, expression, affect, split, _landmarks(f"{stem}_lnd.npy"))


def _without_image(root: Path, annotations: Path, names: list[str]) -> Iterator[Problem]:
    stems = {Path(name).stem for name in names}
    with os.scandir(annotations) as files:
        orphans = sorted(
            f.name for f in files if f.name.endswith("_exp.npy") and f.name[: -len("_exp.npy")] not in stems
        )
    for name in orphans:
        where = (annotations.relative_to(root) / name).as_posix().encode("utf-8", "replace").decode()
        yield Problem(where, "image missing", "an annotation without its image")


def _affect(file: str) -> str:
    """The value; "" (missing) where there is no file."""
    return _scalar(file) if os.path.exists(file) else ""


def _scalar(file: str) -> str:
    """The one value of an annotation as text: numbers and strings of numbers both occur."""
    values = load_annotation(file, most=1)
    if len(values) != 1:
        raise Rejected("bad row", f"{os.path.basename(file)} must hold one value, but is empty")
    return values[0]


def _landmarks(file: str) -> tuple[float, ...]:
    try:
        return tuple(codes.whole([float(value) for value in load_annotation(file, most=2 * codes.LANDMARKS)]))
    except (Rejected, ValueError):
        return ()


def load_annotation(file: str, most: int) -> list[str]:
    """All values of a small .npy file as text; never unpickles, and allocates no more than it has read.

    Raises:
        Rejected: no such file, no .npy file of numbers or strings, or more than `most` values.
    """
    name = os.path.basename(file)
    if Path(file).is_fifo():  # reading would wait
        raise Rejected("bad row", f"{quoted(name)} is a pipe, no file")
    try:
        with open(file, "rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as error:
        raise Rejected("bad row", f"{quoted(name)}: {error.strerror or 'cannot be read'}") from None
    if len(data) > LARGEST:
        raise Rejected("bad row", f"{quoted(name)} is larger than any annotation ({LARGEST:,} bytes)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # headers of Python 2 and old names of types are read, too
            array = np.lib.format.read_array(BytesIO(data), allow_pickle=False)
    except NO_ARRAY:
        raise Rejected("bad row", f"{quoted(name)} is no .npy file of numbers") from None
    if array.dtype.kind not in "iufbUS" or array.size > most:
        raise Rejected("bad row", f"{quoted(name)} must hold {most} numbers, but holds {array.size} of {array.dtype}")
    if array.dtype.kind == "U" and not _is_ascii(array):
        raise Rejected("bad row", f"{quoted(name)} holds text that is no number")
    return [value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in array.ravel().tolist()]


def _is_ascii(array: np.ndarray[Any, Any]) -> bool:
    """Checked before conversion to str: NumPy reads invalid code points, with which Python crashes."""
    points = np.dtype("u4").newbyteorder(array.dtype.byteorder)
    return not array.dtype.itemsize or bool((np.frombuffer(array.tobytes(), points) < 128).all())
