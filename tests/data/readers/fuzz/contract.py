"""What must hold whatever a reader is given: records, problems with file and row, or one `UserError`."""

import math
import os
import sys
from pathlib import Path

import torch

from raysweep.core.errors import UserError
from raysweep.data.dataset import FaceData
from raysweep.data.listing import PROBLEMS, SPLITS, FaceRecord, Listing, Problem
from raysweep.data.prepare.parquet_rows import problem_rows
from raysweep.data.readers import READERS, read_listing, recognise

LONGEST_ERROR = 2000


def check_words(error: UserError) -> None:
    """A line for people, perhaps with one more for what to do."""
    text = str(error)
    assert 1 <= len(text.splitlines()) <= 2, text
    assert len(text) < LONGEST_ERROR
    text.encode("utf-8", "surrogateescape")


def check_reader(name: str, root: Path, options: dict[str, str]) -> Listing | None:
    """The listing, after every one of its entries was looked at; None where there was an error in words."""
    recognise(root)
    try:
        listing = read_listing(name, root, options)
    except UserError as error:
        check_words(error)
        return None
    check_entries(listing)
    return listing


def last_options(name: str) -> dict[str, str]:
    return {option: values[-1] for option, values in READERS[name].options.items()}


def check_entries(listing: Listing) -> None:
    for entry in listing.entries:
        entry.where.encode()
        if isinstance(entry, FaceRecord):
            check_record(entry, listing)
        else:
            check_problem(entry)


def check_problem(problem: Problem) -> None:
    assert problem.kind in PROBLEMS
    assert problem.where, "a problem without a place"
    assert len(problem.detail.encode()) < LONGEST_ERROR


def check_record(record: FaceRecord, listing: Listing) -> None:
    assert record.path.is_relative_to(listing.root)
    assert ".." not in record.path.parts
    assert record.expression in listing.classes or (not record.expression and not math.isnan(record.va[0]))
    assert all(math.isnan(value) or -1 <= value <= 1 for value in record.va)
    assert math.isnan(record.va[0]) == math.isnan(record.va[1])
    assert record.split in ("", *SPLITS)
    assert len(record.landmarks) in (0, 136)
    assert len(record.pixels) in (0, 48 * 48)
    assert len(record.votes) in (0, 8)
    assert not record.votes or sum(record.votes) > 0
    assert record.box is None or (record.box[2] > 0 and record.box[3] > 0)


def check_faces(data: FaceData) -> None:
    """Of every set that training may be given."""
    count, classes = len(data.labels), data.num_classes
    assert data.images.shape[0] == count
    assert data.images.dtype == torch.uint8
    assert ((data.labels >= -1) & (data.labels < classes)).all()
    assert data.va.shape == (count, 2)
    assert (data.va.isnan() | (data.va.abs() <= 1)).all()
    assert data.votes.shape == (count, classes)
    sums = data.votes.sum(1)
    assert (sums.isnan() | ((sums - 1).abs() < 1e-4)).all()
    assert not (data.votes < 0).any()
    assert data.subjects.shape == data.splits.shape == (count,)
    assert ((data.splits >= 0) & (data.splits <= 2)).all()
    data.images.sum()  # every page can be read


def check_problem_list(path: Path) -> None:
    """Every row of a `problems.csv` has a place, a kind and words."""
    for row in problem_rows(path):
        assert row["kind"] in PROBLEMS, row
        assert row["where"], row
        assert row["fatal"] in ("yes", "no"), row
        assert None not in row, row


class Watch:
    """Notes what Python opens, makes and removes outside of the folders that are allowed.

    Hooks cannot be taken away, so there is one a process; libraries that open files by themselves are not seen.
    """

    def __init__(self) -> None:
        self.forbidden = self.readable = self.writable = ""
        self.trespasses: list[str] = []
        sys.addaudithook(self._note)

    def _note(self, event: str, words: tuple[object, ...]) -> None:
        if not self.forbidden or event not in ("open", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.truncate"):
            return
        path = words[0]
        if isinstance(path, (str, bytes, Path)):
            text = path.decode("utf-8", "replace") if isinstance(path, bytes) else str(path)
            writes = event != "open" or _is_writing(words)
            if text.startswith(self.forbidden) or (writes and text.startswith(self.readable)):
                self.trespasses.append(f"{event} {text}")


def _is_writing(words: tuple[object, ...]) -> bool:
    _, mode, flags = words
    writing = isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return writing or (isinstance(mode, str) and bool(set(mode) & set("wax+")))
