"""Frames of a video in one pass of the decoder. Needs PyAV: `pip install raysweep[video]`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from PIL import Image

from raysweep.core.errors import UserError

from .decode import Photo, Unreadable

CONTAINERS = "mov,avi,matroska"
"""Formats that FFmpeg may open: a playlist with the name of a video would make it open other files."""


def read_frames(path: Path, wanted: Collection[int]) -> Iterator[tuple[int, Photo]]:
    """The frames with these numbers (the first is 0), in ascending order, upright; fewer when the video is shorter.

    Raises:
        UserError: PyAV is not installed.
        Unreadable: no such file, or from here on it cannot be decoded.
    """
    try:
        import av
    except ImportError:
        raise UserError(f"{path.name} is a video, which needs PyAV: pip install 'raysweep[video]'") from None
    if not path.is_file():
        raise Unreadable("image missing", "no such file")
    try:
        with av.open(str(path), container_options={"format_whitelist": CONTAINERS}) as container:
            if not container.streams.video:
                raise Unreadable("image unreadable", "the file has no pictures")
            container.streams.video[0].thread_count = 1  # processes share the cores already
            last = max(wanted)
            for number, frame in enumerate(container.decode(video=0)):
                if number in wanted:
                    yield number, _upright(frame.to_image(), int(frame.rotation))
                if number >= last:
                    return
    except (av.FFmpegError, OSError) as error:
        raise Unreadable("image unreadable", f"{type(error).__name__}: {str(error)[:200]}") from error


def _upright(picture: Image.Image, counterclockwise: int) -> Photo:
    rgb = picture.convert("RGB")
    if counterclockwise:
        rgb = rgb.rotate(counterclockwise, expand=True)
    return Photo(rgb, rgb.width, rgb.height)
