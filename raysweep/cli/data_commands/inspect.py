"""`list`, `stats` and `check`: the prepared sets, their contents, and whether they are intact."""

from __future__ import annotations

import argparse
from pathlib import Path

from raysweep.cli.arguments import address
from raysweep.core.errors import UserError, unknown_name
from raysweep.core.formatting import size as format_bytes
from raysweep.data.prepare.location import CONFIG, DEFAULT, SETTING, Home, home
from raysweep.data.prepare.manifest import Manifest, read_manifest
from raysweep.data.prepare.stats import describe_manifest
from raysweep.data.prepare.verify import find_fault
from raysweep.data.progress import progress_bar


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    everything = commands.add_parser("list", help="list prepared sets and their folders")
    _add_data(everything)
    everything.set_defaults(run=run_list)
    for name, help_text, run in (
        ("stats", "counts by class and moments of valence and arousal, next to the published ones", run_stats),
        ("check", "verify every checksum and shape of a prepared set", run_check),
    ):
        command = commands.add_parser(name, help=help_text)
        command.add_argument("store", metavar="STORE", help="name of a prepared set, or its folder")
        command.add_argument("--size", type=int, metavar="PX", help="which of its sizes; default: all")
        _add_data(command)
        command.set_defaults(run=run)


def _add_data(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data",
        metavar="FOLDER",
        type=address,
        help=f"folder or URL, or @FILE that holds it; default {SETTING}, else `data` in {CONFIG}, else {DEFAULT}",
    )


def run_list(asked: argparse.Namespace) -> list[str]:
    place = home(asked.data)
    lines = []
    for found in place.everything():
        if found.manifest is None:
            lines.append(
                f"{found.name:20} {found.size:>4} px  unfinished in {found.folder}: to continue, repeat `prepare`"
            )
        else:
            amount = f"{found.manifest.images:>10,} images {format_bytes(found.manifest.stored_bytes):>8}"
            lines.append(f"{found.name:20} {found.size:>4} px  {amount}  {found.folder}")
    return lines or [f"nothing is prepared in {place.place}; see `python -m raysweep.data prepare --help`"]


def run_stats(asked: argparse.Namespace) -> list[str]:
    lines: list[str] = []
    for where, manifest in _manifests(asked):
        lines += [*([""] if lines else []), *describe_manifest(manifest, where)]
    return lines


def run_check(asked: argparse.Namespace) -> list[str]:
    """Raises UserError naming the first broken file."""
    lines = []
    for folder in _folders(asked):
        manifest = read_manifest(folder)
        assert manifest is not None
        with progress_bar(f"checking {folder}", "images") as progress:
            fault = find_fault(folder, manifest, progress)
        if fault:
            raise UserError(f"{fault}\nremove {folder} and prepare it again")
        lines.append(f"{folder}: intact, {manifest.images:,} images, {format_bytes(manifest.stored_bytes)}")
    return lines


def _manifests(asked: argparse.Namespace) -> list[tuple[str, Manifest]]:
    given = read_manifest(Path(asked.store).expanduser())
    if given is not None:
        return [(asked.store, given)]
    place = home(asked.data)
    found = [(size, place.manifest(asked.store, size)) for size in sizes_of(place, asked.store, asked.size)]
    return [(f"{place.place}/{asked.store}/{size}px", manifest) for size, manifest in found if manifest is not None]


def _folders(asked: argparse.Namespace) -> list[Path]:
    """Local folders of a set; a set at a URL is downloaded."""
    if read_manifest(Path(asked.store).expanduser()) is not None:
        return [Path(asked.store).expanduser()]
    place = home(asked.data)
    found = [place.open(asked.store, size) for size in sizes_of(place, asked.store, asked.size)]
    return [folder for folder in found if folder is not None]


def sizes_of(place: Home, name: str, wanted: int | None) -> list[int]:
    """The sizes at which a set is prepared, or only the `wanted` one.

    Raises:
        UserError: it is not prepared, or not at that size.
    """
    sizes = place.sizes(name) if "/" not in name else []
    if not sizes:
        names = place.names()
        if not names:
            raise UserError(f"{name!r} is not prepared, and nothing is in {place.place}")
        raise unknown_name("prepared data set", name, names, f"(in {place.place})")
    if wanted is not None and wanted not in sizes:
        raise UserError(f"{name} is prepared at {', '.join(map(str, sizes))} px, but --size is {wanted}")
    return sizes if wanted is None else [wanted]
