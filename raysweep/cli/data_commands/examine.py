"""`examine`: twins across splits, and faces whose class and VA contradict each other, as text, CSV and pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

from raysweep.config.sections import Data
from raysweep.core.errors import UserError
from raysweep.core.spreadsheet import write_csv
from raysweep.data.audit import HEADER, QualityReport, across_splits, draw_inconsistent, draw_twins, examine
from raysweep.data.audit.near_duplicates import DRAWN_THRESHOLD, THRESHOLD
from raysweep.data.dataset import FaceData
from raysweep.data.load import SOURCES, load_data
from raysweep.data.progress import progress_bar

from .show import size_of


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("examine", help="find twins across splits, and classes that contradict VA")
    command.add_argument("source", help="a prepared set, a folder with one subfolder per expression, or a CSV file")
    command.add_argument("--size", type=int, metavar="PX", help="image side; default: the largest prepared size")
    command.add_argument("--exact", action="store_true", help="find pixel-identical twins only; much faster")
    command.add_argument("--threshold", type=float, metavar="L", help=f"similarity of near twins; default {THRESHOLD}")
    command.add_argument("--out", type=Path, default=Path(), metavar="FOLDER", help="output folder; default: this one")
    command.add_argument("--store", type=Path, default=Path(".raysweep"), help="where decoded images are kept")
    command.set_defaults(run=run)


def run(asked: argparse.Namespace) -> list[str]:
    """Examine the set. Returns the findings and the paths of the written files."""
    threshold = asked.threshold
    if threshold is None:
        threshold = DRAWN_THRESHOLD if asked.source in SOURCES else THRESHOLD
    if not 0 < threshold <= 1:
        raise UserError(f"`0 < --threshold <= 1` must hold, but got {threshold}")
    data = load_data(Data(source=asked.source, image_size=size_of(asked.source, asked.size)), asked.store / "data")
    report = examine(data, near=not asked.exact, threshold=threshold, bar=progress_bar)
    asked.out.mkdir(parents=True, exist_ok=True)
    return [*report.lines(), *_write(data, report, asked.out)]


def _write(data: FaceData, report: QualityReport, out: Path) -> list[str]:
    table = out / f"{data.name}-quality.csv"
    with table.open("w", newline="", encoding="utf-8") as stream:
        write_csv(stream, [HEADER, *report.rows()])
    lines = [f"every finding: {table}"]
    across = across_splits(report.twin_groups, report.splits)
    if across:
        picture = out / f"{data.name}-twins.png"
        draw_twins(data.images, report, across, picture, f"{data.name}: twins across splits")
        lines.append(f"twins across splits: {picture}")
    if report.inconsistent is not None and len(report.inconsistent.rows):
        picture = out / f"{data.name}-contradictions.png"
        draw_inconsistent(data.images, data.va.numpy(), report, picture)
        lines.append(f"class against valence and arousal: {picture}")
    return lines
