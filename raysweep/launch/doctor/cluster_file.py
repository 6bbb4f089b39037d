"""Files for `ray up`: places that have to be filled in first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from raysweep.core.errors import UserError
from raysweep.core.formatting import listed

from .findings import Finding

USUAL = "cluster*.yaml"
"""Looked at in the working folder."""

_PLACEHOLDER = re.compile(r"[^\s'\"=:,/]*CHANGE-ME[^\s'\",:/]*")


def cluster_files(named: str | None) -> Iterator[Finding]:
    """A finding for the file that is named: a fault where it is not filled in. Of those in the working folder that are
    not, a warning: this launch may need none."""
    for path in [Path(named).expanduser()] if named else sorted(Path().glob(USUAL)):
        try:
            empty = placeholders(path)
        except UserError as error:
            yield Finding("fault" if named else "warning", str(path), str(error))
            continue
        if empty:
            where = listed([f"{word} (line {line})" for line, word in empty])
            text = f"not filled in: {where}; put your own values there before `ray up {path}` (docs/cluster.md)"
            yield Finding("fault" if named else "warning", str(path), text)
        elif named:
            yield Finding("ok", str(path), "filled in")


def placeholders(path: Path) -> list[tuple[int, str]]:
    """Line and word of every place that has to be filled in; comments do not count.

    Raises:
        UserError: no such file, or no text.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "no text"
        raise UserError(f"{path} cannot be read ({why}): name the file that `ray up` gets") from None
    return [(number, found[0]) for number, line in enumerate(lines, 1)
            for found in _PLACEHOLDER.finditer(re.sub(r"(^|\s)#.*", "", line))]  # fmt: skip
