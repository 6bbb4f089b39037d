"""Formats of photographs, by name and by content, and names of files that are never data."""

from __future__ import annotations

import os

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM")
"""Formats that are decoded, whatever a file's name. Pillow knows more, and starts another program for PostScript."""

IMAGE_TYPES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff"),
    *(".pgm", ".ppm", ".pbm", ".pnm", ".pfm"),
)
"""Endings of file names in those formats, in lower case."""

_LEFT_BY_SYSTEMS = (
    *("__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found", "__pycache__"),
    *("thumbs.db", "ehthumbs.db", "desktop.ini"),
)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of that name is never data: hidden, or made by an operating system.

    >>> [is_hidden(name) for name in ("._1.png", ".ipynb_checkpoints", "__MACOSX", "Thumbs.db", "1.png")]
    [True, True, True, True, False]
    """
    return name.startswith(".") or name.casefold() in _LEFT_BY_SYSTEMS


def is_image_name(name: str) -> bool:
    """Whether a visible file is an image by its ending."""
    return not is_hidden(name) and os.path.splitext(name)[1].lower() in IMAGE_TYPES
