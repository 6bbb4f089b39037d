"""A Slurm cluster, and one undisturbed launch to compare with, for all tests of a session."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.launches import run
from tests.faults.records import Cell, Recorded, outcome
from tests.slurm.cluster import PROGRAMS, Slurm

STUDY = "ablation_noise_rate"
WORDS = (STUDY, "--preset", "smoke", "--set", "train.epochs=8")
"""Twelve cells that take seconds."""

LONG = (STUDY, "--preset", "smoke", "--set", "train.epochs=80")
"""Twelve cells that last beyond a time limit of minutes, and while tasks are preempted 20 times."""


@dataclass(frozen=True)
class Reference:
    """The study on one host: its cells in MLflow, and its table."""

    cells: dict[Cell, Recorded]
    table: list[list[str]]


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root and {', '.join(missing) or 'Slurm'}")
    with Slurm(tmp_path_factory.mktemp("slurm") / "cluster") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return _reference(tmp_path_factory.mktemp("one-host"), WORDS)


@pytest.fixture(scope="session")
def long_reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return _reference(tmp_path_factory.mktemp("one-host-long"), LONG)


def _reference(folder: Path, words: Sequence[str]) -> Reference:
    run(folder, *words, seconds=900)
    return Reference(outcome(folder, STUDY), table(folder))


def table(folder: Path) -> list[list[str]]:
    """Rows of the table's CSV file, without the ids of the runs."""
    with (folder / "reports" / STUDY / f"{STUDY}.csv").open(newline="") as stream:
        header, *rows = csv.reader(stream)
    kept = [column for column, name in enumerate(header) if "run" not in name]
    return [[row[column] for column in kept] for row in (header, *rows)]
