"""Digests of images' pixels, by which the same picture is found in another data set, folder or list."""

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
"""Digests of the data sets used last, by key."""


@dataclass(frozen=True)
class CacheFolder:
    """A folder of `files` in which results about images are cached."""

    files: Files
    folder: str

    def name(self, key: str, what: str = "twins") -> str:
        return f"{self.folder}/{what}-{key}.npy" if self.folder else f"{what}-{key}.npy"


@dataclass(frozen=True)
class ImageCaches:
    """Caches of results about a data set's images. `prepared`: folder of a prepared set, which has digests; `places`:
    folders for other results, the best first."""

    prepared: Path | None = None
    places: Sequence[CacheFolder] = ()


NO_CACHES = ImageCaches()


def comparable_digests(
    data: FaceData, caches: ImageCaches, other: FaceData, other_caches: ImageCaches
) -> tuple[Digests, Digests]:
    """Digests that identify pictures in two sets: numbers of pictures of two built-in sets, undrawn; else of pixels."""
    numbers = [picture_numbers(one) for one in (data, other)]
    if numbers[0] is not None and numbers[1] is not None and data.images.shape[1:] == other.images.shape[1:]:
        return numbers[0], numbers[1]
    return image_digests(data, caches), image_digests(other, other_caches)


def own_digests(data: FaceData, caches: ImageCaches = NO_CACHES) -> Digests:
    """Digests that identify the pictures of one set, (N,): numbers of pictures of a built-in set; else of pixels."""
    numbers = picture_numbers(data)
    return image_digests(data, caches) if numbers is None else numbers


def picture_numbers(data: FaceData) -> Digests | None:
    """The numbers of built-in pictures, (N,) uint64; None for other sets."""
    numbers = data.info.pictures
    return None if numbers is None else numbers.numpy().view(np.uint64)


def image_digests(data: FaceData, caches: ImageCaches = NO_CACHES) -> Digests:
    """The first 64 bits of SHA-256 over the pixels of every image as loaded, (N,) uint64. Computed once."""
    picked = data.images if isinstance(data.images, Picked) else None
    whole = data.images if picked is None else picked.whole
    origin = data.fingerprint.split(" ")[0]  # of the set before images were left out
    key = hashlib.sha256(f"{origin}|{tuple(whole.shape)}".encode()).hexdigest()[:16]
    digests = _KNOWN.get(key)
    if digests is None:
        digests = _read(key, len(whole), caches)
    if digests is None:
        from .audit.thumbnails import pixel_digests  # imports scipy and matplotlib, which are slow

        digests = pixel_digests(whole[:] if isinstance(whole, Drawn) else whole)
        write_cached(digests, key, "digests", caches.places)
    _KNOWN[key] = digests
    while len(_KNOWN) > _MOST_KEPT:
        _KNOWN.popitem(last=False)
    return digests if picked is None else digests[picked.places.numpy()]


def write_cached(array: NDArray[np.generic], key: str, what: str, places: Sequence[CacheFolder]) -> None:
    """Cache an array in the first folder that can be written."""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    for place in places:
        with suppress(OSError, StoreUnusable):  # a read-only data home: the next place
            place.files.write(place.name(key, what), content.getvalue())
            break


def read_cached(
    key: str, what: str, places: Sequence[CacheFolder], count: int, dtype: type
) -> NDArray[np.generic] | None:
    """What `write_cached` wrote; None where it is missing or damaged."""
    for place in places:
        content = place.files.read(place.name(key, what))
        try:
            array: NDArray[np.generic] | None = np.load(io.BytesIO(content or b""), allow_pickle=False)
        except NO_ARRAY:
            array = None
        if array is not None and array.shape == (count,) and array.dtype == dtype:
            return array
    return None


def _read(key: str, count: int, caches: ImageCaches) -> Digests | None:
    if caches.prepared is not None:
        from .prepare.reader import read_digests  # needs pyarrow, which training on other data does not

        return read_digests(caches.prepared, count)
    found = read_cached(key, "digests", caches.places, count, np.uint64)
    return None if found is None else found.astype(np.uint64)
