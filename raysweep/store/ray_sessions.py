"""Session folders of local Rays of dead launches, in Ray's folder for temporary files."""

from __future__ import annotations

import os
from pathlib import Path

from .process import Process

MARK = "raysweep.process"
"""File in a session's folder: which process started that Ray (`Process.word`)."""


def sessions_root() -> Path:
    """Ray's folder for sessions."""
    return Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp") / "ray"


def dead_sessions() -> list[Path]:
    """Folders of launches that are gone from this machine and could not remove them; never those of other people's
    Rays, nor of other accounts."""
    found = []
    for mark in sorted(sessions_root().glob(f"session_*/{MARK}")):
        try:
            process, own = Process.parse(mark.read_text()), mark.stat().st_uid == os.getuid()
        except (OSError, UnicodeDecodeError):
            continue
        if own and process is not None and process.gone() and not mark.parent.is_symlink():
            found.append(mark.parent)
    return found
