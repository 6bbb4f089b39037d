"""RAF-DB, single-label subset: one list of names and codes, aligned images of 100 x 100 pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from raysweep.data.expressions import EXPRESSIONS
from raysweep.data.record import Listing, Problem, Record

from .reader import Reader, fitting, wrong_release
from .rows import Entry, count_rows, read_lines
from .values import Rejected, Seen, inside, read_code, shown

CODES = {1: "surprise", 2: "fear", 3: "disgust", 4: "happiness", 5: "sadness", 6: "anger", 7: "neutral"}
"""Codes of the single-label subset. The compound subset has eleven others."""

COUNTS = {"surprise": 1290, "fear": 281, "disgust": 717, "happiness": 4772, "sadness": 1982, "anger": 705}
COUNTS |= {"neutral": 2524}
"""Training images an expression."""

LIST = "EmoLabel/list_patition_label.txt"
IMAGES = "Image/aligned"
LAYOUT = """\
EmoLabel/list_patition_label.txt   rows such as `train_00001.jpg 5`
Image/aligned/train_00001_aligned.jpg"""
TITLE = "RAF-DB"


def home(root: Path) -> Path | None:
    """The folder that holds the single-label subset: `root`, or `basic` in it."""
    return next((folder for folder in (root, root / "basic") if (folder / LIST).is_file()), None)


def read_rafdb(root: Path, options: Mapping[str, str]) -> Listing:
    """RAF-DB. Raises UserError: the list or the aligned images are missing, or the list is another one."""
    folder = home(root)
    if folder is None:
        raise wrong_release(root, TITLE, LIST)
    if not (folder / IMAGES).is_dir():
        raise wrong_release(folder, TITLE, f"{IMAGES}/ (aligned.zip unpacked)")
    file = folder / LIST
    return Listing(
        name="rafdb",
        release="single-label subset, aligned",
        root=root,
        classes=EXPRESSIONS[:7],
        entries=fitting(file, TITLE, partial(_entries, file, root, folder / IMAGES)),
        files=(file,),
        options=dict(options),
        counts=COUNTS,
        total=count_rows(file),
    )


def _entries(file: Path, root: Path, images: Path) -> Iterator[Entry]:
    seen = Seen()
    for where, text in read_lines(file, file.relative_to(root).as_posix()):
        try:
            if isinstance(text, Problem):
                yield text
            elif text.strip():
                yield _face(where, text.split(), images, seen)
        except Rejected as fault:
            yield fault.at(where)


def _face(where: str, words: list[str], images: Path, seen: Seen) -> Record:
    if len(words) != 2:
        raise Rejected("bad row", f"a row needs a name and a code, but has {len(words)} words")
    name, code = words
    path = inside(images, f"{name.removesuffix('.jpg')}_aligned.jpg")
    split = name.partition("_")[0]
    if split not in ("train", "test") or not name.endswith(".jpg"):
        raise Rejected("bad row", f"names are train_*.jpg or test_*.jpg, but this is {shown(name)}")
    face = Record(path, read_code(code, CODES), where, split=split)
    seen.add(path)
    return face


READER = Reader(
    title="RAF-DB (single-label subset, aligned images)",
    layout=LAYOUT,
    read=read_rafdb,
    fits=lambda root: home(root) is not None,
)
