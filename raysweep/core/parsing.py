"""Parsing of values and lists of names that users type."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_ONE_NAME = re.compile(r"""\s*(?:"([^"]+)"|'([^']+)'|([^+"'][^+]*|))\s*(?:\+|$)""")


def split_names(text: str) -> list[str]:
    """Split names joined by +; a name that contains a + must be quoted.

    >>> split_names("a.csv + b.csv"), split_names("'x+y.csv'+b.csv")
    (['a.csv', 'b.csv'], ['x+y.csv', 'b.csv'])

    Raises:
        ValueError: an unclosed quote.
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
    """Names joined by +, quoted where they contain one; the inverse of `split_names`.

    >>> join_names(["a.csv", "x+y.csv"])
    "a.csv+'x+y.csv'"
    """
    parts = ["none" if name is None else str(name) for name in names]
    return "+".join((f'"{p}"' if "'" in p else f"'{p}'") if "+" in p or p[:1] in "\"'" else p for p in parts)


NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def parse_value(text: str) -> Any:
    """A number, true, false, none, or else the text itself.

    >>> [parse_value(text) for text in ("5", ".5", "1.", "1e-3", "none", "True", "hard", "1_000")]
    [5, 0.5, 1.0, 0.001, None, True, 'hard', '1_000']
    """
    text = text.strip()
    if text.lower() in ("none", "null"):
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if not text.isascii() or not NUMBER.fullmatch(text):
        return text
    return float(text) if any(mark in text for mark in ".eE") else int(text)
