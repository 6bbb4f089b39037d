"""`data.leave_out`: leaves out training images that are in validation or test, too.

Pixel-identical twins are found by the digests of a prepared set. The search for near twins takes minutes for a large
set, so its result is cached: in the data home, which all machines of a cluster share, else in the local cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from raysweep.config.sections import LeaveOut

from .audit import all_twins, exact_groups, without_twins
from .audit.duplicate_groups import Rows
from .audit.near_duplicates import VERSION
from .dataset import FaceData
from .digests import NO_CACHES, CacheFolder, ImageCaches, own_digests, read_cached, write_cached
from .progress import progress_bar


def leave_out(data: FaceData, which: LeaveOut, threshold: float, caches: ImageCaches = NO_CACHES) -> FaceData:
    """The data set without the images that `which` leaves out; images are not copied.

    Args:
        threshold: least likeness of near twins.
        caches: caches of results about its images.
    """
    if which == "twins":
        return without_twins(data, lambda: exact_groups(own_digests(data, caches)), "pixel-identical")
    if which == "near_twins":
        return without_twins(data, lambda: _near_twins(data, threshold, caches.places), "pixel-identical or near")
    return data


def _near_twins(data: FaceData, threshold: float, places: Sequence[CacheFolder]) -> Rows:
    """Groups of twins, from a cache if there is one."""
    text = f"{data.fingerprint}|{len(data)}|{threshold}|{VERSION}"
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    known = read_cached(key, "twins", places, len(data), np.int32)
    if known is not None:
        return known.astype(np.int64)
    found = all_twins(data, threshold, progress_bar)
    write_cached(found.astype(np.int32), key, "twins", places)
    return found
