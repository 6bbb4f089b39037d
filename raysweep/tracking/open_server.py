"""Whether other accounts of this machine can use an MLflow server on its loopback."""

from __future__ import annotations

import os
import pwd
import urllib.request
from urllib.parse import urlparse, urlunparse

LOOPBACK = ("127.", "localhost", "::1")

PEOPLE = range(1000, 60000)
"""User ids of accounts for people, as Debian and Fedora give them; not `nobody`."""


def open_to_others(uri: str) -> str:
    """A sentence if the server at `uri` is on this machine's loopback, asks for no login, and others have accounts
    here, who can therefore read and change its runs; else ""."""
    parts = urlparse(uri)
    if parts.scheme not in ("http", "https") or not (parts.hostname or "").startswith(LOOPBACK):
        return ""
    others = other_people()
    if not others or not _answers_anyone(urlunparse(parts._replace(netloc=parts.netloc.rpartition("@")[2]))):
        return ""
    shown = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
    return (
        f"MLflow at {uri} asks for no login: other accounts of this machine ({shown}) can read and change its runs; "
        "start it with --app-name basic-auth (pip install 'mlflow[auth]')"
    )


def other_people() -> list[str]:
    """Names of other accounts of this machine with which people can log in."""
    found = (entry for entry in pwd.getpwall() if entry.pw_uid in PEOPLE and entry.pw_uid != os.getuid())
    return sorted(entry.pw_name for entry in found if not entry.pw_shell.endswith(("nologin", "false")))


def _answers_anyone(url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{url.rstrip('/')}/api/2.0/mlflow/experiments/search?max_results=1", timeout=5):
            return True
    except OSError:  # HTTP errors, too
        return False
