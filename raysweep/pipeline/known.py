"""Stages that other cells of a study have built already."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Known:
    """What many cells share, each thing built once: a thousand trainings get their keys in seconds, not minutes.

    Equal tokens must mean equal keys and equal titles. What a stage holds aside is then that of the first cell.
    """

    def __init__(self) -> None:
        self._things: dict[Hashable, Any] = {}

    def once(self, token: Hashable, make: Callable[[], T]) -> T:
        """The thing of this token; made at the first call."""
        if token not in self._things:
            self._things[token] = make()
        thing: T = self._things[token]
        return thing
