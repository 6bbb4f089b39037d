"""Shared by all commands: parsing of command-line values, and how a command exits."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from raysweep.core.errors import UserError, describe
from raysweep.core.masking import masked, remember


def parse_assignment(option: str, text: str) -> tuple[str, str]:
    """FIELD=VALUE as (field, value).

    >>> parse_assignment("--set", "train.epochs=5")
    ('train.epochs', '5')
    """
    name, separator, value = text.partition("=")
    if not separator or not name.strip() or not value.strip():
        raise UserError(f"{option} expects FIELD=VALUE, but got {text!r}")
    return name.strip(), value.strip()


def address(text: str) -> str:
    """An address that may hold a password; of `@FILE`, the content of that file. Warns of a password that was typed:
    other accounts of a machine can read command lines.

    >>> address("s3://bucket/raysweep")
    's3://bucket/raysweep'

    Raises:
        argparse.ArgumentTypeError: the file cannot be read, or is empty.
    """
    if not text.startswith("@"):
        if masked(text) != text:
            sys.stderr.write(
                "warning: other accounts of this machine can see passwords on a command line: write the address into "
                "a file that only you can read, and give it as @FILE\n"
            )
        return text
    try:
        lines = Path(text[1:]).expanduser().read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"{text[1:]} cannot be read ({describe(error)})") from None
    if len(lines) != 1:
        raise argparse.ArgumentTypeError(f"{text[1:]} must hold one address without spaces, but has {len(lines)}")
    return remember(lines[0])


def parse_seeds(text: str) -> range:
    """Replicate numbers: "3" is 0, 1, 2; "100:105" is 100 to 104.

    >>> list(parse_seeds("100:103"))
    [100, 101, 102]
    """
    first, separator, last = text.partition(":")
    try:
        numbers = range(int(first), int(last)) if separator else range(int(first))
    except ValueError:
        numbers = range(0)
    if not numbers or numbers.start < 0:
        raise UserError(f"--seeds expects a count such as 3, or a range such as 100:105, but got {text!r}")
    return numbers


def data_folders(sources: Sequence[str]) -> dict[str, str]:
    """Report folder name to data set, for several names or paths of data sets.

    >>> data_folders(["faces", "/data/a/my.csv", "set.1"])
    {'faces': 'faces', 'my': '/data/a/my.csv', 'set.1': 'set.1'}

    Raises:
        UserError: a set is given twice, perhaps by different paths, or two sets have the same name.
    """
    places: dict[str, str] = {}
    names: dict[str, str] = {}
    for source in sources:
        path = Path(source).expanduser()
        place = str(path.resolve()) if path.exists() else source
        if place in places:
            other = f" ({places[place]} is the same)" if places[place] != source else ""
            raise UserError(f"--on names {source} twice{other}")
        name = path.resolve().name if path.is_dir() else path.name.removesuffix(".csv")  # set names may contain a dot
        twin = next((known for known in names if known.casefold() == name.casefold()), None)
        if twin is not None:
            raise UserError(
                f"--on names two data sets called {name!r}, {names[twin]} and {source}: rename one of them, or name "
                "one at a time"
            )
        places[place], names[name] = source, source
    return names


def end_on_sigterm() -> None:
    """Treat SIGTERM, which job schedulers send, as Ctrl-C, unless the process has a handler of its own. Further ones,
    which schedulers often send, are ignored."""

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, end)


def silence_stdout() -> None:
    """After a BrokenPipeError (`| head`): redirect stdout, so that flushing it at exit does not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def leave(code: int) -> NoReturn:
    """Exit with this code, also after a handled KeyboardInterrupt.

    If the interrupt was raised inside `exec` of a string (dataclasses use it at import), Python ignores the exit code
    and dies by SIGINT; another `exec` resets that.
    """
    exec("")
    sys.exit(code)
