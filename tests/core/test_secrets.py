"""Credentials never leave the program: one mask, tried on every form that URLs and connection strings have."""

import os
import subprocess
import sys
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysweep.cli.data import main as data
from raysweep.cli.report import main as report
from raysweep.cli.run import main as run
from raysweep.core.errors import describe
from raysweep.core.masking import masked, remember

SECRET = "S3cr3tW0rd"

LEAKS = [
    "https://me:{}@host/x", "http://{}@host:5000", "postgresql://me:{}@db:5432/mlflow", "mysql+pymysql://me:{}@db/x?ssl=1",
    "postgresql+psycopg2://me:a/{}/b@db/x", "postgresql://me:a@{}@db/x", "postgresql://me:{}:x@db/x", "redis://:{}@host",
    "https://host/x?password={}", "https://host/x?a=1&token={}&b=2", "https://host/x?access_token={}#top", "s3://bucket/f?X-Amz-Signature={}",
    "s3://bucket/f?AWSAccessKeyId=a&Signature={}", "s3://key:{}@bucket/folder", "https://acc.blob.core.windows.net/c?sv=1&sig={}",
    "abfs://c@acc/x?sas_token={}", "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BUID%3Dme%3BPWD%3D{}%3B",
    "host=db user=me password={} dbname=x",
    "Server=db;Uid=me;Pwd={};Database=x", "postgresql://db/x?user=me&password={}", "https://host/x?api_key={}", "sftp://me:{}@host/x",
    "AWS_SECRET_ACCESS_KEY={}", "MLFLOW_TRACKING_PASSWORD={} raysweep", "Authorization: Bearer {}",
    "{{'token': '{}'}}", '{{"password": "{}"}}',
    "(psycopg2.OperationalError) connection to postgresql://me:{}@db failed: timeout", "git+https://{}@github.com/x/y.git",
    "https://user%40corp:{}@host/x", "smb://DOMAIN;me:{}@host/share", "'https://me:{}@host/x': no such host", "<https://me:{}@host>",
]  # fmt: skip

HARMLESS = [
    "sqlite:///mlflow.db", "http://127.0.0.1:5000/#/experiments/1", "s3://bucket/folder/a",
    "abfs://container@account.dfs.core.windows.net/x",
    "a@b.c", "labels.alpha=0.5", "--set model.arm_alpha=frozen --seeds 5",
    "raysweep: unknown study 'x': choose one of a, b",
    "/data/me@home/x.csv", "3 of 5 cells done", "the token file has mode 0600", "keys=3, 12 % of keys", "memory://x/y", "http://[::1]:5000/x",
]  # fmt: skip


@pytest.mark.parametrize("form", LEAKS)
def test_every_form_is_masked(form):
    text = form.format(SECRET)
    assert SECRET not in masked(text)
    assert "***" in masked(text)
    assert masked(masked(text)) == masked(text)
    assert SECRET not in masked(f"before {text} after, {text}")
    assert SECRET not in describe(ConnectionError(text))


@pytest.mark.parametrize("text", HARMLESS)
def test_what_holds_no_secret_stays_as_it_is(text):
    assert masked(text) == text


chars = st.text(st.sampled_from("abz019/@:!$*()+,-._~%é"), min_size=1, max_size=12)
like_urls = st.lists(
    st.sampled_from(["://", "b://", "/", ",", "::", ":", "@", "=", "a", "("]), min_size=1, max_size=6
).map("".join)


@given(
    user=st.text(st.sampled_from("abz019._-"), min_size=1, max_size=6),
    middle=chars | like_urls,
    tail=st.sampled_from(["", "/x", ":5432/x?a=1"]),
)
def test_no_password_of_any_characters_is_left(user, middle, tail):
    password = f"QQ{middle}QQ"
    assert "QQ" not in masked(f"postgresql://{user}:{password}@db.host{tail}")


@pytest.mark.parametrize("middle", ["/a:///", "/a://b/c://d", "://", ",b://", "/b://", "::b://", "@x://", "?b=c://"])
def test_a_password_that_looks_like_an_address_is_masked_plain_and_encoded(middle):
    url = f"postgresql://me:QQ{middle}QQ@db.host/x"
    assert "QQ" not in masked(url)
    assert "QQ" not in masked(f"cannot open {quote(url, safe='')}: refused")


