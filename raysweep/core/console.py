"""The terminal, through rich: words of foreign origin are words there, never markup, and steer nothing."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from .printable import printable


def plain(words: str) -> Text:
    """Words for a cell of a table, on one line."""
    return Text(" ".join(printable(words).split()))


class PlainConsole(Console):
    """A console on which text is printed as it is, without markup; tables and bars as ever."""

    def print(self, *objects: Any, **options: Any) -> None:
        shown = (Text(printable(own)) if isinstance(own, str) else own for own in objects)
        super().print(*shown, **options)
