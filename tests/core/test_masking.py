"""Passwords, tokens and keys, in what people type and in what libraries say of it."""

import copy
import io
import json
import os
import sys
import time
from contextlib import redirect_stderr
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from raysweep.core import masking
from raysweep.core.errors import UserError, describe
from raysweep.core.masking import MaskedStream, mask_error, masked, masked_values, remember
from raysweep.data.prepare.location import Home
from raysweep.engine.search.storage import existing_storage
from raysweep.store.files import RemoteFiles
from raysweep.store.unusable import StoreUnusable
from raysweep.tracking.journal import Journal
from raysweep.tracking.server import connect, ui_command

SECRET = "hunter2/x@y:z"


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(masking, "_known", [])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:hidden@db/x", "postgresql://me:***@db/x"),
        ("postgresql+psycopg2://me:hid/den@db/x", "postgresql+psycopg2://me:***@db/x"),
        ("mysql+pymysql://me:hid@den@db:3306/x", "mysql+pymysql://me:***@db:3306/x"),
        ("http://me:hid:den@db:5000", "http://me:***@db:5000"),
        ("http://me:hid?den@db", "http://me:***@db"),
        ("http://me:hid%2Fd%40en@db", "http://me:***@db"),
        ("redis://:hidden@db", "redis://:***@db"),
        ("https://hidden@db/x", "https://***@db/x"),
        ("https://hidden:@db/x", "https://***@db/x"),
        ("https://hidden:x-oauth-basic@db", "https://***@db"),
        ("s3://AKIAIOSFODNN7EXAMPLE:hid/den@bucket/x", "s3://***@bucket/x"),
        ("databricks://token:hidden@host", "databricks://token:***@host"),
        ("postgresql://db/x?user=me&password=hidden&sslmode=on", "postgresql://db/x?user=me&password=***&sslmode=on"),
        ("https://db?token=hidden", "https://db?token=***"),
        ("https://db/x?sv=2&sig=hid%2Fden%3D&se=3", "https://db/x?sv=2&sig=***&se=3"),
        (
            "https://db/x?X-Amz-Credential=hidden&X-Amz-Signature=hidden",
            "https://db/x?X-Amz-Credential=***&X-Amz-Signature=***",
        ),
        ("s3://b/x?access_key=hidden&secret-key=hidden", "s3://b/x?access_key=***&secret-key=***"),
        ("https://db/x?api%5Fkey=hidden", "https://db/x?api%5Fkey=***"),
        ("https://a/?to=postgresql%3A%2F%2Fme%3Ahidden%40db", "https://a/?to=postgresql%3A%2F%2F***%40db"),
        ("host=db user=me password=hidden port=1", "host=db user=me password=*** port=1"),
        ("AccountName=a;AccountKey=hidden==;Suffix=x", "AccountName=a;AccountKey=***;Suffix=x"),
        ("{'key': 'a', 'secret': 'hidden'}", "{'key': 'a', 'secret': '***'}"),
        ('{"aws_secret_access_key": "hidden"}', '{"aws_secret_access_key": "***"}'),
        ("Authorization: Bearer hidden", "Authorization: Bearer ***"),
        (
            "can't reach 'https://me:hidden@db/x', nor https://hidden@b.",
            "can't reach 'https://me:***@db/x', nor https://***@b.",
        ),
        ("postgresql://a:hidden@b,https://c:hidden@d", "postgresql://a:***@b,https://c:***@d"),
    ],
)
def test_masked_in_their_places(text, shown):
    assert masked(text) == shown
    assert masked(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/folder/x@2x.png",
        "http://127.0.0.1:5000/#/experiments/1?orderByKey=start_time&keyword=a",
        "abfs://container@account.dfs.core.windows.net/x",
        "sqlite:////home/me@work/mlflow.db",
        "noise=0.3, extra=a\\,b.csv; labels.alpha=0.5 key=value",
        "me@example.org says: tokens=5, monkey=3",
        "memory://x",
        "",
    ],
)
def test_left_as_they_are(text):
    assert masked(text) == text


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=30))
def test_any_password_that_is_encoded(password):
    url = f"postgresql+psycopg2://me:{quote(password, safe='')}@db.local:5432/x"
    assert (
        masked(f"cannot reach {url}: refused") == "cannot reach postgresql+psycopg2://me:***@db.local:5432/x: refused"
    )


