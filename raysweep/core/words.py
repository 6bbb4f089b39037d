"""Values and assignments as people type them on a command line."""

from __future__ import annotations

import json
from typing import Any

from .errors import UserError


def parse_value(text: str) -> Any:
    """A number, true, false, none, or else the text itself.

    >>> [parse_value(word) for word in ("5", "0.3", "none", "True", "hard")]
    [5, 0.3, None, True, 'hard']
    """
    word = text.strip()
    if word.lower() in ("none", "null"):
        return None
    if word.lower() in ("true", "false"):
        return word.lower() == "true"
    try:
        value = json.loads(word)
    except ValueError:
        return word
    return value if isinstance(value, (int, float)) else word


def parse_assignment(option: str, text: str) -> tuple[str, Any]:
    """FIELD=VALUE as (field, value).

    >>> parse_assignment("--set", "train.epochs=5")
    ('train.epochs', 5)
    """
    name, separator, value = text.partition("=")
    if not separator or not name.strip() or not value.strip():
        raise UserError(f"{option} expects FIELD=VALUE, but got {text!r}")
    return name.strip(), parse_value(value)


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
