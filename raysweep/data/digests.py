"""A digest of every image's pixels: by it the same picture is known again in another data set, folder or list."""

from __future__ import annotations

import hashlib
import io
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raysweep.core.bounds import NO_ARRAY
from raysweep.store.files import Files
from raysweep.store.unusable import StoreUnusable

from .dataset import FaceData
from .image_subset import Drawn, Picked

Digests = NDArray[np.uint64]

_MOST_KEPT = 16
_KNOWN: OrderedDict[str, Digests] = OrderedDict()
"""Of the data sets that were looked at last, by what identifies them."""


@dataclass(frozen=True)
class Beside:
    """Where something that was found about images is remembered: a folder of `files`."""

    files: Files
    folder: str

    def name(self, key: str, what: str = "twins") -> str:
        return f"{self.folder}/{what}-{key}.npy" if self.folder else f"{what}-{key}.npy"


@dataclass(frozen=True)
class Kept:
    """What lies beside a data set. `prepared`: folder of a prepared one, whose digests are known; `places`: where
    findings are remembered, the best place first."""

    prepared: Path | None = None
    places: Sequence[Beside] = ()


NOTHING_KEPT = Kept()


def comparable_digests(data: FaceData, kept: Kept, other: FaceData, other_kept: Kept) -> tuple[Digests, Digests]:
    """What tells the pictures of two sets apart: of built-in ones their numbers, which need no drawing, else pixels."""
    numbers = [picture_numbers(one) for one in (data, other)]
    if numbers[0] is not None and numbers[1] is not None and data.images.shape[1:] == other.images.shape[1:]:
        return numbers[0], numbers[1]
    return image_digests(data, kept), image_digests(other, other_kept)


def own_digests(data: FaceData, kept: Kept = NOTHING_KEPT) -> Digests:
    """What tells the pictures of one set apart, (N,): of a built-in one their numbers, which need no drawing."""
    numbers = picture_numbers(data)
    return image_digests(data, kept) if numbers is None else numbers


def picture_numbers(data: FaceData) -> Digests | None:
    """The numbers of built-in pictures, (N,) uint64; None for other sets."""
    numbers = data.info.pictures
    return None if numbers is None else numbers.numpy().view(np.uint64)


def image_digests(data: FaceData, kept: Kept = NOTHING_KEPT) -> Digests:
    """The first 64 bits of SHA-256 over the pixels of every image as it was loaded, (N,) uint64. Computed once."""
    picked = data.images if isinstance(data.images, Picked) else None
    whole = data.images if picked is None else picked.whole
    origin = data.fingerprint.split(" ")[0]  # whatever was left out of it since
    key = hashlib.sha256(f"{origin}|{tuple(whole.shape)}".encode()).hexdigest()[:16]
    digests = _KNOWN.get(key)
    if digests is None:
        digests = _read(key, len(whole), kept)
    if digests is None:
        from .audit.thumbnails import pixel_digests  # here: scipy and matplotlib take their time

        digests = pixel_digests(whole[:] if isinstance(whole, Drawn) else whole)
        remember(digests, key, "digests", kept.places)
    _KNOWN[key] = digests
    while len(_KNOWN) > _MOST_KEPT:
        _KNOWN.popitem(last=False)
    return digests if picked is None else digests[picked.places.numpy()]


def remember(array: NDArray[np.generic], key: str, what: str, places: Sequence[Beside]) -> None:
    """Write an array at the first place that can be written."""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    for place in places:
        with suppress(OSError, StoreUnusable):  # a data home that only others may write to: the next place
            place.files.write(place.name(key, what), content.getvalue())
            break


def recall(key: str, what: str, places: Sequence[Beside], count: int, dtype: type) -> NDArray[np.generic] | None:
    """What `remember` wrote; None for nothing, or for half a file."""
    for place in places:
        content = place.files.read(place.name(key, what))
        try:
            array: NDArray[np.generic] | None = np.load(io.BytesIO(content or b""), allow_pickle=False)
        except NO_ARRAY:
            array = None
        if array is not None and array.shape == (count,) and array.dtype == dtype:
            return array
    return None


def _read(key: str, count: int, kept: Kept) -> Digests | None:
    if kept.prepared is not None:
        from .prepare.reader import read_digests  # needs pyarrow, which training on other data does not

        return read_digests(kept.prepared, count)
    found = recall(key, "digests", kept.places, count, np.uint64)
    return None if found is None else found.astype(np.uint64)
