"""FERPlus: votes of ten raters for the images of FER2013, which come as FER2013's CSV file or as PNG files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from raysweep.core.errors import UserError
from raysweep.data.expressions import AFFECTNET_MEANS, EXPRESSIONS
from raysweep.data.listing import FaceRecord, Listing, Problem

from . import fer2013
from .affectnet_codes import left_out, seven_classes
from .reader import Reader, checked_entries, wrong_release
from .rows import CsvFile, Entry, Row, count_rows, open_table, read_rows
from .values import Rejected, Seen, inside, quoted, read_number

CHOICES = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)
"""Choices of a rater, in the order of the list; the first eight are expressions."""

EXPRESSION_CHOICES = len(EXPRESSIONS)

Votes = Sequence[float]

FILE = "fer2013new.csv"
COLUMNS = ("Usage", "Image name", *CHOICES)
FOLDERS = {"Training": "FER2013Train", "PublicTest": "FER2013Valid", "PrivateTest": "FER2013Test"}
LAYOUT = """\
fer2013new.csv   Usage,Image name,neutral,...,unknown,NF
fer2013.csv      FER2013's own file, row by row the same images
or
[data/]{FER2013Train,FER2013Valid,FER2013Test}/fer0000000.png"""
TITLE = "FERPlus"
CIRCULAR = "valence and arousal are derived from the votes: fusion with them is circular, and no claim about it"


def read_ferplus(root: Path, options: Mapping[str, str]) -> Listing:
    """FERPlus. Raises UserError: no votes, no images, or a fer2013.csv with another number of rows than the votes."""
    if not (root / FILE).is_file():
        raise wrong_release(root, TITLE, FILE)
    votes, images, pixels = open_table(root / FILE, root, COLUMNS), _image_folders(root), fer2013.list_in(root)
    if images:
        entries, files = partial(_from_files, votes, images, options), [votes.file]
    elif pixels:
        entries, files = partial(_from_pixels, votes, _pixel_table(pixels, votes), options), [votes.file, pixels]
    else:
        raise wrong_release(root, TITLE, f"{fer2013.FILE}, or FER2013Train/, FER2013Valid/ and FER2013Test/")
    return Listing(
        name="ferplus",
        release="votes with PNG files" if images else "votes with fer2013.csv",
        root=root,
        classes=EXPRESSIONS[: int(options["classes"])],
        entries=checked_entries(votes.file, TITLE, entries),
        files=files,
        options={key: value for key, value in options.items() if (key, value) != ("classes", "8")},
        notes=((CIRCULAR,) if options["va"] == "derived" else ()) + seven_classes(options),
        total=count_rows(votes.file) - 1,
    )


def _image_folders(root: Path) -> Path | None:
    """The folder that holds the three folders of images."""
    choices = (root, root / "data")
    return next((base for base in choices if all((base / name).is_dir() for name in FOLDERS.values())), None)


def _pixel_table(file: Path, votes: CsvFile) -> CsvFile:
    table = open_table(file, votes.file.parent, fer2013.COLUMNS)
    rows, expected = (sum(1 for _ in each.rows(one_line=True)) for each in (table, votes))
    if rows != expected:
        rule = f"{FILE} and {fer2013.FILE} must list the same images"
        raise UserError(f"{votes.file.parent}: {rule}, but have {expected:,} and {rows:,} rows")
    return table


def _from_files(votes: CsvFile, images: Path, options: Mapping[str, str]) -> Iterator[Entry]:
    return read_rows(votes.rows(), partial(_file, images, options, Seen()))


def _file(images: Path, options: Mapping[str, str], seen: Seen, where: str, row: Row) -> Iterator[Entry]:
    split = fer2013.read_usage(row["Usage"])
    path = inside(images / FOLDERS[row["Usage"]], row["Image name"])
    face = _face(where, row, path, split, options)
    if not left_out(face.expression, options):
        yield from _listed(face, seen, row["Image name"])


def _listed(face: FaceRecord, seen: Seen, name: str) -> Iterator[Entry]:
    """The face, after a problem where its image has a row already. The official counts include the four duplicates."""
    if not seen.is_new(name):
        yield Problem(face.where, "duplicate row", f"{name} is listed before", str(face.path), fatal=False)
    yield face


def _from_pixels(votes: CsvFile, pixels: CsvFile, options: Mapping[str, str]) -> Iterator[Entry]:
    """Faces from the n-th rows of both lists; lines are rows, since a stray quote must not shift the others."""
    seen = Seen()
    for (where, row), (_, pixel_row) in zip(votes.rows(one_line=True), pixels.rows(one_line=True), strict=True):
        if isinstance(pixel_row, Problem):
            yield pixel_row
        else:
            yield from read_rows([(where, row)], partial(_pixels, pixels.file, options, seen, pixel_row))


def _pixels(
    file: Path, options: Mapping[str, str], seen: Seen, pixel_row: Row, where: str, row: Row
) -> Iterator[Entry]:
    split = fer2013.read_usage(row["Usage"])
    if row["Usage"] != pixel_row["Usage"]:
        raise Rejected(
            "bad row", f"Usage is {row['Usage']} here, but {quoted(pixel_row['Usage'])} in the row of the pixels"
        )
    if not row["Image name"]:
        raise Rejected("no image name", "not one of FERPlus's images")
    face = replace(_face(where, row, file, split, options), pixels=fer2013.read_pixels(pixel_row["pixels"]))
    if not left_out(face.expression, options):
        yield from _listed(face, seen, row["Image name"])


def _face(where: str, row: Row, path: Path, split: str, options: Mapping[str, str]) -> FaceRecord:
    counts = read_votes([row[choice] for choice in CHOICES])
    expression, votes = label(counts, options["mode"])
    va = derived_va(counts) if options["va"] == "derived" else (math.nan, math.nan)
    return FaceRecord(path, expression, where, va, split=split, votes=votes)


def read_votes(texts: Sequence[str]) -> list[float]:
    """Counts by `CHOICES`. Raises Rejected: a count that is no whole number from 0 on."""
    votes = [read_number(text) for text in texts]
    for vote, text in zip(votes, texts, strict=True):
        if not 0 <= vote <= 1000 or vote != int(vote):
            raise Rejected("bad row", f"{quoted(text)} is no number of votes")
    return votes


def majority(votes: Votes) -> list[float]:
    """Only the choice that has more than half of the votes. Raises Rejected: there is none."""
    top = max(votes)
    if top <= sum(votes) / 2:
        raise Rejected("no majority", _vote_text(votes))
    return [vote if vote == top else 0.0 for vote in votes]


def probability(votes: Votes) -> list[float]:
    """The most frequent choices, up to three, until they have three quarters of the votes.

    As in the authors' code, the choices stop at "unknown" or "NF", whichever comes first in order of votes (then of
    the list), and those two do not count beside expressions with more votes.

    Raises:
        Rejected: more than three choices are needed, or they have no more than half of the votes.
    """
    kept, taken = [0.0] * len(votes), 0.0
    for choice in sorted(range(len(votes)), key=lambda i: -votes[i]):
        ties_with_kept = any(votes[choice] == votes[i] for i in range(len(votes)) if kept[i])
        full = taken >= 0.75 * sum(votes) or sum(map(bool, kept)) >= 3
        if not votes[choice] or (full and not ties_with_kept):  # ties are kept together
            break
        kept[choice] = votes[choice]
        taken += votes[choice]
        if choice >= EXPRESSION_CHOICES:
            if sum(kept) > votes[choice]:
                kept[choice] = 0.0
            break
    if sum(kept) <= sum(votes) / 2 or sum(map(bool, kept)) > 3:
        raise Rejected("no majority", _vote_text(votes))
    return kept


def multi_target(votes: Votes) -> list[float]:
    """Choices with at least 30 % of the votes. Raises Rejected: together they have no more than half."""
    kept = [vote if vote >= 0.3 * sum(votes) else 0.0 for vote in votes]
    if sum(kept) <= sum(votes) / 2:
        raise Rejected("no majority", _vote_text(votes))
    return kept


RULES = {"majority": majority, "probability": probability, "multi_target": multi_target}
"""The authors' rules. Before any of them single votes are dropped: a choice of one rater alone counts as a mistake."""


