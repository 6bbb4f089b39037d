"""Database URLs, as MLflow and Optuna take them: the driver is named, and installed."""

from __future__ import annotations

from .errors import UserError, describe

POSTGRESQL = "postgresql+psycopg"
"""Which driver `postgresql://` means here. In SQLAlchemy 2.0 it means psycopg2, in 2.1 psycopg."""

INSTALL = {
    "psycopg": "'raysweep[postgres]'",
    "psycopg2": f"'raysweep[postgres]', and write {POSTGRESQL}://",
    "MySQLdb": "mysqlclient",
    "oracledb": "oracledb",
}
"""What to install, by the module that is missing, where it is not the module's name."""


def with_driver(url: str) -> str:
    """The URL with the driver for PostgreSQL named, if no other one is.

    >>> with_driver("postgresql://me@db/mlflow"), with_driver("sqlite:///mlflow.db")
    ('postgresql+psycopg://me@db/mlflow', 'sqlite:///mlflow.db')
    """
    scheme, separator, rest = url.partition("://")
    return f"{POSTGRESQL}{separator}{rest}" if scheme in ("postgresql", "postgres") else url


CONNECT_SECONDS = 20
"""Longest time to wait for a server."""


def check_database(what: str, url: str) -> None:
    """Raises UserError when a database cannot be used: no driver for it, no server there, no access. MLflow would try
    again for a quarter of an hour.

    Args:
        what: the place it is for, to begin the message with.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    check_driver(what, url)
    limit = {"connect_timeout": CONNECT_SECONDS} if url.startswith(("postgresql", "mysql")) else {}
    engine = create_engine(url, connect_args=limit)
    try:
        engine.connect().close()
    except SQLAlchemyError as error:
        raise UserError(
            f"{what}: cannot use {url} ({describe(error)}): check address, user and password, and that it runs"
        ) from None
    finally:
        engine.dispose()


def check_driver(what: str, url: str) -> None:
    """Raises UserError when no driver for a database's URL is installed, or there is no such driver.

    Args:
        what: the place it is for, to begin the message with.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    try:
        make_url(url).get_dialect().import_dbapi()
    except ImportError as error:
        missing = error.name or "its driver"
        raise UserError(
            f"{what}: {url} needs {missing}, which is not installed: pip install {INSTALL.get(missing, missing)}"
        ) from None
    except (SQLAlchemyError, ValueError) as error:
        raise UserError(
            f"{what}: {url} is no database's URL ({describe(error)}); give sqlite:///FILE or {POSTGRESQL}://USER@HOST/NAME"
        ) from None
