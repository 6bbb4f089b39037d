"""`prepare`: read a data set's original files once and store its faces ready for training."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from raysweep.cli.arguments import address
from raysweep.core.errors import UserError
from raysweep.core.formatting import size as format_bytes
from raysweep.data.listing import Listing
from raysweep.data.load import SOURCES, read_options
from raysweep.data.prepare.crop import MARGIN, Crop
from raysweep.data.prepare.detect import describe_detector
from raysweep.data.prepare.location import CONFIG, DEFAULT, SETTING, Home, home, is_name
from raysweep.data.prepare.manifest import Manifest
from raysweep.data.prepare.writer import MAX_BAD, prepare_listing
from raysweep.data.progress import progress_bar
from raysweep.data.readers import READERS, check_unpacked, read_listing, recognise


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    prepare = commands.add_parser(
        "prepare",
        help="crop, resize and store a data set once; run it again to continue after an interruption",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_readers(),
    )
    prepare.add_argument(
        "source",
        nargs="+",
        metavar="[NAME] PATH",
        help="reader and path of the data set; without NAME the reader is guessed from the files",
    )
    prepare.add_argument("--size", type=int, default=224, metavar="PX", help="side of the faces; default 224")
    prepare.add_argument("--margin", type=float, default=MARGIN, help=f"share added to face boxes; default {MARGIN}")
    prepare.add_argument(
        "--detect",
        action="store_true",
        help="detect the largest face in images without a box, skip images without a face; needs raysweep[detect]",
    )
    prepare.add_argument("--workers", type=int, metavar="N", help="processes; default: all cores")
    prepare.add_argument("--option", action="append", default=[], metavar="K=V", help="see below; repeatable")
    prepare.add_argument(
        "--to",
        metavar="FOLDER",
        type=address,
        help=f"folder or URL, or @FILE that holds it; default {SETTING}, else `data` in {CONFIG}, else {DEFAULT}",
    )
    prepare.add_argument("--as", dest="store", metavar="NAME", help="name of the prepared set; default the reader's")
    prepare.add_argument(
        "--max-bad", type=float, default=MAX_BAD, metavar="SHARE", help=f"fail if more rows are bad; default {MAX_BAD}"
    )
    prepare.set_defaults(run=run)


def _readers() -> str:
    lines = ["readers:"]
    for name, reader in READERS.items():
        lines.append(f"  {name}: {reader.title}")
        lines += [f"      {line}" for line in reader.layout.splitlines()]
        lines += [
            f"      --option {key}={values if isinstance(values, str) else '|'.join(values)}"
            for key, values in reader.options.items()
        ]
    return "\n".join(lines)


def run(asked: argparse.Namespace) -> list[str]:
    """Prepare a data set. Returns its counts, folder and notes."""
    crop, workers = _crop(asked), _workers(asked)
    reader, path = _source(asked.source)
    name = _store_name(asked.store, reader, path)
    listing = read_listing(reader, path, read_options(asked.option))
    place = home(asked.to)
    before = place.manifest(name, crop.size)
    manifest = _prepare(listing, place, name, crop, workers, asked.max_bad)
    folder = f"{place.place}/{name}/{crop.size}px"
    lines = [
        f"{name}: {manifest.images:,} images, {crop.size} px, {format_bytes(manifest.stored_bytes)} in {folder}",
    ]
    if before == manifest:
        lines.append("already prepared: nothing to do")
    if manifest.problems:
        lines.append(f"{_rows_left_out(manifest.left_out)}; every problem is in {folder}/problems.csv")
    lines += [f"note: {note}" for note in manifest.notes] + [f"remark: {remark}" for remark in manifest.remarks]
    setting = "" if place.place == home().place else f"{SETTING}={place.place} "
    return [*lines, f"counts and moments: {setting}python -m raysweep.data stats {name}"]


def _rows_left_out(count: int) -> str:
    return (
        f"left out: {count:,} row{'' if count == 1 else 's'}"
        if count
        else "nothing left out, but some values are missing"
    )


def _prepare(listing: Listing, place: Home, name: str, crop: Crop, workers: int, max_bad: float) -> Manifest:
    if not place.is_local:
        place.open(name, crop.size)  # downloads the set if the URL has it already
    with progress_bar(f"preparing {name}", "rows") as progress:
        manifest = prepare_listing(listing, place.folder(name, crop.size), crop, workers, max_bad, progress)
    place.publish(name, crop.size, manifest)
    return manifest


def _crop(asked: argparse.Namespace) -> Crop:
    low, high = 32, 512
    if not low <= asked.size <= high:
        raise UserError(f"`{low} <= --size <= {high}` must hold, but got {asked.size}")
    if not 0 <= asked.margin <= 1:
        raise UserError(f"`0 <= --margin <= 1` must hold, but got {asked.margin:g}")
    if not 0 <= asked.max_bad <= 1:
        raise UserError(f"`0 <= --max-bad <= 1` must hold, but got {asked.max_bad:g}")
    return Crop(asked.size, asked.margin, describe_detector() if asked.detect else "")


def _workers(asked: argparse.Namespace) -> int:
    if asked.workers is not None and asked.workers < 1:
        raise UserError(f"`--workers >= 1` must hold, but got {asked.workers}")
    return asked.workers or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def _source(arguments: list[str]) -> tuple[str, Path]:
    """Reader and path; the reader is guessed when there is only a path."""
    if len(arguments) > 2:
        raise UserError(f"prepare expects [NAME] PATH, but got {len(arguments)} arguments: {' '.join(arguments)}")
    path = Path(arguments[-1]).expanduser().absolute()
    name = arguments[0]
    if len(arguments) == 2:
        return name, path
    if name in READERS and not path.exists():
        raise UserError(f"prepare {name} needs the path of {READERS[name].title}")
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    check_unpacked(path)
    guess = recognise(path)
    if guess is None:
        raise UserError(f"{path}: no reader recognises this layout; name one of {', '.join(READERS)} to see why")
    return guess, path


def _store_name(wanted: str | None, reader: str, path: Path) -> str:
    default = path.stem if reader in ("folder", "csv") else reader
    name = wanted or default
    if not is_name(name):
        what = f"--as {name!r}" if wanted else f"the name of {path}"
        raise UserError(f"{what} cannot name a prepared set: give --as a name of letters, digits, . _ and -")
    if name in SOURCES:
        raise UserError(f"{name!r} is a built-in data set: choose another name with --as")
    return name
