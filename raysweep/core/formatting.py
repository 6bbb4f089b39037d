"""Values and assignments as people type them on a command line."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from .errors import UserError


def data_folders(sources: Sequence[str]) -> dict[str, str]:
    """A folder's name for each of several data sets, as their names and paths are given.

    >>> data_folders(["faces", "/data/a/my.csv", "set.1"])
    {'faces': 'faces', 'my': '/data/a/my.csv', 'set.1': 'set.1'}

    Raises:
        UserError: one is named twice, by another path perhaps, or two have one name: a table could not tell them apart.
    """
    places: dict[str, str] = {}
    names: dict[str, str] = {}
    for source in sources:
        path = Path(source).expanduser()
        place = str(path.resolve()) if path.exists() else source
        if place in places:
            other = f" ({places[place]} is the same)" if places[place] != source else ""
            raise UserError(f"--on names {source} twice{other}")
        name = path.resolve().name if path.is_dir() else path.name.removesuffix(".csv")  # a set's name may have a point
        twin = next((known for known in names if known.casefold() == name.casefold()), None)
        if twin is not None:
            raise UserError(
                f"--on names two data sets called {name!r}, {names[twin]} and {source}: rename one of them, or name "
                "one at a time"
            )
        places[place], names[name] = source, source
    return names


_ONE_NAME = re.compile(r"""\s*(?:"([^"]+)"|'([^']+)'|([^+"'][^+]*|))\s*(?:\+|$)""")


def split_names(text: str) -> list[str]:
    """Names joined by +; one that holds a + stands in quotes.

    >>> split_names("a.csv + b.csv"), split_names("'x+y.csv'+b.csv")
    (['a.csv', 'b.csv'], ['x+y.csv', 'b.csv'])

    Raises:
        ValueError: a quote that is not closed.
    """
    names, rest = [], text
    while rest.strip():
        found = _ONE_NAME.match(rest)
        if found is None:
            raise ValueError(f"a quote is not closed in {text}")
        names.append(next(name for name in found.groups() if name is not None).strip())
        rest = rest[found.end() :]
    return [name for name in names if name]


def join_names(names: Iterable[object]) -> str:
    """Names joined by +, quoted where they hold one: what `split_names` takes apart.

    >>> join_names(["a.csv", "x+y.csv"])
    "a.csv+'x+y.csv'"
    """
    words = ["none" if name is None else str(name) for name in names]
    return "+".join((f'"{w}"' if "'" in w else f"'{w}'") if "+" in w or w[:1] in "\"'" else w for w in words)


def silence_stdout() -> None:
    """After a BrokenPipeError: whoever read the output (`| head`) has read enough, and Python must not try again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def leave(code: int) -> NoReturn:
    """Exit with this code, also after an interrupt that was answered.

    Python ends by SIGINT itself, whatever exit code it is given, when the interrupt fell into an `exec` of text, as
    every import of a dataclass has one; a later `exec` makes it forget.
    """
    exec("")
    sys.exit(code)


NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def parse_value(text: str) -> Any:
    """A number, true, false, none, or else the text itself.

    >>> [parse_value(word) for word in ("5", ".5", "1.", "1e-3", "none", "True", "hard", "1_000")]
    [5, 0.5, 1.0, 0.001, None, True, 'hard', '1_000']
    """
    word = text.strip()
    if word.lower() in ("none", "null"):
        return None
    if word.lower() in ("true", "false"):
        return word.lower() == "true"
    if not word.isascii() or not NUMBER.fullmatch(word):
        return word
    return float(word) if any(sign in word for sign in ".eE") else int(word)


def arm_name(coordinates: Mapping[str, str]) -> str:
    """An arm in one line, no two alike: commas within a name are marked.

    >>> arm_name({"noise": "0.3", "extra": "a,b.csv"})
    'noise=0.3, extra=a\\\\,b.csv'
    """
    return ", ".join(f"{_marked(axis)}={_marked(level)}" for axis, level in coordinates.items())


def _marked(word: str) -> str:
    return word.replace("\\", "\\\\").replace(",", "\\,") if "," in word or "\\" in word else word


def parse_assignment(option: str, text: str) -> tuple[str, str]:
    """FIELD=VALUE as (field, value).

    >>> parse_assignment("--set", "train.epochs=5")
    ('train.epochs', '5')
    """
    name, separator, value = text.partition("=")
    if not separator or not name.strip() or not value.strip():
        raise UserError(f"{option} expects FIELD=VALUE, but got {text!r}")
    return name.strip(), value.strip()


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


def plural(count: int, noun: str, many: str | None = None) -> str:
    """A count with its noun.

    >>> plural(0, "cell"), plural(1, "cell"), plural(2000, "image"), plural(2, "search", "searches")
    ('0 cells', '1 cell', '2,000 images', '2 searches')
    """
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def listed(words: Sequence[str], last: str = "and") -> str:
    """Words as a sentence lists them.

    >>> listed(["a", "b", "c"]), listed(["a", "b"], "or"), listed(["a"]), listed([])
    ('a, b and c', 'a or b', 'a', 'none')
    """
    if len(words) < 2:
        return words[0] if words else "none"
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> [duration(s) for s in (0.4, 59, 61, 3600, 90000)]
    ['0 s', '59 s', '1 min 01 s', '1 h 00 min', '25 h 00 min']
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def size(count: float) -> str:
    """Bytes as people say them.

    >>> [size(n) for n in (12, 34_000, 5_600_000, 7.8e9)]
    ['12 B', '34 kB', '5.6 MB', '7.8 GB']
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.2g} {unit}" if 0 < count < 10 and unit != "B" else f"{count:.0f} {unit}"
