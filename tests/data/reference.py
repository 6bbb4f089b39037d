"""What one would write with Pillow alone: an independent reference for pixels."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps


def central_square(path: Path, size: int) -> np.ndarray:
    """The central square of an 8-bit photograph, (3, size, size) uint8."""
    with Image.open(path) as photo:
        rgb = ImageOps.exif_transpose(photo).convert("RGB")
    side = min(rgb.size)
    left, top = (rgb.width - side) // 2, (rgb.height - side) // 2
    square = rgb.resize((size, size), Image.Resampling.BILINEAR, (left, top, left + side, top + side))
    return np.asarray(square).transpose(2, 0, 1)
