"""`python -m raysweep.data`: prepare, inspect and check data sets."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from raysweep.cli.arguments import leave, silence_stdout
from raysweep.core.errors import UserError
from raysweep.core.masking import mask_streams, masking
from raysweep.data.load import SOURCES
from raysweep.store.unusable import StoreUnusable

from .data_commands import examine, prepare, show
from .data_commands import inspect as prepared


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(
        prog="python -m raysweep.data",
        description="Prepare data sets from their original files; list, verify and show prepared sets.",
        epilog=f"built-in data sets: {', '.join(SOURCES)}; small class folders and CSV files need no preparation",
    )
    commands = arguments.add_subparsers(dest="command", required=True, metavar="COMMAND")
    prepare.add_parser(commands)
    prepared.add_parsers(commands)
    show.add_parsers(commands)
    examine.add_parser(commands)
    return arguments


@masking()
def main(argv: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(argv)
    try:
        lines = asked.run(asked)
    except (UserError, StoreUnusable, OSError) as error:
        print(f"raysweep: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("raysweep: interrupted; run the same command again to continue", file=sys.stderr)
        return 130
    try:
        print("\n".join(lines), flush=True)
    except BrokenPipeError:  # files are written before anything is printed
        silence_stdout()
    return 0


if __name__ == "__main__":
    mask_streams()
    leave(main())
