"""Where Ray reads its token. Needs no Ray."""

from __future__ import annotations

import os
from pathlib import Path

AUTH_MODE = "RAY_AUTH_MODE"
TOKEN, TOKEN_PATH = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"


def token_file() -> Path:
    """The file of the token; a token in the variable `TOKEN` counts before it."""
    return Path(os.environ.get(TOKEN_PATH) or Path.home() / ".ray" / "auth_token").expanduser()


def has_token() -> bool:
    return bool(os.environ.get(TOKEN)) or token_file().exists()


def get_token() -> str:
    """How to get a cluster's token, for messages."""
    own = f"; unset {TOKEN}, which counts before the file" if os.environ.get(TOKEN) else ""
    return f"copy ~/.ray/auth_token of the cluster's head to {token_file()} (mode 600) and set {AUTH_MODE}=token{own}"
