"""What a data set is, as its reader knows it, whatever it is called."""

from __future__ import annotations

from .dataset import FaceData
from .names import BUILT_IN

DRAWN = "faces"
"""Kind of the built-in faces."""


def kind_of(data: FaceData) -> str:
    """The reader of a set of photographs, `DRAWN` for built-in faces, "" where nobody recorded it.

    A list or folder of the user's own is "csv" or "folder", whatever its name.
    """
    if data.info.reader is None and data.name in BUILT_IN:
        return DRAWN
    return data.info.reader or ""


def read_otherwise(data: FaceData) -> dict[str, str]:
    """Options that the reader was given, classes aside: they are seen in the set itself. With `gaussians_reader`, who
    read the set that Gaussians were borrowed from."""
    options = {name: value for name, value in sorted(data.info.options.items()) if name != "classes"}
    return options | ({"gaussians_reader": data.gaussians.reader} if data.gaussians else {})
