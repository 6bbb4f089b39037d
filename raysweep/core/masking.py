"""Masks passwords, tokens and keys in all text that the program prints or records.

They are recognised by position: before the @ of a URL, as the value of a field with a secret's name (in a query, a
connection string or a printed dictionary), in an authorization header. Secrets that the program itself was given are
masked everywhere (`remember`): a library's error may quote a password alone.
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

_NEXT_URL = r"(?:[,;|&=?#()\[\]{}/]|::)[a-z][a-z0-9+.-]{0,30}://"
_URL = re.compile(rf"://(?P<rest>(?:(?!{_NEXT_URL})[^\s\"'<>`])+)(?P<next>(?={_NEXT_URL}))?", re.IGNORECASE)
"""A "://" that no separator and scheme precede is part of the URL before it: of a password, say."""
_RUN = re.compile(r"[^\s\"'<>`&]+")
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
"""Endings of field names whose values are always masked; only a name's letters and digits are compared."""
_QUERY_NAMES = {"key", "sig", "signature", "xamzsignature", "xgoogsignature", "pass", "auth", "sas", "code", "jwt"}
"""Field names that mean a secret only in the query of a URL."""
_NAMED_BEFORE_AT = ("abfs", "abfss", "wasb", "wasbs")
"""URL schemes in which the part before the @ is a container."""
_LONGEST_NAME = 20
"""User names of this length or longer are masked: they may be tokens."""

_known: list[str] = []


def masked(text: str) -> str:
    """A text with passwords, tokens and keys replaced by `MASK`.

    >>> masked("--tracking https://me:secret@host/x --search-storage postgresql+psycopg2://me:p@s/s:1@db/optuna")
    '--tracking https://me:***@host/x --search-storage postgresql+psycopg2://me:***@db/optuna'
    >>> masked("GET https://ghp_1@host/a?x=1&X-Amz-Signature=ab12&token=cd then s3://bucket/a@b")
    'GET https://***@host/a?x=1&X-Amz-Signature=***&token=*** then s3://bucket/a@b'
    >>> masked("host=db password=hidden user=me"), masked("{'secret': 'hidden', 'endpoint': 'x'}")
    ('host=db password=*** user=me', "{'secret': '***', 'endpoint': 'x'}")
    """
    for secret in _known:
        text = text.replace(secret, MASK)
    if "://" in text:
        text = _masked_urls(text)
    if "%" in text:
        text = _RUN.sub(_masked_encoded_url, text)
    if "=" in text or ":" in text or "%" in text:
        text = _masked_fields(_HEADER.sub(rf"\1{MASK}", text))
    return text


def masked_values(value: Any) -> Any:
    """A string, or dicts and lists, with every string in them masked."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {name: masked_values(inner) for name, inner in value.items()}
    return [masked_values(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def mask_error(error: BaseException) -> None:
    """Mask the messages of an exception and of its causes, in place."""
    current: BaseException | None = error
    while current is not None:
        current.args = tuple(masked(value) if isinstance(value, str) else value for value in current.args)
        if isinstance(current, OSError):
            for name in ("filename", "filename2", "strerror"):
                setattr(current, name, masked_values(getattr(current, name)))
        current = current.__cause__ or current.__context__


def remember(url: str) -> str:
    """From now on mask this URL's secrets also outside of URLs. Returns the URL unchanged."""
    for found in _URL.finditer(url):
        info = _user_info(found)
        name, separator, password = info.partition(":")
        _learn(password if separator and password else name if info else "")
    for value in _secrets_of_fields(url):
        _learn(value[0].strip("\"'"))
    return url


def _learn(secret: str) -> None:
    """Mask a secret everywhere, unless it is short or may be an ordinary word or number."""
    plain = unquote(secret)
    parts = re.split(r"[/@:?#]", plain)  # an error about an invalid port quotes that part alone
    for text in {secret, plain, quote(plain), quote(plain, safe=""), quote_plus(plain), *parts}:
        distinct = not (text.isalpha() and len(text) < 12) and not text.isdigit()
        if len(text) >= 6 and distinct and MASK not in text and text not in _known:
            _known.append(text)
    _known.sort(key=len, reverse=True)  # longer ones first: they may contain shorter ones


