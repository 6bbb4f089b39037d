"""RAF-DB, single-label subset: one list of names and codes, aligned images of 100 x 100 pixels."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from raysweep.core.formatting import plural
from raysweep.data.expressions import EXPRESSIONS
from raysweep.data.listing import FaceRecord, Listing, Problem

from .folders import image_names
from .reader import Reader, checked_entries, wrong_release
from .rows import Entry, count_rows, read_lines
from .values import Rejected, Seen, inside, quoted, read_code

CODES = {1: "surprise", 2: "fear", 3: "disgust", 4: "happiness", 5: "sadness", 6: "anger", 7: "neutral"}
"""Codes of the single-label subset. The compound subset has eleven others."""

COUNTS = {"surprise": 1290, "fear": 281, "disgust": 717, "happiness": 4772, "sadness": 1982, "anger": 705}
COUNTS |= {"neutral": 2524}
"""Training images an expression."""

LISTS = ("EmoLabel/list_patition_label.txt", "EmoLabel/list_partition_label.txt")
"""The release has the first spelling; some copies have the second."""

FOLDERS = {"aligned": "Image/aligned", "original": "Image/original"}
LAYOUT = """\
EmoLabel/list_patition_label.txt   (or list_partition_label.txt) rows such as `train_00001.jpg 5`
Image/aligned/train_00001_aligned.jpg, or Image/original/train_00001.jpg where there are no aligned ones"""
ORIGINAL = "the original photographs, not the aligned faces"
TITLE = "RAF-DB"


def list_in(root: Path) -> Path | None:
    """The list of the single-label subset: in `root`, or in `basic` in it."""
    choices = (folder / name for folder in (root, root / "basic") for name in LISTS)
    return next((file for file in choices if file.is_file()), None)


def read_rafdb(root: Path, options: Mapping[str, str]) -> Listing:
    """RAF-DB. Raises UserError: the list or the images are missing, or the list is another one."""
    file = list_in(root)
    if file is None:
        raise wrong_release(root, TITLE, LISTS[0])
    folder = file.parent.parent
    which = options["images"]
    if which == "auto":
        which = next((name for name, place in FOLDERS.items() if (folder / place).is_dir()), "aligned")
    if not (folder / FOLDERS[which]).is_dir():
        raise wrong_release(folder, TITLE, f"{FOLDERS[which]}/ ({which}.zip unpacked)")
    images = _Images(folder / FOLDERS[which], which)
    return Listing(
        name="rafdb",
        release="single-label subset, aligned" if which == "aligned" else "single-label subset, original photographs",
        root=root,
        classes=EXPRESSIONS[:7],
        entries=checked_entries(file, TITLE, partial(_entries, file, root, images)),
        files=(file,),
        options={} if which == "aligned" else {"images": which},
        notes=() if which == "aligned" else (ORIGINAL,),
        counts=COUNTS,
        total=count_rows(file),
    )


class _Images:
    """Files by their names in the list; endings may differ in case (.JPG)."""

    def __init__(self, folder: Path, which: str) -> None:
        self.folder, self._ending = folder, "_aligned" if which == "aligned" else ""
        self._names = {name.lower(): name for name in image_names(folder)}

    def __getitem__(self, name: str) -> Path:
        stem, ending = posixpath.splitext(name)
        file = f"{stem}{self._ending}{ending}"
        return inside(self.folder, self._names.get(file.lower(), file))


def _entries(file: Path, root: Path, images: _Images) -> Iterator[Entry]:
    seen = Seen()
    for where, text in read_lines(file, file.relative_to(root).as_posix()):
        try:
            if isinstance(text, Problem):
                yield text
            elif text.strip():
                yield _face(where, text.split(), images, seen)
        except Rejected as fault:
            yield fault.at(where)


def _face(where: str, values: list[str], images: _Images, seen: Seen) -> FaceRecord:
    if len(values) != 2:
        raise Rejected("bad row", f"a row needs a name and a code, but has {plural(len(values), 'word')}")
    name, code = values
    path = images[name]
    split = name.partition("_")[0].lower()
    if split not in ("train", "test") or not name.lower().endswith((".jpg", ".jpeg")):
        raise Rejected("bad row", f"names are train_*.jpg or test_*.jpg, but this is {quoted(name)}")
    face = FaceRecord(path, read_code(code, CODES), where, split=split)
    seen.add(path)
    return face


READER = Reader(
    title="RAF-DB (single-label subset)",
    layout=LAYOUT,
    read=read_rafdb,
    fits=lambda root: list_in(root) is not None,
    options={"images": ("auto", "aligned", "original")},
)
