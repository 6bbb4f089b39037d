"""Database URLs: what `postgresql://` means, what is missing, and a real PostgreSQL under MLflow and Optuna."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import sqlalchemy

from raysweep.core.databases import check_driver
from raysweep.core.errors import UserError
from raysweep.engine.search.storage import existing_storage, open_storage, storage_url
from raysweep.store.store import Store
from raysweep.tracking.server import connect, tracking_uri

PASSWORD = "w0rd-of-pass"


@pytest.mark.parametrize(
    ("url", "missing", "advice"),
    [
        ("postgresql://me@db/x", "psycopg", "'raysweep[postgres]'"),
        ("postgres://me@db/x", "psycopg", "'raysweep[postgres]'"),
        ("postgresql+psycopg2://me@db/x", "psycopg2", "'raysweep[postgres]', and write postgresql+psycopg://"),
        ("mysql://me@db/x", "MySQLdb", "mysqlclient"),
        ("mysql+pymysql://me@db/x", "pymysql", "pymysql"),
        ("mssql+pyodbc://me@db/x", "pyodbc", "pyodbc"),
    ],
)
def test_a_driver_that_is_missing_is_named_with_what_to_install(url, missing, advice, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    for use in (lambda: connect(url), lambda: storage_url(url, Store(tmp_path))):
        with pytest.raises(UserError, match="which is not installed") as caught:
            use()
        assert str(caught.value).endswith(f" needs {missing}, which is not installed: pip install {advice}")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["postgresql+nothing://me@db/x", "nothing+at-all://x"])
def test_a_database_that_nobody_knows_is_refused(url):
    with pytest.raises(UserError, match=r"is no database's URL .*; give sqlite:///FILE or postgresql\+psycopg://"):
        check_driver("tracking", url)


def test_sqlite_needs_no_driver():
    check_driver("tracking", "sqlite:///mlflow.db")


@pytest.fixture(scope="module")
def postgres():
    """URL of a database of an own server with passwords. Debian's package postgresql has the programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres")) or [Path(shutil.which("postgres") or "/none")]
    if not found[-1].exists():
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    pytest.importorskip("psycopg")
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as folder:
        if as_user:
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
        password, port = Path(folder) / "password", free_port()
        password.write_text(PASSWORD)
        password.chmod(0o644)
        binaries, quiet = found[-1].parent, {"check": True, "capture_output": True, "cwd": folder}
        made = [binaries / "initdb", "-D", f"{folder}/db", "-U", "me", "-A", "scram-sha-256", f"--pwfile={password}"]
        subprocess.run([*as_user, *made], **quiet)
        where = ["-c", "listen_addresses=127.0.0.1", "-p", str(port), "-k", folder]
        server = subprocess.Popen(
            [*as_user, binaries / "postgres", "-D", f"{folder}/db", *where], cwd=folder, stderr=subprocess.DEVNULL
        )
        try:
            wait_for_port(server, port)
            yield f"postgresql://me:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)  # at once: SIGTERM waits for open connections
            server.wait(timeout=30)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(server, port):
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("PostgreSQL did not start")


def test_mlflow_keeps_runs_in_postgresql_under_either_url(postgres):
    client = connect(postgres)
    experiment = client.create_experiment("a study")
    assert tracking_uri(postgres).startswith("postgresql+psycopg://me:")
    named = connect(postgres.replace("postgresql:", "postgresql+psycopg:"))
    assert named.get_experiment(experiment).name == "a study"


def test_optuna_keeps_searches_in_postgresql_but_not_among_mlflows_tables(postgres, tmp_path):
    url = storage_url(postgres.replace("/postgres", "/searches"), Store(tmp_path))
    engine = sqlalchemy.create_engine(storage_url(postgres, Store(tmp_path)), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("CREATE DATABASE searches"))
    engine.dispose()
    storage = open_storage(url)
    assert storage.get_all_studies() == []
    storage.engine.dispose()
    with existing_storage(url, []) as there:
        assert there is not None
    connect(url.replace("/searches", "/postgres"))
    with (
        pytest.raises(UserError, match="is not an Optuna storage"),
        existing_storage(engine.url.render_as_string(False), []),
    ):
        pass


@pytest.mark.parametrize("change", [(PASSWORD, "wr0ng-passw0rd"), ("@127.0.0.1:", "@127.0.0.1:1/")])
def test_a_server_without_access_is_one_sentence_at_once(postgres, change):
    with pytest.raises(UserError, match=r"tracking: cannot use .* check address, user and password") as caught:
        connect(postgres.replace(*change), writable=False)
    assert "passw0rd" not in str(caught.value)
    assert "\n" not in str(caught.value)
