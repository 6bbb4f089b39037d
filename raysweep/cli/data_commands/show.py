"""`show` and `sites`: statistics and pictures of a data set."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from matplotlib.figure import Figure

from raysweep.config.sections import Data
from raysweep.core.errors import UserError
from raysweep.core.formatting import plural
from raysweep.core.keyed_random import derive_key, permutation
from raysweep.data.dataset import TEST, TRAIN, VALIDATION, FaceData
from raysweep.data.load import SOURCES, load_data
from raysweep.data.plots.criteria import COLOURS, criteria_lines, draw_criteria, draw_plane
from raysweep.data.plots.faces import draw_contact_sheet
from raysweep.data.plots.samples import PLANE_DOTS, draw_samples, draw_site
from raysweep.data.prepare.location import home, is_name
from raysweep.data.synthetic import SITES, bayes_ceiling, criteria_of

DEFAULT_SIZE = 64


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    show = commands.add_parser("show", help="print the statistics of a data set and draw a contact sheet")
    show.add_argument("source", help="a name, a prepared set, a folder with a subfolder per expression, or a CSV file")
    show.add_argument("--out", type=Path, metavar="PNG", help="path of the contact sheet; default SOURCE.png")
    show.add_argument(
        "--size", type=int, metavar="PX", help=f"image side; default {DEFAULT_SIZE}, or the largest prepared size"
    )
    show.add_argument("--store", type=Path, default=Path(".raysweep"), help="where decoded images are kept")
    show.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="K=V",
        help="reader option, as for `prepare`; repeatable",
    )
    show.set_defaults(run=run_show)
    sites = commands.add_parser("sites", help="show how the labelling criteria of the built-in sites differ")
    sites.add_argument("--out", type=Path, default=Path("sites.png"), metavar="PNG", help="default sites.png")
    sites.set_defaults(run=run_sites)


def run_show(asked: argparse.Namespace) -> list[str]:
    size = size_of(asked.source, asked.size)
    options = tuple(asked.option)
    data = load_data(Data(source=asked.source, image_size=size, options=options), asked.store / "data")
    out: Path = asked.out or Path(f"{data.name}.png")
    lines = describe(data)
    if asked.source == "faces":
        draw_contact_sheet(out)
    elif asked.source in SITES:
        draw_site(data, out)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        draw_samples(data, out)
        if data.knows_va:
            plane = out.with_name(f"{out.stem}-plane{out.suffix}")
            draw_va(data, plane)
            return [*lines, f"contact sheet: {out}", f"valence and arousal: {plane}"]
    return [*lines, f"contact sheet: {out}"]


def size_of(source: str, wanted: int | None) -> int:
    """Side of the images, in pixels. Raises UserError for an invalid or unprepared size."""
    prepared = home().sizes(source) if source not in SOURCES and is_name(source) else []
    if wanted is not None:
        if not 32 <= wanted <= 512:
            raise UserError(f"`32 <= --size <= 512` must hold, but got {wanted}")
        if prepared and wanted not in prepared:
            raise UserError(f"{source} is prepared at {', '.join(map(str, prepared))} px, but --size is {wanted}")
        return wanted
    return prepared[-1] if prepared else DEFAULT_SIZE


def run_sites(asked: argparse.Namespace) -> list[str]:
    return [*draw_criteria(asked.out), f"picture: {asked.out}"]


def draw_va(data: FaceData, path: Path) -> None:
    """Write a PNG of training images in the valence-arousal plane, the same ones every time, coloured by class."""
    rows = data.rows(TRAIN)
    rows = rows[data.va[rows].isfinite().all(1)]
    rows = rows[permutation(derive_key("plane"), rows)][:PLANE_DOTS]
    figure = Figure(figsize=(5.6, 5.6), layout="constrained")
    axes = figure.subplots()
    draw_plane(axes, data.va[rows], data.labels[rows] % len(COLOURS))
    axes.set_ylabel("arousal")
    axes.set_title(f"{data.name}: {len(rows):,} training images", fontsize=11)
    for k, name in enumerate(data.classes):
        axes.plot([], [], "o", color=COLOURS[k % len(COLOURS)], label=name)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.09), ncols=4, fontsize=9, frameon=False, handletextpad=0.1)
    figure.savefig(path, dpi=90)


def describe(data: FaceData) -> list[str]:
    """Counts by class, mean VA, ceilings and remarks of a data set, as lines of text."""
    size = f"{plural(data.num_classes, 'expression')}, {data.images.shape[-1]} px"
    lines = [f"{data.name}: {plural(len(data), 'image')}, {size}"]
    lines.append(f"{'':12}" + "".join(f"{name:>11}" for name in ("training", "validation", "test", "mean V", "mean A")))
    for k, name in enumerate(data.classes):
        counts = [int((data.labels[data.rows(split)] == k).sum()) for split in (TRAIN, VALIDATION, TEST)]
        va = torch.nanmean(data.va[data.labels == k], 0).tolist()
        lines.append(f"{name:12}" + "".join(f"{n:>11}" for n in counts) + "".join(f"{x:>11.2f}" for x in va))
    known = data.va.isfinite().all(1).float().mean()
    lines.append(
        f"valence and arousal known for {float(known):.0%}; subjects: {len(data.subjects[data.subjects >= 0].unique())}"
    )
    if data.info.rater_probs is not None:
        ceiling = bayes_ceiling(data)
        agreement = (data.votes[data.rows(TRAIN)].max(1).values).mean()
        version = ".".join(str(n) for n in (data.info.version, data.info.sites_version) if n is not None)
        lines.append(f"version {version}; raters agree with the majority in {float(agreement):.0%} of votes")
        lines.append(
            f"Bayes ceiling on the test labels (a perfect reader of the true affect): "
            f"macro-F1 {ceiling['macro_f1']:.3f}, accuracy {ceiling['accuracy']:.3f}"
        )
    if data.info.target_probs is not None:
        lines += criteria_lines(data.name, criteria_of(data))
    lines += [f"note: {note}" for note in data.notes]
    lines += [f"remark: {remark}" for remark in data.info.remarks]
    lines += [f"left out, by kind: {problem}" for problem in data.info.problems]
    return lines + [f"left out: {row}" for row in data.info.bad_rows]
