"""Values and lists of names as people type them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

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
    parts = ["none" if name is None else str(name) for name in names]
    return "+".join((f'"{w}"' if "'" in w else f"'{w}'") if "+" in w or w[:1] in "\"'" else w for w in parts)


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
