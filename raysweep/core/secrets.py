"""Credentials in URLs and connection strings: one parser and one mask for every word that leaves the program."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast
from urllib.parse import unquote

from .printable import printable

_URL = re.compile(r"""([a-zA-Z][a-zA-Z0-9+.-]*)://([^\s<>"'`]+)""")
_NAMED_CONTAINERS = ("abfs", "abfss", "wasb", "wasbs")
"""Schemes in which `container@account` is an address."""

_SECRET_NAMES = r"pass(?:word|wd|phrase)?|pwd|secret|token|signature|credentials?|api[_-]?key"
_PARAMETER = re.compile(
    rf"""(?i)((?:[?&;]|%3B|%26)(?:[\w.-]*?(?:{_SECRET_NAMES}|key|auth|sas)[\w.-]*|sig|se|code)(?:=|%3D))"""
    r"""((?:(?!%3B|%26)[^\s&;'"<>`#)\]])+)"""
)
_PAIR = re.compile(
    rf"""(?i)(\b[\w-]*(?:{_SECRET_NAMES})(?:[\w-]*["']?\s?(?:=|%3D)|["']?:\s)\s?["']?)"""
    r"""((?:(?!%3B)[^\s&;,'"<>`)\]])+)"""
)
_HEADER = re.compile(r"(?i)\b(bearer|basic)\s+([A-Za-z0-9+/._~-]{8,}=*)")

_PASSWORDS = re.compile(r"(?i).*(password|passwd|secret|token|secret_access_key|api_?key)")
"""Names of environment variables that hold nothing but a secret."""

MASK = "***"

_known: dict[str, None] = {}
"""Passwords and tokens of URLs that this process was given; as they are and decoded."""


def masked(text: str) -> str:
    """A text without passwords, tokens and signatures: those of URLs and connection strings in it, and those `learn`ed.

    Where it is not certain what belongs to a password (which may hold `/` and `@`), more is masked rather than less.

    >>> masked("--tracking https://me:secret@host/x --search-storage postgresql://me:p%40ss@db/optuna")
    '--tracking https://me:***@host/x --search-storage postgresql://me:***@db/optuna'
    >>> masked("https://TOKEN@host/x, mysql+pymysql://me:a/b@c@db/x?ssl=1&password=p#f, s3://bucket/a?X-Amz-Signature=ab")
    'https://***@host/x, mysql+pymysql://me:***@db/x?ssl=1&password=***, s3://bucket/a?X-Amz-Signature=***'
    >>> masked("sqlite:///mlflow.db, http://127.0.0.1:5000/#/experiments, s3://bucket/folder, a@b.c, labels.alpha=0.5")
    'sqlite:///mlflow.db, http://127.0.0.1:5000/#/experiments, s3://bucket/folder, a@b.c, labels.alpha=0.5'
    """
    for secret in _known:
        text = text.replace(secret, MASK)
    text = _URL.sub(lambda match: f"{match[1]}://{_without_password(match[1].lower(), match[2])}", text)
    text = _PARAMETER.sub(rf"\1{MASK}", text)
    text = _PAIR.sub(rf"\1{MASK}", text)
    return _HEADER.sub(rf"\1 {MASK}", text)


def has_secret(url: str) -> bool:
    """Whether a URL has credentials in it."""
    return masked(url) != url


def learn(*urls: str | None) -> None:
    """Remember what the URLs of this process hold, so that it is masked wherever a library repeats it."""
    for url in urls:
        for secret in _secrets_of(url or ""):
            if len(secret) >= 4:  # shorter ones would be found in any text
                _known[secret] = None


def _without_password(scheme: str, rest: str) -> str:
    """The part after `://`, its password or token masked."""
    user, secret, tail = _parts(scheme, rest)
    return f"{user}{MASK}@{tail}" if secret else rest


def _parts(scheme: str, rest: str) -> tuple[str, str, str]:
    """ "user:", password and what follows the last `@` before the query; of a lone token "", it and the same."""
    head, mark, query = rest.partition("?")
    login, at, tail = head.rpartition("@")
    user, colon, password = login.partition(":")
    if not at or (not colon and scheme in _NAMED_CONTAINERS):
        return "", "", ""
    return (f"{user}:", password, f"{tail}{mark}{query}") if colon else ("", user, f"{tail}{mark}{query}")


def _secrets_of(url: str) -> Iterator[str]:
    for match in _URL.finditer(url):
        _, secret, _ = _parts(match[1].lower(), match[2])
        yield from {secret, unquote(secret)}
    for match in (*_PARAMETER.finditer(url), *_PAIR.finditer(url)):
        yield from {match[2], unquote(match[2])}


class _MaskedStream:
    """A text stream that masks what is written to it, and shows control characters; `steered`: those of rich stay."""

    def __init__(self, stream: TextIO, steered: bool = False) -> None:
        self._stream, self._steered = stream, steered

    def write(self, text: str) -> int:
        text = masked(text)
        self._stream.write(text if self._steered else printable(text))
        return len(text)

    def steered(self) -> TextIO:
        return cast(TextIO, _MaskedStream(self._stream, steered=True))

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def steered(stream: TextIO) -> TextIO:
    """A stream for rich's console, which steers the terminal: whoever prints to it shows control characters himself."""
    return stream.steered() if isinstance(stream, _MaskedStream) else stream


@contextmanager
def masked_streams(words: Iterable[str]) -> Iterator[None]:
    """stdout and stderr, tracebacks too, without credentials: of a command line's `words` and of the environment."""
    learn(*words, *os.environ.values())
    secrets = (value for name, value in os.environ.items() if _PASSWORDS.fullmatch(name))
    _known.update(dict.fromkeys(value for value in secrets if len(value) > 7))
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _MaskedStream(before[0]), _MaskedStream(before[1])
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
