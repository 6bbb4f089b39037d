"""The version of the code, recorded with results."""

from __future__ import annotations

import hashlib
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


@cache
def code_digest() -> str:
    """Eight hex digits that change with any of the package's Python files: where a version number stays the same, as in
    a working copy. Studies that come with the package are not among them: only the driver reads those."""
    root = Path(raysweep.__file__).resolve().parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if not name.startswith("search_spaces/"):
            digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:8]


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=10
    ).stdout.strip()
