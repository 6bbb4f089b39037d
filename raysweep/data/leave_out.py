"""`data.leave_out`: a data set less the training images that are in validation or test, too.

Pixel-identical twins are found by the digests that a prepared set has. Near ones take minutes of a large set, so what
was found is remembered beside it: in the data home, which all machines of a cluster share, else in the cache.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from raysweep.core.disk import StoreFull
from raysweep.core.files import Files

from .dataset import FaceData
from .progress import progress_bar
from .quality import all_twins, exact_groups, survey, without_twins
from .quality.groups import Rows
from .quality.near import VERSION


@dataclass(frozen=True)
class Beside:
    """Where something is remembered: a folder of `files`."""

    files: Files
    folder: str

    def name(self, key: str) -> str:
        return f"{self.folder}/twins-{key}.npy" if self.folder else f"twins-{key}.npy"


def leave_out(
    data: FaceData,
    which: Literal["none", "twins", "near_twins"],
    threshold: float,
    prepared: Path | None,
    places: Sequence[Beside],
) -> FaceData:
    """The data set as `data.leave_out` asks for it, images not copied.

    Args:
        threshold: least likeness of near twins.
        prepared: folder of a prepared set, whose digests are known.
        places: where near twins are remembered, the best place first.
    """
    if which == "none":
        return data
    if which == "twins":
        return without_twins(data, lambda: _exact(data, prepared), "pixel-identical")
    return without_twins(data, lambda: _near(data, threshold, places), "pixel-identical or near")


def _exact(data: FaceData, prepared: Path | None) -> Rows:
    if prepared is None:
        return exact_groups(survey(data.images).digests)
    from .prepare.read import read_digests  # needs pyarrow, which training on other data does not

    return exact_groups(read_digests(prepared, len(data)))


def _near(data: FaceData, threshold: float, places: Sequence[Beside]) -> Rows:
    """Groups of twins, remembered or found and then remembered at the first place that can be written."""
    words = f"{data.fingerprint}|{len(data)}|{threshold}|{VERSION}"
    key = hashlib.sha256(words.encode()).hexdigest()[:16]
    for place in places:
        known = _parse(place.files.read(place.name(key)), len(data))
        if known is not None:
            return known
    found = all_twins(data, threshold, progress_bar)
    content = io.BytesIO()
    np.save(content, found.astype(np.int32), allow_pickle=False)
    for place in places:
        with suppress(OSError, StoreFull):  # a data home that only others may write to: the next place
            place.files.write(place.name(key), content.getvalue())
            break
    return found


def _parse(content: bytes | None, count: int) -> Rows | None:
    """Groups as they were written; None for nothing, or for half a file."""
    if content is None:
        return None
    try:
        groups = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError):
        return None
    whole = groups.shape == (count,) and groups.dtype == np.int32
    return groups.astype(np.int64) if whole else None
