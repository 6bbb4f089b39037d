"""Decoding of photographs of any format to upright 8-bit RGB."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from raysweep.data.image_types import FORMATS

MOST_PIXELS = Image.MAX_IMAGE_PIXELS or 89_478_485
"""Largest size of a photograph, checked in its header before pixels are decoded."""

ScaleOf = Callable[[int, int], float]
"""From width and height of an upright photograph to its pixels per pixel of the crop."""

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transposition that makes a photograph upright, by its EXIF orientation."""


class Unreadable(Exception):
    """A face cannot be read. `kind` is one of `listing.PROBLEMS`."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind, self.detail = kind, detail


@dataclass(frozen=True, slots=True)
class Photo:
    """An upright RGB picture. `width` and `height` are the file's own: a large JPEG may be decoded smaller."""

    rgb: Image.Image
    width: int
    height: int


def read_photo(path: Path, scale_of: ScaleOf) -> Photo:
    """Decode a file; of an animated one the first picture.

    A JPEG that the crop will shrink at least twice is decoded at 1/2, 1/4 or 1/8 (libjpeg averages the pixels).

    Raises:
        Unreadable: no such file, an empty or truncated one, no image, or one that is too large.
    """
    try:
        if path.stat().st_size == 0:
            raise Unreadable("image unreadable", "the file is empty")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about unusual metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _decode(path, scale_of)
    except FileNotFoundError:
        raise Unreadable("image missing", "no such file") from None
    except Unreadable:
        raise
    except Exception as error:  # Pillow raises many kinds for broken files
        raise Unreadable("image unreadable", f"{type(error).__name__}: {str(error)[:200]}") from error


def _decode(path: Path, scale_of: ScaleOf) -> Photo:
    # a stream, not a name: by name, Pillow maps an uncompressed TIFF, and decodes a rotated one wrongly
    with path.open("rb") as stream, Image.open(stream, formats=FORMATS) as photo:
        if photo.width * photo.height > MOST_PIXELS:  # other threads may reset the filter of Pillow's warning
            raise Unreadable("image unreadable", f"{photo.width} x {photo.height} pixels are more than {MOST_PIXELS:,}")
        size = None
        if photo.format in ("JPEG", "MPO"):
            size = photo.size
            _draft(photo, scale_of(*_turned(size, _orientation(photo))))
        photo.load()
        orientation = _orientation(photo)  # again: loading a TIFF makes it upright and removes the tag
        rgb = to_rgb(photo)
    width, height = _turned(size or rgb.size, orientation)
    return Photo(rgb.transpose(_TURNS[orientation]) if orientation in _TURNS else rgb, width, height)


def _turned(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    return size if orientation < 5 else size[::-1]


def _draft(photo: Image.Image, scale: float) -> None:
    for factor in (8, 4, 2):
        if scale >= factor and min(photo.size) >= factor:
            photo.draft(None, (photo.width // factor, photo.height // factor))
            return


def _orientation(photo: Image.Image) -> int:
    try:
        value = photo.getexif().get(_ORIENTATION, 1)
    except (OSError, ValueError, SyntaxError, KeyError, TypeError, struct.error):  # damaged metadata
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def to_rgb(photo: Image.Image) -> Image.Image:
    """Any mode as 8-bit RGB; transparent pixels become black, as outside of a photograph.

    16 bits are scaled, 65535 to 255. Floating-point numbers go from 0 (black) to 1 (white).

    Raises:
        Unreadable: integers beyond 16 bits, or floating-point numbers that are not in [0, 1]: their white is unknown.
    """
    if photo.mode == "F":
        photo = Image.fromarray(_from_float(np.asarray(photo)))
    elif photo.mode.startswith("I"):  # 16 bits, or 32 that hold 16
        photo = Image.fromarray(_from_integers(np.asarray(photo), photo.format == "TIFF" and photo.mode == "I"))
    if photo.has_transparency_data:
        layered = photo.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layered.size, (0, 0, 0, 255)), layered).convert("RGB")
    return photo if photo.mode == "RGB" else photo.convert("RGB")


def _from_float(grey: np.ndarray) -> np.ndarray:
    low, high = float(grey.min()), float(grey.max())  # NaN when there is any
    if not 0 <= low <= high <= 1:
        found = f"reach from {low:g} to {high:g}" if low <= high else "are not all numbers"
        raise Unreadable("image unreadable", f"floating-point pixels must be in [0, 1], but {found}")
    return np.rint(grey.astype(np.float64) * 255).astype(np.uint8)


def _from_integers(grey: np.ndarray, wide: bool) -> np.ndarray:
    """16 bits to 8. `wide`: from a file of 32-bit integers, whose range is unknown."""
    low, high = int(grey.min()), int(grey.max())
    if low < 0 or high > 65535 or (wide and high <= 255):
        rule = "32-bit pixels must use the range of 16 bits, 256 to 65535 for the brightest"
        raise Unreadable("image unreadable", f"{rule}, but reach from {low} to {high}")
    return ((grey.astype(np.int64) * 255 + 32767) // 65535).astype(np.uint8)


def grey_square(pixels: bytes) -> Photo:
    """A photograph from grey pixels in a list: a square, row by row, a byte a pixel.

    Raises:
        Unreadable: their number is not a square.
    """
    side = round(len(pixels) ** 0.5)
    if not pixels or side * side != len(pixels):
        raise Unreadable("image unreadable", f"{len(pixels)} pixels are no square")
    return Photo(Image.frombytes("L", (side, side), pixels).convert("RGB"), side, side)
