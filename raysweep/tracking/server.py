"""Connecting to the MLflow tracking store, with errors if it cannot be reached or written."""

from __future__ import annotations

import logging
import os
import shlex
import sqlite3
import sys
from pathlib import Path
from urllib.parse import urlparse, urlunparse

from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode

from raysweep.core.databases import check_database, with_driver
from raysweep.core.errors import UserError, describe
from raysweep.core.filesystem import network_file_system
from raysweep.core.masking import masked, remember

SQLITE = "sqlite:///"
DEFAULT_URI = f"{SQLITE}mlflow.db"

UI = "MLFLOW_DISABLE_TELEMETRY=true mlflow ui --backend-store-uri"


def connect(uri: str | None = None, writable: bool = True) -> MlflowClient:
    """A client for `uri`, `MLFLOW_TRACKING_URI` or `sqlite:///mlflow.db`; migrates the schema if necessary.

    Raises:
        UserError: the store cannot be reached, or cannot be written if `writable`.
    """
    uri = tracking_uri(uri)
    _quiet_libraries()
    _check_uri(uri, writable)
    try:
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    except Exception as error:  # noqa: BLE001  SQLAlchemy, requests, alembic and MLflow each raise their own
        raise UserError(
            f"tracking: cannot use {uri} ({describe(error)}); set MLFLOW_TRACKING_URI or --tracking"
        ) from None
    return client


def check_tracking(uri: str | None = None) -> str:
    """Check that a launch could write there, without writing. Returns what is there, in words.

    Raises:
        UserError: as `connect`.
    """
    uri = tracking_uri(uri)
    _check_uri(uri, writable=True)
    if urlparse(uri).scheme == "sqlite":
        there = Path(uri.removeprefix("sqlite:///")).exists()
        return f"{uri}, {'can be written' if there else 'will be made'}"
    client = connect(uri)
    for known in client.search_experiments(view_type=ViewType.ALL, max_results=1):
        try:
            client.create_experiment(known.name)  # refused for its name, but only by a server that writes
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
                raise UserError(
                    f"tracking: {uri} can be read, but not written ({describe(error)}): check login and database"
                ) from None
    return f"{uri}, can be written"


def tracking_uri(uri: str | None = None) -> str:
    """`uri`, else MLFLOW_TRACKING_URI, else a SQLite file in the working folder."""
    return with_driver(remember(uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI))


def ui_command(uri: str | None = None) -> str:
    """The command that shows the runs in a browser."""
    uri = masked(tracking_uri(uri))
    return f"open {uri}" if uri.startswith("http") else f"{UI} {shlex.quote(uri)}"


def ui_address(uri: str | None = None) -> str:
    """Address of the server that shows the runs in a browser, without login; "" for a database."""
    parts = urlparse(tracking_uri(uri))
    if parts.scheme not in ("http", "https"):
        return ""
    return urlunparse((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", "", ""))


def _check_uri(uri: str, writable: bool) -> None:
    scheme = urlparse(uri).scheme
    if scheme == "sqlite":
        _check_sqlite(uri, Path(uri.removeprefix(SQLITE)), writable)
    elif scheme in ("", "file"):
        raise UserError(
            f"tracking: MLflow no longer keeps runs in a folder ({uri}); use sqlite:///{uri.rstrip('/')}/mlflow.db"
        )
    elif scheme in ("postgresql", "mysql", "mssql") or "+" in scheme:
        check_database("tracking", uri)
    elif scheme not in ("http", "https", "databricks"):
        raise UserError(f"tracking: expected sqlite:///FILE or http://HOST:PORT, but got {uri!r}")
    if scheme in ("http", "https"):
        # The publisher retries after asking what was written; a retried request could create a run twice.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0" if writable else "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")


def _check_sqlite(uri: str, file: Path, writable: bool) -> None:
    """Try a write and roll it back: SQLite opens a read-only file without an error."""
    if not file.exists() and not writable:
        raise UserError(f"tracking: {uri} does not exist; run a study first, or set MLFLOW_TRACKING_URI or --tracking")
    if not file.parent.is_dir():
        raise UserError(f"tracking: the folder of {uri} does not exist: {file.parent}")
    if not writable:
        return
    _check_not_shared(uri, file)
    fresh = not file.exists()
    try:
        connection = sqlite3.connect(file, timeout=20, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("CREATE TABLE raysweep_write_check (x INTEGER)")
            connection.execute("ROLLBACK")
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise UserError(f"tracking: cannot write {uri} ({error}); set MLFLOW_TRACKING_URI or --tracking") from None
    if fresh:
        file.unlink(missing_ok=True)


def _check_not_shared(uri: str, file: Path) -> None:
    """Warn of a file on a network file system; refuse it in a Slurm job, where other nodes are likely to write it, too.

    Raises:
        UserError: it is on one, in a Slurm job.
    """
    kind = network_file_system(file.parent)
    if not kind:
        return
    reason = f"tracking: {uri} is on {kind}, where SQLite's locks do not hold between machines"
    if "SLURM_JOB_ID" in os.environ:
        raise UserError(
            f"{reason}: submit the launch with --slurm, whose last job publishes, or name a server with "
            "--tracking http://HOST:PORT, or a file on a local disk"
        )
    sys.stderr.write(f"warning: {reason}: let no two machines use it at a time\n")


def _quiet_libraries() -> None:
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("mlflow.store.db.utils").setLevel(
        logging.CRITICAL
    )  # tracebacks of errors that the publisher reports
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # a line per ended run
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
