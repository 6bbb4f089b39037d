"""The Optuna storage of a search: read without writing until it is known to be of the same search."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import RDBStorage
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from raysweep.core.databases import check_driver, with_driver
from raysweep.core.errors import UserError, describe
from raysweep.core.masking import remember
from raysweep.store.store import Store
from raysweep.study.search_plan import SearchArm

SIGNATURE = "raysweep.signature"
"""Attribute of an Optuna study: `SearchArm.signature`, on which its trials depend besides their points."""

optuna.logging.set_verbosity(optuna.logging.ERROR)


def storage_url(asked: str | None, store: Store) -> str:
    """URL of the Optuna storage: `asked`, else a file in the local store. Raises UserError: no driver for it."""
    if not asked:
        return f"sqlite:///{store.local / 'optuna.db'}"
    url = with_driver(remember(asked))
    check_driver("the Optuna storage", url)
    return url


@contextmanager
def existing_storage(url: str, arms: Sequence[SearchArm]) -> Iterator[RDBStorage | None]:
    """The existing storage, for reading; None if there is none. Writes nothing.

    Raises:
        UserError: it is no Optuna storage, or has another search with the name of one of these.
    """
    tables = _tables(url)
    if not tables:
        yield None
        return
    if not {"studies", "trials"} <= tables:
        raise UserError(f"{url} is not an Optuna storage: name another file or database (MLflow's cannot be shared)")
    storage = _opened(url, skip_table_creation=True)
    try:
        for study in optuna.get_all_study_summaries(storage, include_best_trial=False):
            for arm in arms:
                if arm.name == study.study_name:
                    check_same(url, arm, study.user_attrs.get(SIGNATURE))
        yield storage
    finally:
        storage.engine.dispose()


def open_storage(url: str) -> RDBStorage:
    """The storage, created if missing. Raises UserError."""
    file = make_url(url).database
    if url.startswith("sqlite:") and file:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    return _opened(url)


def _opened(url: str, skip_table_creation: bool = False) -> RDBStorage:
    engine = {"connect_args": {"timeout": 60}} if url.startswith("sqlite:") else {"pool_pre_ping": True}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return RDBStorage(url, engine_kwargs=engine, skip_table_creation=skip_table_creation)
    except (SQLAlchemyError, ImportError, RuntimeError) as error:
        raise UserError(f"the Optuna storage {url} cannot be used: {describe(error)}") from None


def _tables(url: str) -> set[str]:
    """Names of the tables at a URL; none if the file does not exist."""
    try:
        file = make_url(url).database
        if url.startswith("sqlite:") and not (file and Path(file).exists()):
            return set()
        engine = sqlalchemy.create_engine(url)
        try:
            return set(sqlalchemy.inspect(engine).get_table_names())
        finally:
            engine.dispose()
    except (SQLAlchemyError, ImportError) as error:
        raise UserError(
            f"the Optuna storage {url} cannot be used ({describe(error)}): name sqlite:///FILE or a database's URL"
        ) from None


def check_same(url: str, arm: SearchArm, signature: Mapping[str, Any] | None) -> None:
    """Raises UserError unless `signature`, that of the Optuna study with an arm's name, is the arm's."""
    advice = f"name another storage, or remove it: optuna delete-study --storage {url} --study-name '{arm.name}'"
    if signature is None:
        raise UserError(f"the Optuna storage {url} has a study {arm.name!r} that is not a search of raysweep; {advice}")
    different = _differences(signature, arm.signature)
    if different:
        raise UserError(f"the Optuna storage {url} has another search {arm.name!r}: {'; '.join(different)}; {advice}")


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Descriptions of up to three differences between two signatures."""
    found = []
    for part in here:
        old, new = there.get(part, {}), here[part]
        for name in sorted({*old, *new}):
            if old.get(name) != new.get(name):
                what = name if part in ("experiment", "space") else f"{part} {name}"
                found.append(f"{what} was {_shown(old.get(name))} there and is {_shown(new.get(name))} here")
    return found[:3] + ([f"and {len(found) - 3} more"] if len(found) > 3 else [])


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{k} {v}" for k, v in value.items() if v is not None) + ")"
    return "not searched" if value is None else str(value)
