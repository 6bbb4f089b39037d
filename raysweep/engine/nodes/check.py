"""Check every node of a cluster that has been joined, all at the same time, before it gets work."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raysweep.core.errors import describe
from raysweep.core.formatting import plural, size

from .look import Needs
from .versions import Versions

ANSWER_SECONDS = 30.0
"""Within which a node must answer; a healthy one takes a second or two."""


@dataclass(frozen=True)
class NodeReport:
    """A node as found.

    `node`: Ray's id of it; `address`: by which Ray reaches it;
    `devices`: number by kind, "CPU" and "GPU"; `model`: of its GPUs, "" if not known; `free`:
    bytes for the local part of the store, None if unknown; `faults`: why it cannot work; `lasting`: whether they
    stay as long as its Ray runs, so that nothing may be placed there.
    """

    node: str
    host: str
    devices: Mapping[str, int]
    model: str = ""
    versions: Versions | None = None
    free: int | None = None
    faults: Sequence[str] = ()
    warnings: Sequence[str] = ()
    lasting: bool = False
    address: str = ""

    @property
    def can_work(self) -> bool:
        return not self.faults

    @property
    def reason(self) -> str:
        return "; ".join(self.faults)

    def has(self, device: str) -> bool:
        return self.devices.get(device, 0) > 0

    def text(self) -> str:
        """Its devices, room and versions; what it lacks, or what to look at."""
        if self.faults:
            return self.reason
        parts = [self._counted(kind, count) for kind, count in self.devices.items() if count]
        parts += [f"{size(self.free)} free"] if self.free is not None else []
        known = f"; {self.versions.text()}" if self.versions else ""
        return (", ".join(parts) or "no device") + known + "".join(f"; {warning}" for warning in self.warnings)

    def _counted(self, kind: str, count: int) -> str:
        return plural(count, kind) + (f" ({self.model})" if kind == "GPU" and self.model else "")

    def describe(self) -> dict[str, Any]:
        """As plain values, for --json."""
        return {
            "host": self.host,
            "can_work": self.can_work,
            "faults": list(self.faults),
            "warnings": list(self.warnings),
            "devices": dict(self.devices),
            "gpu": self.model,
            "free_bytes": self.free,
            "versions": self.versions.describe() if self.versions else {},
        }


def check_nodes(needs: Needs, seconds: float = ANSWER_SECONDS) -> list[NodeReport]:
    """A report on every node that is alive, in the order of their names."""
    nodes = sorted((n for n in ray.nodes() if n["Alive"]), key=lambda n: (n["NodeManagerHostname"], n["NodeID"]))
    asked = ray.put(needs.text())  # it may hold passwords: arguments of tasks are shown by Ray's tools
    task = ray.remote(num_cpus=0, max_retries=0)(_by_value())
    answers = [task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(n["NodeID"], soft=False)).remote([asked])
               for n in nodes]  # fmt: skip
    ray.wait(answers, num_returns=len(answers), timeout=seconds)
    mine = Versions.here()
    return [_report(node, _Answer.of(answer, seconds), mine) for node, answer in zip(nodes, answers, strict=True)]


def _by_value() -> Callable[[list[Any]], str]:
    """The function that runs on a node. Being made here it travels as code, not by name: the node's raysweep may be
    another one, or missing."""

    def look_there(asked: list[Any]) -> str:
        import json
        import platform
        from importlib.metadata import PackageNotFoundError, version

        import ray

        def installed(package: str) -> str:
            try:
                return version(package)
            except PackageNotFoundError:
                return ""

        told: dict[str, Any] = {
            "python": platform.python_version(),
            "ray": ray.__version__,
            "torch": installed("torch"),
        }
        try:
            import raysweep

            told["raysweep"] = raysweep.__version__
            from raysweep.core.version import code_digest

            told["code"] = code_digest()
            from raysweep.engine.nodes.look import look
        except (ImportError, AttributeError):  # none, or one of before this check: its versions say so
            return json.dumps({"versions": told})
        return json.dumps({"versions": told, **look(ray.get(asked[0]))})

    return look_there


@dataclass(frozen=True)
class _Answer:
    told: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""
    warning: str = ""

    @classmethod
    def of(cls, answer: Any, seconds: float) -> _Answer:
        try:
            return cls(json.loads(ray.get(answer, timeout=0)))
        except ray.exceptions.GetTimeoutError:
            ray.cancel(answer, force=True)
            return cls(warning=f"it did not answer within {seconds:.0f} s: look at `ray status` if it gets no work")
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            return cls(fault=f"a process cannot run there ({describe(cause)}): start its Ray again, or take it out")


def _report(node: Mapping[str, Any], answer: _Answer, mine: Versions) -> NodeReport:
    has = node["Resources"]
    devices = {kind: int(has.get(kind, 0)) for kind in ("GPU", "CPU") if has.get(kind, 0)}
    models = [name.removeprefix("accelerator_type:") for name in has if name.startswith("accelerator_type:")]
    about = (node["NodeID"], node["NodeManagerHostname"], devices, ", ".join(models))
    address = node["NodeManagerAddress"]
    if not answer.told:
        faults, warnings = ([answer.fault] if answer.fault else []), ([answer.warning] if answer.warning else [])
        return NodeReport(*about, faults=faults, warnings=warnings, address=address)
    versions = Versions.of(answer.told["versions"])
    if fault := mine.fault_of(versions):
        return NodeReport(*about, versions, faults=[fault], lasting=True, address=address)
    warning = mine.warning_of(versions)
    warnings = [*answer.told["warnings"], *([warning] if warning else [])]
    return NodeReport(*about, versions, answer.told["free"], answer.told["faults"], warnings, address=address)
