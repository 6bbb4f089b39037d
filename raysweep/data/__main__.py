"""`python -m raysweep.data`: look at a data set before training on it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from raysweep.core.errors import UserError
from raysweep.core.experiment import Data

from .contact_sheet import draw_contact_sheet
from .criteria_sheet import criteria_lines, draw_criteria
from .dataset import TEST, TRAIN, VALIDATION, FaceData
from .faces import SITES, bayes_ceiling, criteria_of
from .load import SOURCES, load_data
from .samples_sheet import draw_samples, draw_site


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(
        prog="python -m raysweep.data",
        description="Show a data set: counts, what is missing or broken, and a contact sheet.",
        epilog=f"data sets by name: {', '.join(SOURCES)}; or the path of a class folder or a CSV file",
    )
    commands = words.add_subparsers(dest="command", required=True, metavar="COMMAND")
    show = commands.add_parser("show", help="print the figures of a data set and draw a contact sheet")
    show.add_argument("source", help="a name, a folder with one folder an expression, or a CSV file")
    show.add_argument("--out", type=Path, metavar="PNG", help="where the contact sheet goes; default SOURCE.png")
    show.add_argument("--size", type=int, default=64, metavar="PX", help="image side for the figures; default 64")
    show.add_argument("--store", type=Path, default=Path(".raysweep"), help="where decoded images are kept")
    sites = commands.add_parser("sites", help="how differently the built-in sites label: figures and a picture")
    sites.add_argument("--out", type=Path, default=Path("sites.png"), metavar="PNG", help="default sites.png")
    return words


def main(argv: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(argv)
    try:
        out = _sites(asked) if asked.command == "sites" else _show(asked)
    except (UserError, OSError) as error:
        print(f"raysweep: {error}", file=sys.stderr)
        return 2
    print(f"{'picture' if asked.command == 'sites' else 'contact sheet'}: {out}")
    return 0


def _show(asked: argparse.Namespace) -> Path:
    if not 32 <= asked.size <= 224:
        raise UserError(f"`32 <= --size <= 224` must hold, but got {asked.size}")
    data = load_data(Data(source=asked.source, image_size=asked.size), asked.store / "data")
    print("\n".join(describe(data)))
    out: Path = asked.out or Path(f"{data.name}.png")
    if asked.source == "faces":
        draw_contact_sheet(out)
    elif asked.source in SITES:
        draw_site(data, out)
    else:
        draw_samples(data, out)
    return out


def _sites(asked: argparse.Namespace) -> Path:
    out: Path = asked.out
    print("\n".join(draw_criteria(out)))
    return out


def describe(data: FaceData) -> list[str]:
    """What a person wants to know of a data set, a line each."""
    lines = [f"{data.name}: {len(data)} images, {data.num_classes} expressions, {data.images.shape[-1]} px"]
    lines.append(f"{'':12}" + "".join(f"{name:>11}" for name in ("training", "validation", "test", "mean V", "mean A")))
    for k, name in enumerate(data.classes):
        counts = [int((data.labels[data.rows(split)] == k).sum()) for split in (TRAIN, VALIDATION, TEST)]
        va = torch.nanmean(data.va[data.labels == k], 0).tolist()
        lines.append(f"{name:12}" + "".join(f"{n:>11}" for n in counts) + "".join(f"{x:>11.2f}" for x in va))
    known = data.va.isfinite().all(1).float().mean()
    lines.append(
        f"valence and arousal known for {float(known):.0%}; subjects: {len(data.subjects[data.subjects >= 0].unique())}"
    )
    if "rater_probs" in data.info:
        ceiling = bayes_ceiling(data)
        agreement = (data.votes[data.rows(TRAIN)].max(1).values).mean()
        version = ".".join(str(data.info[key]) for key in ("version", "sites_version") if key in data.info)
        lines.append(f"version {version}; raters agree with the majority in {float(agreement):.0%} of votes")
        lines.append(
            f"Bayes ceiling on the test labels (a perfect reader of the true affect): "
            f"macro-F1 {ceiling['macro_f1']:.3f}, accuracy {ceiling['accuracy']:.3f}"
        )
    if "target_probs" in data.info:
        lines += criteria_lines(data.name, criteria_of(data))
    lines += [f"note: {note}" for note in data.notes]
    problems = data.info.get("problems", [])
    return lines + [f"left out: {problem}" for problem in problems[:20]] + (["..."] if len(problems) > 20 else [])


if __name__ == "__main__":
    sys.exit(main())
