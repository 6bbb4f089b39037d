"""Files for `ray up`: places that have to be filled in first."""

from __future__ import annotations

import re
import socket
from collections.abc import Collection, Iterator
from pathlib import Path

import yaml  # type: ignore[import-untyped]

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


def missing_workers(named: str | None, joined: Collection[str]) -> Iterator[Finding]:
    """A warning for every machine of a file with provider `local` that has not joined the cluster, with what is known
    of why: `ray up` itself ends well without them. `joined`: addresses of the cluster's machines."""
    for address in worker_addresses(named):
        if address not in joined:
            log = "/tmp/ray/session_latest/logs/monitor.* on the head says why; then `ray up` again"
            why = "its ssh answers: " + log if _answers(address) else "nothing answers at its port 22: switch it on"
            yield Finding("warning", f"machine {address}", f"has not joined: {why}")


def worker_addresses(named: str | None) -> list[str]:
    """The addresses of `worker_ips` in a file for `ray up`; none if there is no such file or another provider."""
    if not named:
        return []
    try:
        content = yaml.safe_load(Path(named).expanduser().read_text(encoding="utf-8"))
        return [str(address) for address in content["provider"]["worker_ips"]]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        return []  # `cluster_files` has said so, or the cloud's machines have no addresses yet


def _answers(address: str, seconds: float = 3.0) -> bool:
    try:
        with socket.create_connection((address, 22), seconds):
            return True
    except OSError:
        return False
