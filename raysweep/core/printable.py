"""Text from outside (file names, levels, notes, tags), made harmless for terminals and pages."""

from __future__ import annotations

import re
from typing import Any

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, ESC among them; line ends and tabs stay
    "\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"  # reverse, hide or break text; lone surrogates; invisible tags
)


def printable(text: str) -> str:
    r"""The text, with characters that control a terminal, or reverse or hide text, shown as escapes.

    >>> print(printable("a\x1b[2Jb\u202ec"))
    a\x1b[2Jb\u202ec
    """
    return _UNSAFE.sub(lambda match: _escape(ord(match[0])), text)


def printable_tree(value: Any) -> Any:
    """`printable` of every string in a JSON value, names of fields too."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [printable_tree(item) for item in value]
    if isinstance(value, dict):
        return {printable(key): printable_tree(item) for key, item in value.items()}
    return value


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
