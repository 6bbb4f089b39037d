"""Passwords, tokens and keys leave the program nowhere: `masked` takes them out of every word, whoever wrote it.

It knows them by their places: before the @ of a URL, as the value of a field of that name in a query, a connection
string or a printed dictionary, in an authorization header. What the program was itself given is remembered
(`remember`), so that a library's error that says a password alone is masked, too.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast
from urllib.parse import quote, quote_plus, unquote

from .printable import printable

MASK = "***"

_URL = re.compile(r"://(?P<rest>(?:(?!://)[^\s\"'<>`])+)")
_ENCODED_URL = re.compile(r"(%3A%2F%2F)(?:(?!%3A%2F%2F)[^\s\"'<>`&])+(?=%40)", re.IGNORECASE)
_FIELD = re.compile(
    r"""(?:(?<![\w.%-])|(?<=%3B)|(?<=%26)|(?<=%3D))(?P<name>[\w.%-]{1,80}?)(["']\s*:\s*(?=["'])|\s*=\s*|%3D)""",
    re.IGNORECASE,
)
_VALUE = re.compile(r"""\\"[^"\\]*\\"|"(?:[^"\\]|\\.)*"|'[^']*'|(?:[^\s&;#"'<>)\]}\\]|\\(?!["']))+""")
_HEADER = re.compile(r"(authorization[\"']?\s*[:=]\s*[\"']?(?:(?:bearer|basic|token)\s+)?)[^\s\"',]+", re.IGNORECASE)
_SECRET_NAMES = (
    *("password", "passwd", "pwd", "passphrase", "secret", "token", "accesskey", "accesskeyid", "secretkey"),
    *("apikey", "accountkey", "privatekey", "authkey", "sharedkey", "credential", "credentials"),
)
"""Ends of names whose values are masked wherever they stand; letters and digits of a name count."""
_QUERY_NAMES = {"key", "sig", "signature", "xamzsignature", "xgoogsignature", "pass", "auth", "sas", "code", "jwt"}
"""Names that mean a secret in the query of a URL alone."""
_NAMED_BEFORE_AT = ("abfs", "abfss", "wasb", "wasbs")
"""Schemes whose word before the @ is a container."""
_LONGEST_NAME = 20
"""Of a user whose name is shown; what is longer may be a token."""

_known: list[str] = []


def masked(text: str) -> str:
    """A text without the passwords, tokens and keys in it.

    >>> masked("--tracking https://me:secret@host/x --search-storage postgresql+psycopg2://me:p@s/s:1@db/optuna")
    '--tracking https://me:***@host/x --search-storage postgresql+psycopg2://me:***@db/optuna'
    >>> masked("GET https://ghp_1@host/a?x=1&X-Amz-Signature=ab12&token=cd then s3://bucket/a@b")
    'GET https://***@host/a?x=1&X-Amz-Signature=***&token=*** then s3://bucket/a@b'
    >>> masked("host=db password=hidden user=me"), masked("{'secret': 'hidden', 'endpoint': 'x'}")
    ('host=db password=*** user=me', "{'secret': '***', 'endpoint': 'x'}")
    """
    for word in _known:
        text = text.replace(word, MASK)
    if "://" in text:
        text = _URL.sub(_masked_url, text)
    if "%" in text:
        text = _ENCODED_URL.sub(rf"\1{MASK}", text)
    if "=" in text or ":" in text or "%" in text:
        text = _masked_fields(_HEADER.sub(rf"\1{MASK}", text))
    return text


def masked_values(value: Any) -> Any:
    """Plain values with every text in them masked."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {name: masked_values(inner) for name, inner in value.items()}
    return [masked_values(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def mask_error(error: BaseException) -> None:
    """Mask what an exception and its causes say, before it goes where others log it."""
    here: BaseException | None = error
    while here is not None:
        here.args = tuple(masked(word) if isinstance(word, str) else word for word in here.args)
        if isinstance(here, OSError):
            for name in ("filename", "filename2", "strerror"):
                setattr(here, name, masked_values(getattr(here, name)))
        here = here.__cause__ or here.__context__


def remember(url: str) -> str:
    """Mask the secrets of this URL from now on also where they stand alone. Returns the URL as it is."""
    for found in _URL.finditer(url):
        info = _user_info(found)
        name, separator, password = info.partition(":")
        _learn(password if separator and password else name if info else "")
    for value in _secrets_of_fields(url):
        _learn(value[0].strip("\"'"))
    return url


def _learn(secret: str) -> None:
    """A word that may stand for something else, or is short, is masked in its places only."""
    plain = unquote(secret)
    parts = re.split(r"[/@:?#]", plain)  # a port that is none is quoted in an error without the rest
    for word in {secret, plain, quote(plain), quote(plain, safe=""), quote_plus(plain), *parts}:
        distinct = not (word.isalpha() and len(word) < 12) and not word.isdigit()
        if len(word) >= 6 and distinct and MASK not in word and word not in _known:
            _known.append(word)
    _known.sort(key=len, reverse=True)  # what holds another goes first


def _masked_url(found: re.Match[str]) -> str:
    info = _user_info(found)
    if not info:
        return found[0]
    name, separator, password = info.partition(":")
    shown = password not in ("", "x-oauth-basic") and len(name) < _LONGEST_NAME
    return f"://{name + separator if shown else ''}{MASK}{found['rest'][len(info) :]}"


def _user_info(found: re.Match[str]) -> str:
    """What stands before the host; empty when nothing does. A password may hold @ and / though it should not."""
    rest = found["rest"]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if ":" in authority and "@" in rest:
        before_query = rest.partition("?")[0]
        return (before_query if "@" in before_query else rest).rpartition("@")[0]
    if found.string[max(0, found.start() - 5) : found.start()].lower().endswith(_NAMED_BEFORE_AT):
        return ""
    return authority.rpartition("@")[0]


def _is_secret(field: re.Match[str]) -> bool:
    last = re.split(r"[;&?{]", unquote(field["name"]))[-1]  # of an encoded connection string: separators are encoded
    name = re.sub(r"[^a-z0-9]", "", last.lower())
    in_query = field.start() > 0 and field.string[field.start() - 1] in "?&;"
    return name.endswith(_SECRET_NAMES) or (in_query and name in _QUERY_NAMES)


def _secrets_of_fields(text: str) -> Iterator[re.Match[str]]:
    """Values of fields; the value of one that is no secret is looked into, too."""
    at = 0
    while found := _FIELD.search(text, at):
        at = found.end()
        value = _VALUE.match(text, at) if _is_secret(found) else None
        if value:
            yield value
            at = value.end()


def _masked_fields(text: str) -> str:
    parts, end = [], 0
    for found in _secrets_of_fields(text):
        value = found[0]
        quotes = value[: 2 if value[0] == "\\" else 1] if value[-1] in "\"'" else ""
        parts.append(f"{text[end : found.start()]}{quotes}{MASK}{quotes}")
        end = found.end()
    return "".join(parts) + text[end:]


class MaskedStream:
    """A text stream that masks what is written to it, and shows control characters; all else is the stream's own.

    `steers`: control characters go through, since they are rich's.
    """

    def __init__(self, stream: TextIO, steers: bool = False) -> None:
        self._stream, self._steers = stream, steers

    def write(self, text: str) -> int:
        shown = masked(text)
        self._stream.write(shown if self._steers else printable(shown))
        return len(text)

    def steering(self) -> TextIO:
        return cast(TextIO, MaskedStream(self._stream, steers=True))

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def steered(stream: TextIO) -> TextIO:
    """A stream for rich's console, which steers the terminal: whoever prints to it shows control characters himself."""
    return stream.steering() if isinstance(stream, MaskedStream) else stream


def remember_own() -> None:
    """Mask the secrets of this process' command line and environment."""
    for word in (*sys.argv[1:], *os.environ.values()):
        if "://" in word:
            remember(word)
    for name, value in os.environ.items():
        if not value.startswith("/") and re.sub(r"[^a-z0-9]", "", name.lower()).endswith(
            _SECRET_NAMES
        ):  # PWD is a path
            _learn(value)


def mask_streams() -> None:
    """From now on what this process prints is masked, tracebacks and what libraries log to the console, too."""
    remember_own()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, MaskedStream):
            setattr(sys, name, MaskedStream(stream))


@contextmanager
def masking() -> Iterator[None]:
    """The same for a while, and of exceptions that leave: around the body of a command line, or of a trial."""
    before = sys.stdout, sys.stderr
    mask_streams()
    try:
        yield
    except Exception as error:
        mask_error(error)
        raise
    finally:
        sys.stdout, sys.stderr = before
