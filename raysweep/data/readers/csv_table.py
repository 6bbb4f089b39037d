"""A CSV of photographs: `path, expression[, valence, arousal][, subject][, split]`, by these or other usual names.

The file is read twice: once as a whole (classes, the scale of valence and arousal, images beside it that it does not
list), then lazily, row by row.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from raysweep.core.errors import UserError
from raysweep.core.formatting import plural
from raysweep.data.listing import FaceRecord, Listing, Problem, split_of

from .class_names import FORM, ClassNames
from .columns import FORMS, open_user_table
from .folders import MOST_NAMED, image_names
from .reader import Reader, checked_entries, wrong_release
from .rows import CsvFile, Entry, Row, read_rows
from .va_range import RANGE, VaRange, scale_of
from .values import AffectScale, Rejected, Seen, in_canonical_order, inside, is_missing, quoted

LAYOUT = """\
<any name>.csv   path,expression[,valence,arousal][,subject][,split], or other usual names (image, label, Emotion, v,
usage); separated by commas, semicolons (then also 0,5 for 0.5), tabs or |; other columns are named and not used
paths: relative to the CSV's folder, or absolute, but below it; with images=FOLDER relative to that folder and below
it, ../ from the CSV's own; an image that is listed twice is a problem, hidden files are never data
lines that start with # above the header are notes for captions, below it they are rows
split: train, val, dev, test, PublicTest, ... or empty; valence and arousal: empty, NA, nan or -2 where missing"""
TITLE = "a CSV of photographs"
IMAGES = "images"


@dataclass(frozen=True)
class Rules:
    """Rules for the rows of one file. Paths are below `root`; relative ones start there, those with `../` at `base`."""

    root: Path
    base: Path
    names: ClassNames
    scale: AffectScale

    def path(self, text: str) -> Path:
        up = text.replace("\\", "/").startswith("../") and self.base != self.root
        try:
            return inside(self.root, text, self.base if up else None)
        except Rejected as fault:
            if fault.kind != "path escapes":
                raise
            advice = f"--option {IMAGES}=FOLDER names a folder that holds all images"
            raise Rejected(fault.kind, f"{quoted(text)} leads out of {self.root}; {advice}", fault.path) from None

    def face(self, seen: Seen, where: str, row: Row) -> Iterator[Entry]:
        path = self.path(row["path"])
        record = read_face(path, where, row, self.names, self.scale)
        seen.add(path)
        yield record


def read_face(path: Path, where: str, row: Row, names: ClassNames, scale: AffectScale) -> FaceRecord:
    """One row. Raises Rejected: no expression, an unknown split, or bad valence or arousal."""
    if is_missing(row["expression"]):
        raise Rejected("bad row", f"path and expression must not be empty, but the expression is {row['expression']!r}")
    return FaceRecord(
        path=path,
        expression=names(row["expression"]),
        where=where,
        va=scale.read_va(row.get("valence", ""), row.get("arousal", "")),
        subject=_subject(row.get("subject", "")),
        split=read_split(row.get("split", "")),
    )


def read_split(text: str) -> str:
    """A split; "" where the cell is empty. Raises Rejected: it names none."""
    if is_missing(text):
        return ""
    split = split_of(text)
    if split is None:
        raise Rejected(
            "bad row", f"`split` must be train, validation or test (or val, dev, eval, ...), but got {text!r}"
        )
    return split


def _subject(text: str) -> str:
    """The subject, "" where it is missing; "3.0", as pandas writes numbers of a column with gaps, is "3"."""
    if is_missing(text):
        return ""
    whole, point, zeros = text.partition(".")
    return whole if point and not zeros.strip("0") and whole.isdecimal() else text


@dataclass
class FileCounts:
    """Counts over all rows of a file."""

    classes: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    without_split: int = 0
    half_va: int = 0
    folders: Counter[Path] = field(default_factory=Counter)
    seen: Seen = field(default_factory=Seen)
    va: VaRange = field(default_factory=VaRange)

    def add(self, rules: Rules, row: Row) -> None:
        self.va.add(row)
        if not is_missing(row["expression"]):
            self.classes[row["expression"]] += 1
        self.without_split += "split" in row and is_missing(row["split"])
        self.half_va += "valence" in row and _is_half(rules.scale, row)
        try:
            path = rules.path(row["path"])
        except Rejected:
            return
        if self.seen.is_new(path):
            self.folders[path.parent] += 1


def read_csv_listing(path: Path, options: Mapping[str, str]) -> Listing:
    """The listing of a CSV file, whose rows are read lazily: images below one folder only, each of them once.

    Raises:
        UserError: no CSV in UTF-8, ambiguous columns, separator, names or scale, or none of the first rows can be used.
    """
    if path.suffix.lower() not in (".csv", ".tsv") or not path.is_file():
        raise wrong_release(path, TITLE, "a .csv file")
    table, remarks = open_user_table(path, path.parent, options)
    names = ClassNames(options["names"])
    given = scale_of(options[RANGE], table.delimiter)
    rules = Rules(_images(path, options[IMAGES]), path.parent, names, given)
    survey = _survey(table, rules)
    names.number(survey.classes)
    notes = names.check(survey.classes, path, "label")
    remarks += (*survey.va.check(path, given), *_unlisted(rules.root, survey))
    entries = checked_entries(path, TITLE, partial(_entries, table, rules))
    return Listing(
        name=path.stem,
        release="CSV",
        root=rules.root,
        classes=in_canonical_order(names(name) for name in survey.classes),
        entries=entries,
        files=(path,),
        options={key: value for key, value in options.items() if value},
        notes=(*table.notes, *notes, *_gaps(survey)),
        remarks=remarks,
        names_lists=False,
        total=survey.rows,
    )


def _images(path: Path, option: str) -> Path:
    folder = (path.parent / Path(option).expanduser()).resolve() if option else path.parent
    if not folder.is_dir():
        raise UserError(f"{path}: --option {IMAGES}={option}: {folder} is no folder")
    return folder


def _survey(table: CsvFile, rules: Rules) -> FileCounts:
    survey = FileCounts()
    for _, row in table.rows():
        survey.rows += 1
        if not isinstance(row, Problem):
            survey.add(rules, row)
    return survey


def _is_half(scale: AffectScale, row: Row) -> bool:
    """Whether one of valence and arousal is missing and the other is not."""
    try:
        return math.isnan(scale.number(row["valence"])) != math.isnan(scale.number(row["arousal"]))
    except Rejected:
        return False


def _gaps(survey: FileCounts) -> Iterator[str]:
    if 0 < survey.without_split < survey.rows:
        names = "names no split: its image is" if survey.without_split == 1 else "name no split: their images are"
        yield f"{survey.without_split:,} of {survey.rows:,} rows {names} trained on"
    if survey.half_va:
        has = "has" if survey.half_va == 1 else "have"
        yield f"{survey.half_va:,} of {plural(survey.rows, 'row')} {has} one of valence and arousal: it is not used"


def _unlisted(root: Path, survey: FileCounts) -> Iterator[str]:
    """A remark on images beside listed ones that are not listed."""
    lacking: dict[str, int] = {}
    for folder in sorted(survey.folders):
        if not folder.is_dir():
            continue
        count = sum(folder / name not in survey.seen for name in image_names(folder))
        if count:
            lacking[quoted(f"{folder.relative_to(root).as_posix()}/", 200)[1:-1]] = count
    if lacking:
        some = [f"{count:,} in {name}" for name, count in list(lacking.items())[:MOST_NAMED]]
        more = f" and {len(lacking) - MOST_NAMED:,} other folders" if len(lacking) > MOST_NAMED else ""
        yield f"images beside listed ones that no row names: {', '.join(some)}{more}"


def _entries(table: CsvFile, rules: Rules) -> Iterator[Entry]:
    return read_rows(table.rows(), partial(rules.face, Seen()))


READER = Reader(
    title="a CSV of photographs, for anything else",
    layout=LAYOUT,
    read=read_csv_listing,
    fits=lambda path: path.is_file() and path.suffix.lower() in (".csv", ".tsv"),
    options={"names": FORM, RANGE: "LOW:HIGH", IMAGES: "FOLDER", **FORMS},
)
