"""One pass over the images of a data set: a digest of each, and a thumbnail.

Everything here works in chunks, so `images` may be a memory map of any size; results take 264 bytes
an image. Shapes: N images of H x W pixels.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from raysweep.data.image_subset import Images
from raysweep.data.progress import OnProgress, ignore_progress

THUMB = 16
"""Side of a thumbnail in pixels."""

CHUNK = 256
"""Images decoded to floating point at a time: 50 MB at 224 pixels."""

Pixels = Images | NDArray[np.uint8]
"""(N, 3, H, W) uint8 on the CPU, a memory map or in memory."""


class Thumbnails(NamedTuple):
    """`digests` (N,) uint64; `thumbs` (N, THUMB, THUMB) uint8 grey."""

    digests: NDArray[np.uint64]
    thumbs: NDArray[np.uint8]

    def distinct(self) -> NDArray[np.int64]:
        """One row of each picture, the lowest, in the order of their digests. Shape (M,).

        That order does not depend on the order of the rows, so neither do results computed in it.
        """
        rows: NDArray[np.int64] = np.unique(self.digests, return_index=True)[1]
        return rows


def survey(images: Pixels, on_progress: OnProgress = ignore_progress) -> Thumbnails:
    """Digest and thumbnail of every image. `on_progress` is called with the images done, and all images."""
    digests = np.empty(len(images), np.uint64)
    thumbs = np.empty((len(images), THUMB, THUMB), np.uint8)
    for start in range(0, len(images), CHUNK):
        chunk = np.ascontiguousarray(images[start : start + CHUNK])
        digests[start : start + CHUNK] = [pixel_digest(image) for image in chunk]
        thumbs[start : start + CHUNK] = np.rint(shrink(grey(chunk), THUMB))
        on_progress(start + len(chunk), len(images))
    return Thumbnails(digests, thumbs)


def pixel_digests(images: Pixels) -> NDArray[np.uint64]:
    """`pixel_digest` of every image, (N,)."""
    digests = np.empty(len(images), np.uint64)
    for start in range(0, len(images), CHUNK):
        chunk = np.ascontiguousarray(images[start : start + CHUNK])
        digests[start : start + CHUNK] = [pixel_digest(image) for image in chunk]
    return digests


def pixel_digest(image: NDArray[np.uint8]) -> int:
    """The first 64 bits of SHA-256 over the pixels: one of 40 million sets of a million pictures has a collision."""
    return int.from_bytes(hashlib.sha256(image.tobytes()).digest()[:8], "big")


def grey(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, 3, H, W) to (n, H, W) in [0, 255], by the weights of ITU-R BT.601."""
    red, green, blue = (images[:, channel].astype(np.float32) for channel in range(3))
    mixed: NDArray[np.float32] = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
    return mixed


def shrink(pictures: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """(n, H, W) to (n, side, side): area means, hence antialiased; a smaller picture is enlarged linearly."""
    batch = torch.from_numpy(pictures)[:, None]
    if min(pictures.shape[1:]) >= side:
        resized = torch.nn.functional.interpolate(batch, size=(side, side), mode="area")
    else:
        resized = torch.nn.functional.interpolate(batch, size=(side, side), mode="bilinear", align_corners=False)
    return resized[:, 0].numpy()
