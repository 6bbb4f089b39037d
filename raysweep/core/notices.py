"""What was passed over because it is damaged, or not what its place asks for: said once a process, on stderr."""

from __future__ import annotations

import sys

_SAID: set[str] = set()


def passed_over(what: str, why: str) -> None:
    """Say that a file counts as missing, and why."""
    sentence = f"raysweep: passed over {what}: {why}"
    if sentence not in _SAID:
        _SAID.add(sentence)
        sys.stderr.write(f"{sentence}\n")
