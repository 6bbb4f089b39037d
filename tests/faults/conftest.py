"""One undisturbed run of the small study for all drills of a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import small_study
from tests.faults.ray_nodes import Nodes, ray_nodes
from tests.faults.small_study import Reference


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_study.make_template(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Reference:
    return small_study.make_reference(small_study.prepare(tmp_path_factory.mktemp("reference"), template))


@pytest.fixture
def fresh(tmp_path: Path, template: Path, reference: Reference) -> Path:
    """A folder in which nothing has run yet."""
    return small_study.prepare(tmp_path / "fresh", template, reference)


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    with ray_nodes(tmp_path, monkeypatch) as started:
        yield started
