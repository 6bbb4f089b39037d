"""`raysweep COMMAND ...`, the same as `python -m raysweep.COMMAND ...`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from raysweep import __version__
from raysweep.cli.arguments import leave
from raysweep.core.errors import unknown_name

COMMANDS = {
    "run": "plan and train a study; inspect or clean up its store",
    "report": "build tables and figures from MLflow runs",
    "data": "prepare, inspect and check data sets",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the command's exit code, or 2 for an unknown command."""
    parts = list(sys.argv[1:] if argv is None else argv)
    if parts[:1] in (["-h"], ["--help"]):
        print(usage())
        return 0
    if parts[:1] == ["--version"]:
        print(f"raysweep {__version__}")
        return 0
    if not parts or parts[0] not in COMMANDS:
        problem = f"raysweep: {unknown_name('command', parts[0], COMMANDS)}\n" if parts else ""
        print(f"{problem}{usage()}", file=sys.stderr)
        return 2
    code: int = import_module(f"raysweep.cli.{parts[0]}").main(parts[1:])
    return code


def usage() -> str:
    lines = [f"  {name:8} {what}" for name, what in COMMANDS.items()]
    return "\n".join(["usage: raysweep COMMAND ...", "", *lines, "", "raysweep COMMAND --help describes a command."])


def console() -> None:
    """The installed command `raysweep`."""
    leave(main())


if __name__ == "__main__":
    leave(main())
