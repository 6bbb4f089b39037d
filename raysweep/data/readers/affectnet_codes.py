"""AffectNet: codes of expressions, and other parts that its two releases have in common."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from raysweep.data.expressions import AFFECTNET_COUNTS, AFFECTNET_MEANS, EXPRESSIONS
from raysweep.data.listing import FaceRecord, Listing, Problem

from .rows import Entry
from .values import Rejected, read_code, read_va

CODES = dict(enumerate(EXPRESSIONS)) | {8: "none", 9: "uncertain", 10: "no face"}
"""Codes of both releases. "none": a face with none of the eight expressions, often with valence and arousal."""

LANDMARKS = 68
TITLE = "AffectNet"


def read_expression(text: str, options: Mapping[str, str]) -> str:
    """A canonical name, or "none". Raises Rejected: no such code, or one that is left out."""
    name = read_code(text, CODES)
    if name in ("uncertain", "no face"):
        raise Rejected("not a face", f"expression {text} is {name!r}")
    if name == "none" and options["none"] == "drop":
        raise Rejected("not a face", f"expression {text} is 'none': the option none=keep keeps it for regression")
    return name


def left_out(expression: str, options: Mapping[str, str]) -> bool:
    """Whether a face is left out: contempt, with seven classes."""
    return expression == "contempt" and options["classes"] == "7"


def seven_classes(options: Mapping[str, str]) -> tuple[str, ...]:
    """The note for captions."""
    return ("contempt is left out",) if options["classes"] == "7" else ()


def face(
    where: str,
    path: Path,
    expression: str,
    affect: tuple[str, str],
    split: str,
    landmarks: Sequence[float],
    box: tuple[float, float, float, float] | None = None,
) -> Iterator[Entry]:
    """Problems of one face, then its record. Raises Rejected: "none" without valence and arousal, or bad VA."""
    va = read_va(*affect)
    if math.isnan(va[0]) and expression == "none":
        raise Rejected("VA missing", "neither an expression nor valence and arousal", str(path))
    if math.isnan(va[0]):
        yield Problem(where, "VA missing", f"valence {affect[0]!r}, arousal {affect[1]!r}", str(path), fatal=False)
    if not landmarks:
        yield Problem(where, "landmarks missing", f"{LANDMARKS} points are expected", str(path), fatal=False)
    expression = "" if expression == "none" else expression
    yield FaceRecord(path, expression, where, va, split=split, box=box, landmarks=tuple(landmarks))


def whole(numbers: Sequence[float]) -> Sequence[float]:
    """The landmarks, or none where they are not `LANDMARKS` finite points."""
    return numbers if len(numbers) == 2 * LANDMARKS and all(map(math.isfinite, numbers)) else ()


def listing(
    root: Path,
    release: str,
    options: Mapping[str, str],
    entries: Iterator[Entry],
    files: Sequence[Path],
    total: int,
) -> Listing:
    """The listing of either release."""
    classes = EXPRESSIONS[: int(options["classes"])]
    return Listing(
        name="affectnet",
        release=release,
        root=root,
        classes=classes,
        entries=entries,
        files=files,
        options=dict(options),
        notes=seven_classes(options),
        counts=dict(zip(classes, AFFECTNET_COUNTS, strict=False)),
        means=dict(zip(classes, AFFECTNET_MEANS, strict=False)),
        total=total,
    )
