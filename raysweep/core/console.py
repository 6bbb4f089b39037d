"""Output with rich in which text from outside is never taken for markup or control characters."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from .printable import printable


def plain(text: str) -> Text:
    """Text of a table's cell, on one line."""
    return Text(" ".join(printable(text).split()))


class PlainConsole(Console):
    """A console that prints strings literally, without markup; tables and bars as rich does."""

    def print(self, *objects: Any, **options: Any) -> None:
        shown = (Text(printable(value)) if isinstance(value, str) else value for value in objects)
        super().print(*shown, **options)
