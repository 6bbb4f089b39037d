"""Aff-Wild: videos with valence and arousal of each frame. Classes are derived, because the release has none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from pathlib import Path

import torch

from raysweep.data.borrowed import BOX, borrowed_gaussians
from raysweep.data.expressions import AFFECTNET_MEANS, EXPRESSIONS
from raysweep.data.listing import FaceRecord, Listing, Problem
from raysweep.labels.gaussians import ClassGaussians, gaussian_labels

from .affectnet_codes import seven_classes
from .reader import Reader, held_out, wrong_release
from .rows import Entry, count_rows, read_lines
from .values import Rejected, inside_folder, quoted, read_number, read_va

CODES = dict(enumerate(EXPRESSIONS))
"""Classes by column of the posterior."""

NEAREST_MEAN = ClassGaussians(
    priors=torch.full((len(EXPRESSIONS),), 1 / len(EXPRESSIONS), dtype=torch.float64),
    means=torch.tensor(AFFECTNET_MEANS, dtype=torch.float64),
    covariances=0.04 * torch.eye(2, dtype=torch.float64).expand(len(EXPRESSIONS), 2, 2),
)
"""AffectNet's Gaussians as far as published: their means. With equal priors and one isotropic covariance of any size,
the most probable class is that of the nearest mean."""

SPLITS = ("train", "validation", "test")
VIDEOS = (".mp4", ".avi")
CHUNK = 4096
"""Frames labelled at once."""

DERIVED = "classes are derived from valence and arousal by {}; fusion with them is circular, and no claim about it"
NEAREST = (
    "the nearest of AffectNet's published class means, and Gaussian labels are fitted to those classes; the paper "
    "takes both from AffectNet's Gaussians (--option gaussians=NAME of a prepared AffectNet)"
)
BORROWED = "the most probable one under the {} (box of one standard deviation), which Gaussian labels use, too"
LAYOUT = """\
videos/train/<video>.{mp4,avi}
annotations/train/{valence,arousal}/<video>.txt   one value a line a frame
bboxes/train/<video>/<frame>.pts                  four corners, frames counted from 1; none where no face was found"""
TITLE = "Aff-Wild"


@dataclass(frozen=True)
class Video:
    """One video of the release. `files`: one or two encodings; `boxes`: None where the release has none."""

    name: str
    split: str
    valence: Path
    arousal: Path
    files: tuple[Path, ...]
    boxes: Path | None


def read_affwild(root: Path, options: Mapping[str, str]) -> Listing:
    """Aff-Wild. With the option `gaussians`, the name of a prepared AffectNet, a frame's class is the most probable
    under the Gaussians of its training images, and Gaussian labels use them, too (DDAF 4.1 and 5.1).

    Differs from the paper: without that option a frame's class is that of the nearest published mean, and Gaussian
    labels are fitted to the frames, since AffectNet's covariances are not published. With it or without, Euclidean
    labels take the means of the frames' own classes.

    Raises:
        UserError: a folder is missing, there are no annotations of this form, or no set of the option `gaussians`.
    """
    parts = [part for part in SPLITS if (root / "annotations" / part / "valence").is_dir()]
    if "train" not in parts or not (root / "videos" / "train").is_dir():
        raise wrong_release(root, TITLE, "videos/train/ and annotations/train/{valence,arousal}/")
    videos = [video for part in parts for video in _videos(root, part)]
    lists = [file for video in videos for file in (video.valence, video.arousal) if file.is_file()]
    if not lists:
        raise wrong_release(root / "annotations" / "train" / "valence", TITLE, "one .txt file a video")
    classes = EXPRESSIONS[: int(options["classes"])]
    borrowed = borrowed_gaussians(options["gaussians"], classes) if options["gaussians"] else None
    how = BORROWED.format(borrowed.origin) if borrowed else NEAREST
    notes: tuple[str, ...] = (DERIVED.format(how), *seven_classes(options))
    gaussians = borrowed.within(BOX) if borrowed else ClassGaussians(*(v[: len(classes)] for v in NEAREST_MEAN))
    if parts == ["train"]:
        videos = _with_test_split(videos)
        notes += ("split 80/20 by video (derived: the test videos of the release have no annotations)",)
    if not any(video.boxes for video in videos):
        notes += ("no face boxes came with the videos: whole frames",)
    return Listing(
        name="affwild",
        release="videos",
        root=root,
        classes=classes,
        entries=_entries(root, videos, gaussians),
        files=lists,
        options={k: v for k, v in options.items() if (k, v) not in (("classes", "8"), ("gaussians", ""))},
        notes=notes,
        total=sum(count_rows(file) for file in lists if file.parent.name == "valence"),
        gaussians=borrowed,
    )


def _videos(root: Path, part: str) -> list[Video]:
    """Every video that has a file or an annotation, in numerical order."""
    files, lists, boxes = root / "videos" / part, root / "annotations" / part, root / "bboxes" / part
    names = _stems(files, VIDEOS) | _stems(lists / "valence", (".txt",)) | _stems(lists / "arousal", (".txt",))
    return [
        Video(
            name=name,
            split=part,
            valence=lists / "valence" / f"{name}.txt",
            arousal=lists / "arousal" / f"{name}.txt",
            files=tuple(file for kind in VIDEOS if (file := files / f"{name}{kind}").is_file()),
            boxes=boxes / name if boxes.is_dir() else None,
        )
        for name in sorted(names, key=lambda name: (len(name), name))
    ]


def _stems(folder: Path, kinds: tuple[str, ...]) -> set[str]:
    files = folder.iterdir() if folder.is_dir() else ()
    return {file.stem for file in files if file.suffix in kinds and not file.name.startswith(".")}


def _with_test_split(videos: list[Video]) -> list[Video]:
    test = held_out({video.name for video in videos})
    return [replace(video, split="test") if video.name in test else video for video in videos]


def _entries(root: Path, videos: Sequence[Video], gaussians: ClassGaussians) -> Iterator[Entry]:
    for video in videos:
        where = quoted(f"video {video.name}")
        try:
            where = inside_folder(video.valence.parent, root, video.valence.name)
            _check(video)
        except Rejected as fault:
            yield fault.at(where)
            continue
        for other in video.files[1:]:
            yield Problem(where, "duplicate row", f"{other.name} is there beside {video.files[0].name}", fatal=False)
        yield from _labelled(_frames(root, video), gaussians)


def _check(video: Video) -> None:
    """Raises Rejected: a file that all frames need is missing."""
    for file in (video.valence, video.arousal):
        if not file.is_file():
            raise Rejected("VA missing", f"no {file.parent.name} for video {video.name}: all its frames are left out")
    if not video.files:
        raise Rejected("image missing", f"no video {video.name} in {' or '.join(VIDEOS)}: all its frames are left out")
    if video.boxes and not video.boxes.is_dir():
        raise Rejected("bad row", f"no folder of face boxes for video {video.name}: all its frames are left out")


def _labelled(frames: Iterator[Entry], gaussians: ClassGaussians) -> Iterator[Entry]:
    """Frames with their most probable class given valence and arousal."""
    while chunk := list(islice(frames, CHUNK)):
        va = [frame.va for frame in chunk if isinstance(frame, FaceRecord)]
        posterior = gaussian_labels(torch.tensor(va, dtype=torch.float64).reshape(-1, 2), gaussians)
        codes = iter(posterior.argmax(1).tolist())
        for frame in chunk:
            yield replace(frame, expression=CODES[next(codes)]) if isinstance(frame, FaceRecord) else frame


def _frames(root: Path, video: Video) -> Iterator[Entry]:
    valence, arousal = (read_lines(file, file.relative_to(root).as_posix()) for file in (video.valence, video.arousal))
    for frame, (one, other) in enumerate(zip_longest(valence, arousal)):
        where = (one or other)[0]
        if not one or not other:
            lacking = "arousal" if one else "valence"
            yield Problem(where, "bad row", f"{lacking} ends before: this frame and all after it are left out")
            return
        try:
            yield _frame(video, frame, where, one[1], other[1])
        except Rejected as fault:
            yield fault.at(where)


def _frame(video: Video, frame: int, where: str, valence: str | Problem, arousal: str | Problem) -> FaceRecord:
    for text in (valence, arousal):
        if isinstance(text, Problem):
            raise Rejected(text.kind, text.detail, str(video.files[0]))
    assert isinstance(valence, str)
    assert isinstance(arousal, str)
    va = read_va(valence.strip(), arousal.strip())
    if math.isnan(va[0]):
        raise Rejected("VA missing", f"valence {quoted(valence)}, arousal {quoted(arousal)}", str(video.files[0]))
    box = read_box(video.boxes / f"{frame + 1}.pts") if video.boxes else None
    return FaceRecord(video.files[0], "", where, va, subject=video.name, split=video.split, box=box, frame=frame)


def read_box(file: Path) -> tuple[float, float, float, float]:
    """Left, top, width and height around the four corners in a .pts file. Raises Rejected: no such file or corners."""
    if file.is_fifo():  # reading would wait
        raise Rejected("bad row", f"{file.name} is a pipe, no file")
    try:
        with file.open("rb") as stream:
            text = stream.read(4096).decode("ascii", "replace")
    except FileNotFoundError:
        raise Rejected("not a face", f"no face box for this frame ({file.name})") from None
    except OSError as error:
        raise Rejected("bad row", f"{file.name}: {error.strerror}") from None
    corners = [read_number(number) for number in text.partition("{")[2].partition("}")[0].split()]
    if len(corners) != 8 or not all(map(math.isfinite, corners)):
        raise Rejected("bad row", f"{file.name} must hold four corners between braces")
    left, top, right, bottom = (edge(corners[axis::2]) for edge in (min, max) for axis in (0, 1))
    if not (left < right and top < bottom):
        raise Rejected("box outside", f"{file.name}: the box has no area")
    return left, top, right - left, bottom - top


def fits(root: Path) -> bool:
    return (root / "annotations" / "train" / "valence").is_dir()


READER = Reader(
    title="Aff-Wild (videos)",
    layout=LAYOUT,
    read=read_affwild,
    fits=fits,
    options={"classes": ("8", "7"), "gaussians": "NAME of a prepared AffectNet: classes by its Gaussians"},
)
