"""Warnings about files that are ignored because they are damaged or unexpected: on stderr, each once a process."""

from __future__ import annotations

import sys

_PRINTED: set[str] = set()


def passed_over(what: str, why: str) -> None:
    """Warn that a file is treated as missing, and why."""
    sentence = f"raysweep: passed over {what}: {why}"
    if sentence not in _PRINTED:
        _PRINTED.add(sentence)
        sys.stderr.write(f"{sentence}\n")
