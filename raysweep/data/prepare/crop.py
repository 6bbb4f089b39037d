"""The square of a face in a photograph, and its pixels at a fixed size, resampled once from the original."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from raysweep.data.listing import FaceRecord

from .align import four_points, similarity
from .decode import Photo, Unreadable

MARGIN = 0.1


@dataclass(frozen=True)
class Crop:
    """How faces are cut out. `size`: pixels a side; `margin`: added to each side of a box, share of its longer one.

    `detector`: of faces in photographs that have neither landmarks nor a box (`describe_detector`), or "".
    """

    size: int = 224
    margin: float = MARGIN
    detector: str = ""

    @property
    def description(self) -> str:
        last = f"around the largest face, if any, by {self.detector}" if self.detector else "the central square"
        return (
            f"by landmarks (eye centres and mouth corners onto a template), else by box with {self.margin:.0%} on "
            f"each side, else {last}; {self.size} px"
        )


@dataclass(frozen=True, slots=True)
class Place:
    """A square in a photograph: (x, y) + u * (right_x, right_y) + v * (down_x, down_y), u and v in [0, 1]; pixels."""

    x: float
    y: float
    right_x: float
    right_y: float
    down_x: float
    down_y: float

    @property
    def side(self) -> float:
        return math.sqrt(abs(self.right_x * self.down_y - self.right_y * self.down_x))

    def scaled(self, by_x: float, by_y: float) -> Place:
        """The same square in a photograph of another resolution."""
        return Place(
            self.x * by_x,
            self.y * by_y,
            self.right_x * by_x,
            self.right_y * by_y,
            self.down_x * by_x,
            self.down_y * by_y,
        )

    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the region that it covers."""
        xs = [self.x + u * self.right_x + v * self.down_x for u in (0, 1) for v in (0, 1)]
        ys = [self.y + u * self.right_y + v * self.down_y for u in (0, 1) for v in (0, 1)]
        return min(xs), min(ys), max(xs), max(ys)


def find_face(record: FaceRecord, width: int, height: int, margin: float) -> tuple[Place, str]:
    """The square of a record's face, and the fault of its landmarks, or "".

    Raises:
        Unreadable: the box misses the photograph.
    """
    if record.landmarks:
        place = _by_landmarks(record.landmarks, width, height)
        if place is not None:
            return place, ""
    wrong = "landmarks of no known kind, or outside of the photograph" if record.landmarks else ""
    if record.box is not None:
        return _by_box(record.box, width, height, margin), wrong
    side = min(width, height)  # whole pixels
    return Place((width - side) // 2, (height - side) // 2, side, 0, 0, side), wrong


def _by_landmarks(landmarks: tuple[float, ...], width: int, height: int) -> Place | None:
    points = four_points(landmarks)
    if points is None:
        return None
    try:
        a, b = similarity(points)
    except ValueError:
        return None
    corner, right = -b / a, 1 / a
    down = right * 1j
    place = Place(corner.real, corner.imag, right.real, right.imag, down.real, down.imag)
    middle = corner + (right + down) / 2
    inside = 0 <= middle.real < width and 0 <= middle.imag < height
    return place if inside and 2 <= place.side <= 4 * max(width, height) else None


def _by_box(box: tuple[float, float, float, float], width: int, height: int, margin: float) -> Place:
    """The square around a box, shifted into the photograph if it fits there."""
    if not all(map(math.isfinite, box)):
        raise Unreadable("box outside", f"box {_listed(box)} is no box")
    left, top = max(box[0], 0.0), max(box[1], 0.0)
    right, bottom = min(box[0] + box[2], width), min(box[1] + box[3], height)
    if right - left < 1 or bottom - top < 1:
        raise Unreadable("box outside", f"box {_listed(box)} covers nothing of {width} x {height} pixels")
    side = max(right - left, bottom - top) * (1 + 2 * margin)
    x = _moved((left + right - side) / 2, side, width)
    y = _moved((top + bottom - side) / 2, side, height)
    return Place(x, y, side, 0, 0, side)


def _moved(start: float, side: float, limit: int) -> float:
    return min(max(start, 0.0), limit - side) if side <= limit else start


def _listed(box: tuple[float, float, float, float]) -> str:
    return ", ".join(f"{value:g}" for value in box)


def cut_out(photo: Photo, place: Place, size: int) -> np.ndarray:
    """The square as RGB uint8 (3, size, size), antialiased; black where it leaves the photograph."""
    rgb = photo.rgb
    place = place.scaled(rgb.width / photo.width, rgb.height / photo.height)
    left, top, right, bottom = place.box()
    upright = place.right_y == 0 and place.down_x == 0
    if upright and left >= 0 and top >= 0 and right <= rgb.width and bottom <= rgb.height:
        face = rgb.resize((size, size), Image.Resampling.BILINEAR, (left, top, right, bottom))
    else:
        face = _resampled(rgb, place, size)
    return np.ascontiguousarray(np.asarray(face).transpose(2, 0, 1))


def _resampled(rgb: Image.Image, place: Place, size: int) -> Image.Image:
    """Shrunk to the resolution of the crop first, then transformed: Pillow transforms slowly, pixel by pixel."""
    if place.side > size:
        rgb, place = _shrunk(rgb, place, place.side / size)
    step = 1 / size
    coefficients = (
        place.right_x * step,
        place.down_x * step,
        place.x,
        place.right_y * step,
        place.down_y * step,
        place.y,
    )
    return rgb.transform((size, size), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)


def _shrunk(rgb: Image.Image, place: Place, scale: float) -> tuple[Image.Image, Place]:
    """The region of the square, `scale` times smaller, antialiased, and the square in it.

    Bicubic, as the bilinear interpolation that follows smooths again: together they are as sharp as one bilinear
    reduction, which an upright square gets.
    """
    left, top, right, bottom = place.box()
    around = 2 * math.ceil(scale)
    region = (
        max(0, math.floor(left) - around),
        max(0, math.floor(top) - around),
        min(rgb.width, math.ceil(right) + around),
        min(rgb.height, math.ceil(bottom) + around),
    )
    width, height = region[2] - region[0], region[3] - region[1]
    shape = (max(1, round(width / scale)), max(1, round(height / scale)))
    moved = Place(place.x - region[0], place.y - region[1], place.right_x, place.right_y, place.down_x, place.down_y)
    smaller = rgb.resize(shape, Image.Resampling.BICUBIC, region)
    return smaller, moved.scaled(shape[0] / width, shape[1] / height)
