"""The version of the code, recorded with results."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

import raysweep


@cache
def code_version() -> str:
    """Package version, with the commit and "dirty" when run from a git checkout: "0.1.0+1a2b3c4.dirty"."""
    root = Path(raysweep.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return raysweep.__version__
    try:
        commit = _git(root, "rev-parse", "--short=7", "HEAD")
        dirty = ".dirty" if _git(root, "status", "--porcelain", "--untracked-files=no") else ""
    except (OSError, subprocess.SubprocessError):
        return raysweep.__version__
    return f"{raysweep.__version__}+{commit}{dirty}"


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=10
    ).stdout.strip()
