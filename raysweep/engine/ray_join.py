"""Joining a Ray cluster, and why that fails: address, token, versions."""

from __future__ import annotations

import os
import pwd
import re
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import ray
from ray.exceptions import AuthenticationError

from raysweep.core.errors import UserError, describe
from raysweep.core.masking import masked
from raysweep.core.ray_token import get_token, has_token

from .ray_internals import bootstrap_address, command_line

ANSWER_SECONDS = 10.0
"""Within which a cluster's head must accept a connection."""

_REFUSED = re.compile(r"InvalidAuthToken|Unauthenticated")
_VERSIONS = re.compile(r"Ray: (\S+)\s+Python: (\S+)")


def join(address: str, errors: Path | None = None, **quiet: Any) -> None:
    """Join a cluster. `errors`: file that Ray's C++ code logs to, if not to stderr.

    Raises:
        UserError: there is none, or it does not let this process in; one sentence with the remedy.
    """
    before = errors.stat().st_size if errors is not None and errors.exists() else 0
    with _stderr_kept() as kept:
        try:
            _check_answers(address)
            _check_account(address)
            with command_line(masked):
                ray.init(address=address, **quiet)
            return
        except (ConnectionError, RuntimeError, ValueError, OSError, AuthenticationError) as error:
            why = _why(error, _read(kept) + _logged(errors, before))
    raise UserError(f"--address {address}: {why}")


def _check_answers(address: str) -> None:
    """Raises ConnectionError if nothing answers at an address; Ray itself would try for minutes."""
    place = bootstrap_address(address) if "://" not in address else None
    if place is None:
        return
    host, _, port = place.rpartition(":")
    if not port.isdigit():
        raise ValueError("give HOST:PORT, or auto on a machine of the cluster")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS):
            pass
    except OSError as error:
        raise ConnectionError(
            f"nothing answers at {place}: {error.strerror or error}; `ray status` on its head shows whether the "
            "cluster is up"
        ) from None


def _check_account(address: str) -> None:
    """Raises PermissionError where this machine's part of the cluster is another account's: Ray would abort the
    process."""
    place = bootstrap_address(address) if "://" not in address else None
    port = (place or "").rpartition(":")[2]  # alone: a machine has several addresses
    others = {user for user, gcs in _raylets() if port and gcs.rpartition(":")[2] == port}
    if others and os.geteuid() not in {0, *others}:
        name = _account(others.pop())
        raise PermissionError(
            f"Ray runs on this machine as {name}, and takes launches of that account alone: begin this one as {name}, "
            "or without --address (launches on one store share its cells)"
        )


def _raylets() -> Iterator[tuple[int, str]]:
    """Account and cluster of each Ray node on this machine; none where there is no /proc."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            program, *options = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if program.endswith("/raylet"):
                gcs = [option.partition("=")[2] for option in options if option.startswith("--gcs-address=")]
                yield folder.stat().st_uid, "".join(gcs)
        except OSError:  # it has ended
            continue


def _account(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def _why(error: Exception, said: str) -> str:
    text = str(error)
    if isinstance(error, AuthenticationError) or _REFUSED.search(said + text):
        if not has_token():
            return f"the cluster wants a token, and there is none here: {get_token()}"
        return f"the cluster does not accept this token, it is another cluster's or an old one: {get_token()}"
    if "Version mismatch" in text and len(found := _VERSIONS.findall(text)) == 2:
        (theirs, python), (mine, own) = found
        return (
            f"the cluster runs Ray {theirs} and Python {python}, this process Ray {mine} and Python {own}: use the "
            "cluster's versions here, or start it again with these"
        )
    if isinstance(error, PermissionError):
        return text
    cause = text if text.startswith("nothing answers") else describe(error)
    return f"cannot join a Ray cluster there ({cause})"


@contextmanager
def _stderr_kept() -> Iterator[BinaryIO]:
    """Keep what Ray's C++ parts write to stderr: many lines that say one thing."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        before = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield kept
        finally:
            os.dup2(before, 2)
            os.close(before)


def _read(kept: BinaryIO) -> str:
    kept.seek(0)
    return kept.read().decode(errors="replace")


def _logged(errors: Path | None, before: int) -> str:
    """What was added to a file since it had `before` bytes."""
    if errors is None or not errors.exists():
        return ""
    return errors.read_bytes()[before:].decode(errors="replace")