def _masked_urls(text: str) -> str:
    """A password that holds what looks like another URL ends with the last @ of the pieces that it was cut into."""
    parts, end, inside = [], 0, False
    for found in _URL.finditer(text):
        if inside and (found["next"] is not None or "@" in found["rest"]):
            inside = found["next"] is not None
            parts.append("" if inside else found["rest"][found["rest"].rindex("@") :])
        else:
            parts.append(text[end : found.start()] + _masked_url(found))
            inside = found["next"] is not None and _user_info(found) == found["rest"]
        end = found.end()
    return "".join(parts) + text[end:]


def _masked_url(found: re.Match[str]) -> str:
    info = _user_info(found)
    if not info:
        return found[0]
    name, separator, password = info.partition(":")
    shown = password not in ("", "x-oauth-basic") and len(name) < _LONGEST_NAME
    return f"://{name + separator if shown else ''}{MASK}{found['rest'][len(info) :]}"


def _masked_encoded_url(run: re.Match[str]) -> str:
    """All between the first encoded :// and the last encoded @ of a text without spaces."""
    lower = run[0].lower()
    start, end = lower.find("%3a%2f%2f") + len("%3a%2f%2f"), lower.rfind("%40")
    return f"{run[0][:start]}{MASK}{run[0][end:]}" if "%3a%2f%2f" in lower and start < end else run[0]


def _user_info(found: re.Match[str]) -> str:
    """User and password before the host, or "". A password may contain @ and /, though URLs forbid it."""
    rest = found["rest"]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if ":" in authority and "@" in rest:
        before_query = rest.partition("?")[0]
        return (before_query if "@" in before_query else rest).rpartition("@")[0]
    _, separator, port = authority.partition(":")
    if found["next"] is not None and separator and port and not port.isdigit() and not authority.startswith("["):
        return rest  # cut short by what looks like another URL, in the middle of a password
    if found.string[max(0, found.start() - 5) : found.start()].lower().endswith(_NAMED_BEFORE_AT):
        return ""
    return authority.rpartition("@")[0]


def _is_secret(field: re.Match[str]) -> bool:
    last = re.split(r"[;&?{]", unquote(field["name"]))[-1]  # of an encoded connection string: separators are encoded
    name = re.sub(r"[^a-z0-9]", "", last.lower())
    in_query = field.start() > 0 and field.string[field.start() - 1] in "?&;"
    return name.endswith(_SECRET_NAMES) or (in_query and name in _QUERY_NAMES)


def _secrets_of_fields(text: str) -> Iterator[re.Match[str]]:
    """Values of secret fields; the values of other fields are searched for fields, too."""
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
    """A text stream that masks secrets and escapes control characters in what is written to it.

    `controls`: control characters are written as they are, since they are rich's.
    """

    def __init__(self, stream: TextIO, controls: bool = False) -> None:
        self._stream, self._controls = stream, controls

    def write(self, text: str) -> int:
        shown = masked(text)
        self._stream.write(shown if self._controls else printable(shown))
        return len(text)

    def with_controls(self) -> TextIO:
        return cast(TextIO, MaskedStream(self._stream, controls=True))

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def with_controls(stream: TextIO) -> TextIO:
    """The stream for rich's console, whose control characters pass; callers escape those of other text."""
    return stream.with_controls() if isinstance(stream, MaskedStream) else stream


def remember_own() -> None:
    """Mask the secrets of this process' command line and environment."""
    for text in (*sys.argv[1:], *os.environ.values()):
        if "://" in text:
            remember(text)
    for name, value in os.environ.items():
        is_secret = re.sub(r"[^a-z0-9]", "", name.lower()).endswith(_SECRET_NAMES)
        if is_secret and not value.startswith("/"):  # PWD is a path
            _learn(value)


def mask_streams() -> None:
    """Mask everything that this process prints from now on, including tracebacks and libraries' logs."""
    remember_own()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, MaskedStream):
            setattr(sys, name, MaskedStream(stream))


@contextmanager
def masking() -> Iterator[None]:
    """`mask_streams` within the block, and masked exceptions: for the body of a command or of a trial."""
    before = sys.stdout, sys.stderr
    mask_streams()
    try:
        yield
    except Exception as error:
        mask_error(error)
        raise
    finally:
        sys.stdout, sys.stderr = before
