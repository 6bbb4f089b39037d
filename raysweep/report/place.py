"""Files of a report are drafted beside those of an earlier one, then moved over them: nothing is left half-written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from raysweep.core.errors import UserError


def placed(out: Path, write: Callable[[Path], Sequence[Path]]) -> list[Path]:
    """Let `write` fill a draft folder and move what it returns to `out`. Returns the files there.

    Raises:
        UserError: `out` cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".draft-") as draft:
            paths = [out / path.relative_to(draft) for path in write(Path(draft))]
            for path in paths:
                path.parent.mkdir(parents=True, exist_ok=True)
                os.replace(Path(draft) / path.relative_to(out), path)
    except OSError as error:
        raise UserError(f"--out {out}: cannot write the report there ({error.strerror or error})") from None
    return paths


def drop_stale(out: Path, kept: Sequence[Path], names: Sequence[str]) -> None:
    """Remove of these names in `out` what an earlier report wrote and this one did not.

    Raises:
        UserError: a file that cannot be removed.
    """
    for path in (out / name for name in names):
        if path not in kept:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise UserError(f"--out {out}: cannot remove {path.name} ({error.strerror or error})") from None


def stale_among(out: Path, texts: Mapping[str, str], others: Sequence[str]) -> list[str]:
    """Which of these files in `out` are absent, and which of `texts` (name to content) say something else."""
    stale = [f"{name} (missing)" for name in [*texts, *others] if not (out / name).is_file()]
    return stale + [
        f"{name} (differs)"
        for name, text in texts.items()
        if (out / name).is_file() and (out / name).read_bytes() != text.encode()
    ]
