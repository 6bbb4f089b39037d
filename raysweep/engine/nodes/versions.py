"""Versions of what decides a cell's numbers, of the driver and of a node. Needs neither Ray nor torch."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

import raysweep
from raysweep.core.errors import UserError
from raysweep.core.version import code_digest


@dataclass(frozen=True)
class Versions:
    """`code`: of raysweep's files (`code_digest`). A package that is not installed has the version ""."""

    raysweep: str
    code: str
    python: str
    ray: str
    torch: str

    @classmethod
    def here(cls) -> Versions:
        """Of this process."""
        return cls(raysweep.__version__, code_digest(), platform.python_version(), installed("ray"), installed("torch"))

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Versions:
        return cls(*(values.get(name, "") for name in cls.__dataclass_fields__))

    def describe(self) -> dict[str, str]:
        return asdict(self)

    def text(self) -> str:
        return f"raysweep {self._raysweep}, Python {self.python}, torch {self.torch}, Ray {self.ray}"

    @property
    def _raysweep(self) -> str:
        return f"{self.raysweep} (code {self.code or 'unknown'})" if self.raysweep else "not installed"

    def fault_of(self, node: Versions) -> str:
        """Why a node with these versions cannot work for a launch with mine; "" if it can."""
        if not node.raysweep:
            return f"raysweep is not installed there: install {self.raysweep} in the environment of its Ray"
        if (self.raysweep, self.code) != (node.raysweep, node.code):
            return (
                f"its raysweep is {node._raysweep}, the launch's is {self._raysweep}: install the same there, and "
                "begin again after a change of the code"
            )
        if _minor(self.python) != _minor(node.python):
            return f"its Python is {node.python}, the launch's is {self.python}: use {_minor(self.python)} there"
        if self.ray != node.ray:
            return f"its Ray is {node.ray}, the launch's is {self.ray}: pip install ray=={self.ray} there"
        return "" if node.torch else f"torch is not installed there: pip install torch=={_public(self.torch)} there"

    def warning_of(self, node: Versions) -> str:
        """A difference that a node can work with; "" if there is none. Builds (CPU, CUDA) may differ."""
        if not node.torch or _public(self.torch) == _public(node.torch):
            return ""
        return (
            f"its torch is {node.torch}, the launch's is {self.torch}: numbers may differ, "
            f"pip install torch=={_public(self.torch)} there"
        )


def installed(package: str) -> str:
    """The version of an installed package, without importing it; "" if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def check_versions(launch: Mapping[str, str]) -> None:
    """Raises UserError where this process cannot work for a launch with these versions; empty: not compared."""
    if launch and (fault := Versions.of(launch).fault_of(Versions.here())):
        raise UserError(fault)


def _minor(python: str) -> str:
    return ".".join(python.split(".")[:2])


def _public(version_: str) -> str:
    """Without the part that names a build: "2.9.0" of "2.9.0+cu128"."""
    return version_.partition("+")[0]
