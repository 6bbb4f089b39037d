"""What the cells of a report were computed with, and what it cost, counted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .records import CellRecord, Results


@dataclass(frozen=True)
class Provenance:
    """Of the complete cells the number by version of the code, by device, by data fingerprint and by library with its
    version ("" where it was not recorded). `hours`: device-hours by kind of work; kinds without any run are left out.
    `untimed`: cells with a run whose time is not recorded."""

    code: Mapping[str, int]
    devices: Mapping[str, int]
    data: Mapping[str, int]
    libraries: Mapping[str, Mapping[str, int]]
    hours: Mapping[str, float]
    untimed: int

    @property
    def total_hours(self) -> float:
        return math.fsum(self.hours.values())

    @property
    def dirty(self) -> int:
        """Complete cells that were computed by code with uncommitted changes."""
        return sum(count for version, count in self.code.items() if version.endswith(".dirty"))


def provenance(results: Results) -> Provenance:
    """Counts of the cells, the trials and the shared trainings of a report. Reads curves of the store."""
    complete = [cell for cell in results.cells if cell.complete]
    names = sorted({name for cell in complete for name in cell.versions})
    return Provenance(
        code=_counted(cell.code_version for cell in complete),
        devices=_counted(cell.device for cell in complete),
        data=_counted(cell.data_fingerprint for cell in complete),
        libraries={name: _counted(cell.versions.get(name, "") for cell in complete) for name in names},
        hours=_hours(results),
        untimed=sum(cell.run_id is not None and cell.spent() is None for cell in results.cells),
    )


def commit_of(version: str) -> tuple[str, bool]:
    """The commit of a version of the code, "" without one, and whether there were no uncommitted changes.

    >>> commit_of("0.1.0+1a2b3c4.dirty"), commit_of("0.1.0+1a2b3c4"), commit_of("0.1.0")
    (('1a2b3c4', False), ('1a2b3c4', True), ('', True))
    """
    commit = version.partition("+")[2]
    return commit.removesuffix(".dirty"), not commit.endswith(".dirty")


def _hours(results: Results) -> dict[str, float]:
    kinds: dict[str, list[float]] = {}
    seen: set[str] = set()
    for cell in results.cells:
        seconds = cell.spent()
        if seconds is None or cell.run_id in seen:
            continue
        seen.add(cell.run_id or "")
        kinds.setdefault(_kind(cell), []).append(seconds)
    kinds["trainings that cells share"] = [results.shared().seconds]
    found = {kind: math.fsum(seconds) / 3600 for kind, seconds in kinds.items()}
    searched = [search.device_hours for search in results.searches if search.device_hours is not None]
    found |= {"search trials": math.fsum(searched)} if searched else {}
    return {kind: hours for kind, hours in found.items() if hours > 0}


def _kind(cell: CellRecord) -> str:
    return "complete cells" if cell.complete else f"{cell.state} cells"


def _counted(words: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))
