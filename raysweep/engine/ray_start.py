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
from ray._private import ray_constants
from ray._private import utils as ray_utils
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

from raysweep.core.errors import UserError, describe
from raysweep.core.masking import masked
from raysweep.data.prepare.location import SETTING
from raysweep.store.process import Process
from raysweep.store.ray_sessions import MARK

AUTH_MODE = "RAY_AUTH_MODE"
TOKEN_PATH = "RAY_AUTH_TOKEN_PATH"

_WITHHELD = (SETTING, "MLFLOW_")
"""Variables, or starts of their names, that Ray's processes do without: they may hold passwords, and every process
that is started inherits and shows them. Trials are told what they need (`launch.with_places`)."""


def start_local(**quiet: Any) -> None:
    """Start Ray on this machine alone: it listens on loopback, and asks everyone for the token.

    Raises:
        UserError: the token cannot be made.
    """
    if _asks_for_token():
        os.environ[AUTH_MODE] = "token"
        Config.initialize("")  # Ray has read the variable already
        _have_private_token()
    with _on_loopback(), _without_secrets(), _masked_command():
        ray.init(address="local", include_dashboard=False, **quiet)
    (session_folder() / MARK).write_text(Process.this().word)


def join(address: str, **quiet: Any) -> None:
    """Join a cluster. Raises UserError when there is none."""
    _asks_for_token()
    try:
        with _masked_command():
            ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(f"--address {address}: cannot join a Ray cluster there ({describe(error)})") from None


def session_folder() -> Path:
    """Where the running Ray keeps its logs and sockets."""
    return Path(ray._private.worker._global_node.get_session_dir_path())


def leave_no_session(folder: Path) -> None:
    """Remove what a local Ray, shut down by now, has left."""
    latest = folder.parent / ray_constants.SESSION_LATEST
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
    from ray._private.authentication.authentication_token_generator import generate_new_authentication_token

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file, draft = tempfile.mkstemp(dir=path.parent)  # mode 600 whatever the umask
    try:
        with os.fdopen(file, "w") as stream:
            stream.write(generate_new_authentication_token())
        os.link(draft, path)  # whole, or not at all: others start Ray, too
    except FileExistsError:
        if path.is_symlink() and not path.exists():
            raise OSError(errno.ENOENT, "it is a link that leads nowhere") from None
    finally:
        os.unlink(draft)
    AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Ray binds to its node's address, and to every interface unless that is 127.0.0.1. It takes that address itself
    where it thinks clusters unsupported, and from no argument: `_node_ip_address` is looked up again."""
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def _without_secrets() -> Iterator[None]:
    held = {name: value for name, value in os.environ.items() if name.startswith(_WITHHELD)}
    for name in held:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(held)


@contextmanager
def _masked_command() -> Iterator[None]:
    """Ray writes the command line of whoever starts or joins it into its job table and logs."""
    before = ray_utils.get_entrypoint_name
    ray_utils.get_entrypoint_name = lambda: masked(before())
    try:
        yield
    finally:
        ray_utils.get_entrypoint_name = before