def test_addresses_side_by_side_are_masked_each():
    text = "http://host:5000,postgresql://me:QQ@db zip://a.zip::s3://k:QQ@b/x http://a.b/2020/http://u:QQ@h?next=http://QQ@g"
    assert masked(text) == (
        "http://host:5000,postgresql://me:***@db zip://a.zip::s3://k:***@b/x http://a.b/2020/http://u:***@h?next=http://***@g"
    )


def test_what_was_learned_is_masked_wherever_a_library_repeats_it(monkeypatch):
    monkeypatch.setattr("raysweep.core.masking._known", [])
    remember("postgresql://me:p%40ss-w0rd@db/x")
    for text in ("password authentication failed with p@ss-w0rd", "sent p%40ss-w0rd to db", "FATAL 'p@ss-w0rd'"):
        assert "w0rd" not in masked(text)


URI = f"postgresql://me:{SECRET}@127.0.0.1:1/mlflow"
COMMANDS = {
    "report": (report, ["ablation_alpha", "--tracking", URI]),
    "report --list": (report, ["--list", "--tracking", URI]),
    "report --check": (report, ["ablation_alpha", "--check", "--tracking", URI]),
    "run": (run, ["ablation_alpha", "--preset", "smoke", "--tracking", URI]),
    "run --store": (run, ["ablation_alpha", "--preset", "smoke", "--store", f"sftp://me:{SECRET}@127.0.0.1:1/x"]),
    "status": (run, ["--status", "--store", f"memory://store/?token={SECRET}"]),
    "gc": (run, ["--gc", "--json", "--store", f"memory://store/?token={SECRET}"]),
    "a typo": (run, ["ablation_alpha", "--set", f"data.surce=https://me:{SECRET}@h/x"]),
    "no such set": (run, ["ablation_alpha", "--on", f"https://me:{SECRET}@h/x.csv", "--plan"]),
    "data show": (data, ["show", f"https://me:{SECRET}@h/x.csv"]),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_prints_it(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("raysweep.core.masking._known", [])
    main, words = COMMANDS[command]
    monkeypatch.setattr("sys.argv", ["raysweep", *words])
    main(words)
    captured = capsys.readouterr()
    assert SECRET not in captured.out + captured.err
    assert captured.out + captured.err
    for path in tmp_path.rglob("*"):
        assert SECRET.encode() not in (path.read_bytes() if path.is_file() else b""), path


def test_a_data_home_in_the_environment(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("raysweep.core.masking._known", [])
    monkeypatch.setenv("RAYSWEEP_DATA", f"memory://data/?password={SECRET}")
    data(["list"])
    captured = capsys.readouterr()
    assert SECRET not in captured.out + captured.err
    assert "memory://data/" in captured.out + captured.err


def test_tracebacks_are_masked_too(tmp_path):
    code = (
        "import sys; from raysweep.core.masking import masking\n"
        "with masking():\n"
        "    try: raise OSError('cannot reach ' + sys.argv[1])\n"
        "    except OSError:\n"
        "        import traceback; traceback.print_exc()\n"
        "    print(sys.argv[1]); sys.stdout.flush(); print(sys.stdout.isatty(), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, URI], capture_output=True, text=True, check=True, cwd=os.getcwd()
    )
    assert SECRET not in done.stdout + done.stderr
    assert "me:***@127.0.0.1" in done.stdout
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("main", [run, report])
def test_an_address_comes_from_a_file_so_that_no_command_line_holds_it(main, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("raysweep.core.masking._known", [])
    (tmp_path / "address").write_text(f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/mlflow\n")
    assert main(["ablation_alpha", "--tracking", "@address"]) == 2
    said = capsys.readouterr()
    assert "postgresql+psycopg://me:***@127.0.0.1:1/mlflow" in said.err
    assert SECRET not in said.out + said.err
    assert "command line" not in said.err


@pytest.mark.parametrize(("content", "why"), [(None, "No such file"), ("", "but has 0"), ("a b", "but has 2")])
def test_a_file_without_one_address_is_refused(content, why, tmp_path, capsys):
    if content is not None:
        (tmp_path / "address").write_text(content)
    with pytest.raises(SystemExit) as left:
        run(["ablation_alpha", "--store", f"@{tmp_path}/address"])
    assert left.value.code == 2
    assert why in capsys.readouterr().err


def test_a_password_that_was_typed_is_warned_of(capsys):
    assert run(["--status", "--store", f"s4://me:{SECRET}@h/x"]) == 2
    said = capsys.readouterr().err
    assert "give it as @FILE" in said
    assert SECRET not in said
