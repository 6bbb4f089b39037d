"""Credentials, from the driver to its workers: Tune writes a trial's configuration to disk, Ray logs environments."""

from __future__ import annotations

import json
import os
import secrets

from ray.experimental.internal_kv import _internal_kv_get, _internal_kv_put
from ray.tune.execution.class_cache import ENV_VARS_TO_PROPAGATE

from raysweep.core.secrets import has_secret, learn

_PREFIX = "kept by ray: "
_NAMESPACE = b"raysweep"


CREDENTIALS = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN"})
"""Variables that Tune gives to its workers, through an environment that Ray writes into its logs."""

ENV_VARS_TO_PROPAGATE.difference_update(CREDENTIALS)  # they travel as below


def handed_over(url: str) -> str:
    """What to put into a configuration: the URL itself; of one with credentials a name under which Ray's head node
    keeps it in memory for the cluster's processes."""
    return _kept(url) if has_secret(url) else url


def taken_over(word: str) -> str:
    """The URL that `handed_over` was given. What it holds is masked in this process from now on.

    Raises:
        RuntimeError: Ray does not know it.
    """
    if not word.startswith(_PREFIX):
        return word
    url = _found(word)
    learn(url)
    return url


def credentials_handed_over() -> str:
    """A name for the `CREDENTIALS` of this process' environment; "" where it has none."""
    own = {name: os.environ[name] for name in sorted(CREDENTIALS & os.environ.keys())}
    return _kept(json.dumps(own)) if own else ""


def take_credentials_over(word: str) -> None:
    """Set those of them that this process' environment lacks."""
    for name, value in json.loads(_found(word)).items() if word else ():
        os.environ.setdefault(name, value)


def _kept(text: str) -> str:
    name = secrets.token_hex(16)
    _internal_kv_put(name.encode(), text.encode(), namespace=_NAMESPACE)
    return f"{_PREFIX}{name}"


def _found(word: str) -> str:
    content: bytes | None = _internal_kv_get(word.removeprefix(_PREFIX).encode(), namespace=_NAMESPACE)
    if content is None:
        raise RuntimeError("Ray's head node has lost what the driver handed over: was it started anew?")
    return content.decode()