def label(votes: Votes, mode: str) -> tuple[str, tuple[float, ...]]:
    """An expression, and votes by `EXPRESSIONS`.

    `majority`: all votes for expressions, single ones too. `probability`: the votes that the rule keeps.
    `multi_target`: equal weights for the expressions that the rule keeps.

    Raises:
        Rejected: no majority, or a majority for "unknown" or "NF" (no face).
    """
    kept = RULES[mode]([vote if vote > 1 else 0.0 for vote in votes])
    top = kept.index(max(kept))
    if top >= EXPRESSION_CHOICES:
        raise Rejected("not a face", f"{CHOICES[top]}: {_vote_text(votes)}")
    if mode == "majority":
        kept = list(votes)
    elif mode == "multi_target":
        kept = [float(vote > 0) for vote in kept]
    return CHOICES[top], by_expression(kept)


def by_expression(votes: Votes) -> tuple[float, ...]:
    """The votes for expressions, in the order of `EXPRESSIONS`."""
    return tuple(votes[CHOICES.index(name)] for name in EXPRESSIONS)


def derived_va(votes: Votes) -> tuple[float, float]:
    """AffectNet's published class means, weighted by all votes for expressions."""
    weights = by_expression(votes)
    pairs = list(zip(weights, AFFECTNET_MEANS, strict=True))
    valence, arousal = (sum(weight * mean[axis] for weight, mean in pairs) / sum(weights) for axis in (0, 1))
    return valence, arousal


def _vote_text(votes: Votes) -> str:
    return ", ".join(f"{name} {vote:g}" for name, vote in zip(CHOICES, votes, strict=True) if vote)


READER = Reader(
    title="FERPlus (votes for FER2013)",
    layout=LAYOUT,
    read=read_ferplus,
    fits=lambda root: (root / FILE).is_file(),
    options={
        "mode": ("majority", "probability", "multi_target"),
        "va": ("none", "derived"),
        "classes": ("8", "7"),
    },
)
