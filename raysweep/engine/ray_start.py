"""Starting or joining Ray: network, token, environment and clean-up."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray

from raysweep.core.errors import UserError
from raysweep.core.masking import masked
from raysweep.core.ray_token import AUTH_MODE, TOKEN, TOKEN_PATH, token_file
from raysweep.data.prepare.location import SETTING
from raysweep.store.process import Process
from raysweep.store.ray_sessions import MARK

from .ray_internals import (
    SESSION_LATEST,
    command_line,
    forget_token,
    new_token,
    on_loopback,
    read_settings_again,
    session_folder,
)

_WITHHELD = (SETTING, "MLFLOW_")
"""Names or prefixes of variables that may hold passwords and are hidden from Ray's processes, whose environments other
tools can show. Trials get what they need from `tune_run`."""


def start_local(**quiet: Any) -> None:
    """Start Ray on this machine only: it listens on loopback and requires the token.

    Raises:
        UserError: the token file cannot be made.
    """
    if asks_for_token():
        os.environ[AUTH_MODE] = "token"
        read_settings_again()
        _have_private_token()
    with on_loopback(), _without_secrets(), command_line(masked):
        ray.init(address="local", include_dashboard=False, **{"num_cpus": _cpus_of_job(), **quiet})
    (session_folder() / MARK).write_text(Process.this().word)


def told(message: str) -> str:
    """What a launch shows of Ray's message about its cluster: nothing of a lost node or process, which the launch
    reports itself; of others the first line, without the excerpts of logs that follow.
    """
    first = message.partition("\n")[0].partition("Possible reasons")[0].partition("Last 20 lines")[0]
    return "" if message.startswith(("The node with node id", "A worker died or was killed")) else first


def leave_no_session(folder: Path) -> None:
    """Remove the session folder of a local Ray that has been shut down."""
    latest = folder.parent / SESSION_LATEST
    with suppress(OSError):
        if latest.is_symlink() and latest.resolve() == folder.resolve():
            latest.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _cpus_of_job() -> int | None:
    """CPUs that Slurm gave to this job on this machine; None outside of jobs: Ray counts those of the machine."""
    given = os.environ.get("SLURM_CPUS_ON_NODE", "")
    return int(given) if "SLURM_JOB_ID" in os.environ and given.isdigit() else None


def asks_for_token() -> bool:
    """Whether Ray shall check tokens; warns if the user has switched that off."""
    if os.environ.get(AUTH_MODE, "token").lower() != "disabled":
        return True
    _warn(
        f"{AUTH_MODE}=disabled: anyone who can reach Ray's ports, including every account of this machine, "
        f"can run code as you; unset {AUTH_MODE} to make Ray require a token"
    )
    return False


def _warn(text: str) -> None:
    sys.stderr.write(f"warning: {text}\n")


def _have_private_token() -> None:
    """Make Ray's token file if missing, and restrict it to this account if others can read it."""
    if os.environ.get(TOKEN):
        return
    path = token_file()
    try:
        if not path.exists():
            _make_token(path)
        elif path.stat().st_mode & 0o077 and path.stat().st_uid == os.getuid():
            path.chmod(0o600)
            _warn(
                f"other accounts could read {path}; its mode is 600 now. If one may have read it, "
                "remove the file: the next launch makes a new token"
            )
    except OSError as error:
        raise UserError(
            f"Ray's token file {path} cannot be made private ({error.strerror}): become the owner of its folder, or "
            f"name another file in {TOKEN_PATH}"
        ) from None


def _make_token(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file, draft = tempfile.mkstemp(dir=path.parent)  # mode 600 under any umask
    try:
        with os.fdopen(file, "w") as stream:
            stream.write(new_token())
        os.link(draft, path)  # atomic: other launches may make the file, too
    except FileExistsError:
        if path.is_symlink() and not path.exists():
            raise OSError(errno.ENOENT, "it is a broken link") from None
    finally:
        os.unlink(draft)
    forget_token()


@contextmanager
def _without_secrets() -> Iterator[None]:
    held = {name: value for name, value in os.environ.items() if name.startswith(_WITHHELD)}
    for name in held:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(held)