def test_what_was_given_is_masked_alone():
    remember(f"s3://me:{quote(SECRET, safe='')}@bucket?token=t0ken-of-mine")
    for form in (SECRET, quote(SECRET), quote_plus(SECRET), "hunter2", "t0ken-of-mine"):
        assert form not in masked(f"login with {form} failed")


@pytest.mark.parametrize(
    "text", ['password="hidden" x', 'password=hidden"', "token='hidden'", "a password=hidden", "x password=hid\\den"]
)
def test_json_stays_json(text):
    """`--json` is masked as it is printed."""
    shown = masked(json.dumps({"a": text, "b": [text, "token", {"secret": text}]}))
    assert "hid" not in shown
    assert list(json.loads(shown)) == ["a", "b"]


LONG = ["a=b@://", "a=\\", "a='b ", "password=\\", "%3A%2F%2Fx", "authorization: ", "x" * 9, 'password="\\']


@pytest.mark.parametrize("part", LONG)
def test_long_texts_take_no_longer_than_they_are(part):
    began = time.process_time()
    masked(part * 20_000 + "=")
    assert time.process_time() - began < 2


def test_a_password_that_is_a_word_does_not_take_that_word_from_texts():
    remember("postgresql://mlflow:mlflow@db/mlflow")
    assert masked("mlflow ui --backend-store-uri x") == "mlflow ui --backend-store-uri x"


def _sqlalchemy(url):
    make_url(url.replace("@db", "@db:port"))


def _fsspec(url):
    RemoteFiles(url.replace("postgresql", "nosuch"))


def _home(url):
    Home(url.replace("postgresql", "nosuch"))


def _optuna(url):
    with existing_storage(url.replace("postgresql", "postgresql+nothing"), []):
        pass


def _mlflow(url):
    connect(url.replace("postgresql", "postgresql+nothing"))


def _mlflow_over_http(url):
    connect(f"http://me:{quote(SECRET, safe='')}@127.0.0.1:1")


def _mlflow_scheme(url):
    connect(url.replace("postgresql", "nosuch"))


@pytest.mark.parametrize(
    "fail", [_sqlalchemy, _fsspec, _home, _optuna, _mlflow, _mlflow_over_http, _mlflow_scheme], ids=lambda f: f.__name__
)
def test_what_libraries_say(fail):
    url = remember(f"postgresql://me:{SECRET}@db/x")
    with pytest.raises(Exception) as caught:  # noqa: PT011  each library its own
        fail(url)
    for word in (SECRET, "hunter2", "x@y", quote(SECRET, safe="")):
        assert word not in describe(caught.value)


def test_errors_hold_none_wherever_they_go():
    for kind in (UserError, StoreUnusable):
        error = copy.copy(kind("no room at s3://me:hidden@b"))
        assert str(error) == "no room at s3://me:***@b"
    error = OSError(5, "failed", "ftp://me:hidden@b/x")
    error.__cause__ = RuntimeError("ftp://me:hidden@b")
    mask_error(error)
    assert "hidden" not in f"{error} {error.args} {error.__cause__}"


def test_streams_mask_tracebacks_and_stay_streams():
    stream = io.StringIO()
    with redirect_stderr(MaskedStream(stream)):
        sys.excepthook(ValueError, ValueError("https://me:hidden@b"), None)
        print("password=hidden", file=sys.stderr)
        sys.stderr.writelines(["https://hidden@b"])
        assert not sys.stderr.isatty()
    assert stream.getvalue().count("***") == 3
    assert "hidden" not in stream.getvalue()


def test_a_journal_holds_none(tmp_path):
    journal = Journal(tmp_path / "a.jsonl")
    event = {"event": "launch", "plan": {"command": ["x", "--store=s3://me:hidden@b"]}, "n": 1.5, "t": (1, None)}
    journal.append(event)
    journal.close()
    assert "hidden" not in (tmp_path / "a.jsonl").read_text()
    plain = {"event": "launch", "time": 1, "cell": {"arm": "noise=0.3", "scores": [0.1, 2]}}
    assert json.dumps(masked_values(plain)) == json.dumps(plain)


def test_the_line_that_is_printed_for_mlflow():
    assert "hidden" not in ui_command("postgresql://me:hidden@db/x?sslpassword=hidden")


def test_no_word_of_the_environment_is_changed():
    before = dict(os.environ)
    remember("https://me:some-secret@db")
    assert dict(os.environ) == before
