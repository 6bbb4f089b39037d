"""Starting or joining Ray: what it listens on, what it is told, and what it leaves behind."""

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

from raysweep.core.errors import UserError, describe
from raysweep.core.masking import masked
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

AUTH_MODE = "RAY_AUTH_MODE"
TOKEN_PATH = "RAY_AUTH_TOKEN_PATH"

_WITHHELD = (SETTING, "MLFLOW_")
"""Variables, or starts of their names, that Ray's processes do without: they may hold passwords, and every process
that is started inherits and shows them. Trials get what they need from `tune_run`."""


def start_local(**quiet: Any) -> None:
    """Start Ray on this machine alone: it listens on loopback, and asks everyone for the token.

    Raises:
        UserError: the token cannot be made.
    """
    if _asks_for_token():
        os.environ[AUTH_MODE] = "token"
        read_settings_again()
        _have_private_token()
    with on_loopback(), _without_secrets(), command_line(masked):
        ray.init(address="local", include_dashboard=False, **quiet)
    (session_folder() / MARK).write_text(Process.this().word)


def join(address: str, **quiet: Any) -> None:
    """Join a cluster. Raises UserError when there is none."""
    _asks_for_token()
    try:
        with command_line(masked):
            ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(f"--address {address}: cannot join a Ray cluster there ({describe(error)})") from None


def leave_no_session(folder: Path) -> None:
    """Remove what a local Ray, shut down by now, has left."""
    latest = folder.parent / SESSION_LATEST
    with suppress(OSError):
        if latest.is_symlink() and latest.resolve() == folder.resolve():
            latest.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _asks_for_token() -> bool:
    """Whether Ray is to check tokens; says so when the user has switched that off."""
    if os.environ.get(AUTH_MODE, "token").lower() != "disabled":
        return True
    _warn(
        f"{AUTH_MODE}=disabled: whoever reaches Ray's ports, every account of this machine among them, can "
        f"run code as you; unset {AUTH_MODE} to have Ray ask for a token"
    )
    return False


def _warn(text: str) -> None:
    sys.stderr.write(f"warning: {text}\n")


def _have_private_token() -> None:
    """Make Ray's token file, readable by this account alone, when there is none; one that others can read is closed."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return
    path = Path(os.environ.get(TOKEN_PATH) or Path.home() / ".ray" / "auth_token").expanduser()
    try:
        if not path.exists():
            _make_token(path)
        elif path.stat().st_mode & 0o077 and path.stat().st_uid == os.getuid():
            path.chmod(0o600)
            _warn(
                f"other accounts could read {path}: closed to them now (mode 600). If one may have read it, "
                "remove the file: the next launch makes a new token"
            )
    except OSError as error:
        raise UserError(
            f"Ray's token file {path} cannot be made private ({error.strerror}): make its folder yours, or name "
            f"another file in {TOKEN_PATH}"
        ) from None


def _make_token(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file, draft = tempfile.mkstemp(dir=path.parent)  # mode 600 whatever the umask
    try:
        with os.fdopen(file, "w") as stream:
            stream.write(new_token())
        os.link(draft, path)  # whole, or not at all: others start Ray, too
    except FileExistsError:
        if path.is_symlink() and not path.exists():
            raise OSError(errno.ENOENT, "it is a link that leads nowhere") from None
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
