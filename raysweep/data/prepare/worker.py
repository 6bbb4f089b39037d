"""The work of a worker process: decode and crop the faces of a chunk; write pixels, rows and problems to a folder."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import secrets
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from multiprocessing.connection import wait
from pathlib import Path

from raysweep.data.listing import BY_DESIGN, FaceRecord, Problem

from .chunks import Chunk, files_checksum, passes
from .crop import Crop, cut_out, find_face
from .decode import Photo, Unreadable, grey_square, read_photo
from .detect import needs_detection, with_face
from .parquet_rows import Row, label_row, write_problems, write_rows
from .video import read_frames

FACES, REST, ROWS, PROBLEMS, MADE = "faces", "rest", "rows.arrow", "problems.csv", "made.json"
"""Files of a chunk's folder: pixels of faces with an expression, of those with VA alone, rows, problems, a `Made`."""

DRAFT = "draft-"


@dataclass(frozen=True)
class PrepareTask:
    """Settings of all chunks. `work`: the folder for the chunks' folders."""

    work: Path
    root: Path
    classes: tuple[str, ...]
    crop: Crop

    def detects(self, record: FaceRecord) -> bool:
        """Whether the face of a record is to be detected."""
        return bool(self.crop.detector) and needs_detection(record)


@dataclass(frozen=True)
class Made:
    """The result of a chunk: numbers of `faces` with an expression and of the `rest` with VA alone, `bad` rows by kind,
    and `files_checksum` of its entries (`seen`)."""

    name: str
    faces: int
    rest: int
    bad: dict[str, int]
    seen: int

    @classmethod
    def of(cls, name: str, rows: list[Row], problems: list[Problem], seen: int) -> Made:
        rest = sum(row["expression"] == -1 for row in rows)
        bad = Counter(p.kind for p in problems if p.fatal and p.kind not in BY_DESIGN)
        return cls(name, len(rows) - rest, rest, dict(bad), seen)


def make_chunk(task: PrepareTask, chunk: Chunk) -> Made:
    """Make the folder `task.work / chunk.name`, atomically.

    Raises:
        UserError: a package for videos is missing.
        OSError: the folder cannot be written.
    """
    draft = task.work / f"{DRAFT}{os.getpid()}-{secrets.token_hex(4)}"
    draft.mkdir()
    try:
        rows: list[Row] = []
        problems: list[Problem] = []
        with (draft / FACES).open("wb") as faces, (draft / REST).open("wb") as rest:
            for entry in _faces(task, chunk):
                if isinstance(entry, Problem):
                    problems.append(entry)
                else:
                    row, pixels = entry
                    (rest if row["expression"] == -1 else faces).write(pixels)
                    rows.append(row)
        write_rows(draft / ROWS, rows)
        with (draft / PROBLEMS).open("w", encoding="utf-8") as stream:
            write_problems(stream, problems, task.root)
        made = Made.of(chunk.name, rows, problems, files_checksum(chunk.entries, task.root))
        (draft / MADE).write_text(json.dumps(asdict(made)))
        flush_files(draft)
        shutil.rmtree(task.work / chunk.name, ignore_errors=True)
        os.replace(draft, task.work / chunk.name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return made


def flush_files(folder: Path) -> None:
    """Flush the files of a folder to disk before it is renamed: else a power cut could leave them empty."""
    for path in folder.iterdir():
        with path.open("rb") as stream:
            os.fsync(stream.fileno())


def _faces(task: PrepareTask, chunk: Chunk) -> Iterator[tuple[Row, memoryview] | Problem]:
    for video, entries in passes(chunk.entries):
        if video is None:
            for entry in entries:
                yield from [entry] if isinstance(entry, Problem) else _photograph(task, entry)
        else:
            yield from _video(task, video, [entry for entry in entries if isinstance(entry, FaceRecord)])


def _photograph(task: PrepareTask, record: FaceRecord) -> Iterator[tuple[Row, memoryview] | Problem]:
    def scale_of(width: int, height: int) -> float:
        if task.detects(record):
            return 1.0  # the size of the face is not known yet
        return find_face(record, width, height, task.crop.margin)[0].side / task.crop.size

    try:
        photo = grey_square(record.pixels) if record.pixels else read_photo(record.path, scale_of)
        yield from _face(task, record, photo)
    except Unreadable as reason:
        yield _problem(record, reason)


def _video(task: PrepareTask, path: Path, records: list[FaceRecord]) -> Iterator[tuple[Row, memoryview] | Problem]:
    """The faces of one video, in the order of its frames; frames after its end are problems."""
    wanted: dict[int, list[FaceRecord]] = {}
    for record in sorted(records, key=lambda record: record.frame):
        wanted.setdefault(record.frame, []).append(record)
    why = Unreadable("image missing", "the video ends before this frame")
    try:
        for number, photo in read_frames(path, wanted.keys()):
            for record in wanted.pop(number):
                yield from _face_or_problem(task, record, photo)
    except Unreadable as reason:
        why = reason
    for missing in wanted.values():
        yield from (_problem(record, why) for record in missing)


def _face_or_problem(task: PrepareTask, record: FaceRecord, photo: Photo) -> Iterator[tuple[Row, memoryview] | Problem]:
    try:
        yield from _face(task, record, photo)
    except Unreadable as reason:
        yield _problem(record, reason)


def _face(task: PrepareTask, record: FaceRecord, photo: Photo) -> Iterator[tuple[Row, memoryview] | Problem]:
    if record.expression and record.expression not in task.classes:
        raise Unreadable("label out of range", f"{record.expression!r} is none of {', '.join(task.classes)}")
    if task.detects(record):
        record = with_face(record, photo)
    place, wrong = find_face(record, photo.width, photo.height, task.crop.margin)
    pixels = cut_out(photo, place, task.crop.size).data
    if wrong:
        yield Problem(record.where, "landmarks missing", wrong, str(record.path), fatal=False)
    expression = task.classes.index(record.expression) if record.expression else -1
    digest = hashlib.sha256(pixels).hexdigest()[:16]
    yield label_row(record, expression, task.root, digest), pixels


def _problem(record: FaceRecord, reason: Unreadable) -> Problem:
    frame = f"frame {record.frame}: " if record.frame >= 0 else ""
    return Problem(record.where, reason.kind, frame + reason.detail, str(record.path))


def start_worker() -> None:
    """Ignore Ctrl-C, which the parent handles, and exit when the parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
