"""What `--doctor` has found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from raysweep.core.errors import UserError
from raysweep.core.formatting import plural
from raysweep.core.masking import masked
from raysweep.store.unusable import StoreUnusable

Level = Literal["ok", "warning", "fault"]


@dataclass(frozen=True)
class Finding:
    """One line. `what`: store, tracking, machine NAME and so on; `text`: what is there, or what is wrong and the
    remedy. A launch would not work with a fault."""

    level: Level
    what: str
    text: str


def tried(what: str, check: Callable[[], str]) -> Finding:
    """What a check says, or the error that it raises as a fault."""
    try:
        return Finding("ok", what, masked(check()))
    except (UserError, StoreUnusable, OSError) as error:
        return Finding("fault", what, masked(str(error)))


@dataclass(frozen=True)
class Diagnosis:
    """All findings. `nodes`: of a cluster, as plain values."""

    findings: Sequence[Finding]
    nodes: Sequence[Mapping[str, Any]] = field(default_factory=list)

    @property
    def works(self) -> bool:
        return all(finding.level != "fault" for finding in self.findings)

    def text(self) -> str:
        width = max(len(finding.what) for finding in self.findings)
        lines = [f"{found.level:8} {found.what:{width}}  {found.text}" for found in self.findings]
        faults = sum(found.level == "fault" for found in self.findings)
        warnings = sum(found.level == "warning" for found in self.findings)
        also = f" ({plural(warnings, 'warning')})" if warnings else ""
        end = f"a launch would not work: {plural(faults, 'fault')}{also}" if faults else f"a launch would work{also}"
        return "\n".join([*lines, end])

    def json(self) -> dict[str, Any]:
        return {
            "works": self.works,
            "findings": [asdict(finding) for finding in self.findings],
            "nodes": list(self.nodes),
        }
