"""Detection of faces in photographs that have no box. Needs dlib: `pip install raysweep[detect]`."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from raysweep.core.errors import UserError
from raysweep.data.listing import FaceRecord

from .decode import Photo, Unreadable

LONGER_SIDE = 800
"""Pixels to which a photograph is resized before detection. dlib's smallest face has 80 of them."""

LEAST_CONFIDENCE = -0.2
"""dlib's own choice is 0. This finds a seventh more of the faces of FERPlus, with as large a share of false ones."""

NO_FACE = "no face found"


def describe_detector() -> str:
    """Name, version and settings of the detector, for manifests and fingerprints.

    Raises:
        UserError: dlib is not installed.
    """
    try:
        import dlib
    except ImportError:
        raise UserError(
            "--detect finds faces with dlib, which is not installed: pip install 'raysweep[detect]'"
        ) from None
    return (
        f"dlib {dlib.__version__} frontal HOG detector, longer side {LONGER_SIDE} px, "
        f"confidence from {LEAST_CONFIDENCE:g} on"
    )


def needs_detection(record: FaceRecord) -> bool:
    """Whether a record has neither box nor landmarks; pixels in a list are cropped faces."""
    return record.box is None and not record.landmarks and not record.pixels


def with_face(record: FaceRecord, photo: Photo) -> FaceRecord:
    """The record with the box of the largest face in its photograph.

    Raises:
        Unreadable: there is none.
    """
    scale = LONGER_SIDE / max(photo.width, photo.height)
    size = max(1, round(photo.width * scale)), max(1, round(photo.height * scale))
    grey = np.asarray(photo.rgb.convert("L").resize(size, Image.Resampling.BILINEAR))
    faces, confidences, _ = _detector().run(grey, 0, LEAST_CONFIDENCE)
    if not faces:
        raise Unreadable(NO_FACE, f"none from {80 / scale:.0f} of {photo.width} x {photo.height} pixels on")
    _, face = max(zip(confidences, faces, strict=True), key=lambda found: (found[1].area(), found[0]))
    box = face.left() / scale, face.top() / scale, face.width() / scale, face.height() / scale
    return replace(record, box=box)


@cache
def _detector() -> Any:
    """One a process. Its weights are in the library's code: nothing is downloaded or unpickled."""
    import dlib

    return dlib.get_frontal_face_detector()
