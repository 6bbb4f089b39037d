"""Parses which classes to keep, drop and merge: "contempt,disgust", "fear:surprise,joy:happiness", a file.

Names are kept as written; `raysweep.data.classes` says what they mean in a data set. Canonical text: names or
pairs joined by commas; for several extra data sets one such text each, joined by +.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raysweep.core.errors import UserError

_PAIR = re.compile(r"\s*(?:->|→|:|=)\s*")
_IN_FILE = re.compile(r"\s*(?:->|→|:|=|\t|,|;)\s*")
_HEADERS = {("from", "to"), ("source", "target"), ("old", "new"), ("class", "becomes")}
LARGEST_FILE = 100_000
"""Characters of a mapping's file: a list of classes is short, and a data set's list is none."""


def drop_words(path: str, value: Any) -> str | None:
    """Names to drop as canonical text, None for none. Raises ValueError."""
    if value is None or value == ():
        return None
    parts = list(value) if isinstance(value, (list, tuple)) else re.split(r"[,;+]", str(value))
    names = [str(word).strip() for word in parts]
    if not all(names):
        raise ValueError(f"`{path}` must be names of classes joined by commas, but got {value!r}")
    return ",".join(dict.fromkeys(names))


def map_words(path: str, value: Any) -> str | None:
    """Pairs FROM:TO as canonical text, None for none. Raises ValueError."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        pairs = [(str(old), str(new)) for old, new in value.items()]
    elif isinstance(value, str):
        pairs = [_pair(path, word, value) for word in re.split(r"[,;+\n]", value) if word.strip()]
    else:
        raise ValueError(f"`{path}` must be a file, or pairs such as fear:surprise, but got {value!r}")
    return joined_pairs(path, pairs)


def joined_pairs(path: str, pairs: list[tuple[str, str]]) -> str | None:
    """Pairs as canonical text. Raises ValueError: a class that is to become two."""
    known: dict[str, str] = {}
    for old, new in pairs:
        if known.setdefault(old, new) != new:
            raise ValueError(f"`{path}`: {old} cannot become both {known[old]} and {new}")
    return ",".join(f"{old}:{new}" for old, new in known.items()) or None


def pairs_of(text: str | None) -> dict[str, str]:
    """Canonical text as names.

    >>> pairs_of("fear:surprise,joy:happiness")
    {'fear': 'surprise', 'joy': 'happiness'}
    """
    pairs = [pair.partition(":") for pair in (text or "").split(",") if pair]
    return {old: new for old, _, new in pairs}


def names_of(text: str | None) -> tuple[str, ...]:
    """Canonical text as names."""
    return tuple(name for name in (text or "").split(",") if name)


def class_number(path: str, value: Any) -> int | None:
    """7 or 8 or None. Raises ValueError."""
    number = int(value) if isinstance(value, str) and value.strip().isdigit() else value
    if number is not None and (isinstance(number, bool) or number not in (7, 8)):
        raise ValueError(f"`{path}` must be 7 (without contempt), 8 or none, but got {value!r}")
    return None if number is None else int(number)


def each_set(path: str, one: Any) -> Any:
    """A validator of one value for all extra sets, or one for each joined by +."""

    def every(value: Any) -> Any:
        parts = value.split("+") if isinstance(value, str) and "+" in value else value
        if isinstance(parts, (list, tuple)):
            return tuple(one(path, None if _is_none(part) else part) for part in parts)
        return one(path, None if _is_none(parts) else parts)

    return every


def read_map_file(path: str, value: Any) -> Any:
    """A mapping's file as pairs; anything else as it is. Trials run on other machines: the text travels, not the path.

    The file holds a pair a line (`fear:surprise`, `fear,surprise`, a tab, `->`), with `#` before remarks, or a JSON
    object.

    Raises:
        UserError: a file that is no mapping, or neither a file nor pairs.
    """
    if not isinstance(value, str) or value.strip().lower() in ("", "none"):
        return value
    file = Path(value).expanduser()
    if not file.is_file():
        if not _PAIR.search(value):
            raise UserError(f"`{path}` must be a file, or pairs such as fear:surprise, but got {value!r}: no such file")
        return value
    try:
        text = file.read_text(encoding="utf-8-sig")
        if len(text) > LARGEST_FILE:
            raise ValueError("it is too long for a list of classes")
        return joined_pairs(path, _parsed(text))
    except (OSError, ValueError) as error:
        raise UserError(f"`{path}`: {value} must hold a pair of classes a line (fear:surprise): {error}") from None


def _parsed(text: str) -> list[tuple[str, str]]:
    if text.lstrip().startswith("{"):
        found = json.loads(text)
        return [(str(old).strip(), str(new).strip()) for old, new in found.items()]
    pairs = []
    for number, line in enumerate(text.splitlines(), 1):
        parts = [word.strip().strip("\"'") for word in _IN_FILE.split(line.split("#")[0].strip())]
        if parts == [""] or (number == 1 and tuple(word.lower() for word in parts) in _HEADERS):
            continue
        if len(parts) != 2 or not all(parts):
            raise ValueError(f"line {number} is {line.strip()!r}")
        pairs.append((parts[0], parts[1]))
    return pairs


def _pair(path: str, word: str, whole: str) -> tuple[str, str]:
    parts = [part.strip() for part in _PAIR.split(word.strip())]
    if len(parts) != 2 or not all(parts):
        raise ValueError(f"`{path}` must be a file, or pairs such as fear:surprise joined by commas, but got {whole!r}")
    return parts[0], parts[1]


def _is_none(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() in ("none", ""))
