"""Runs stages: reads a product from the store, or computes and stores it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, TypeVar

from raysweep.core.version import code_version
from raysweep.store.store import HOST, Store
from raysweep.training.distributed import Ranks

from .stage import Stage
from .stage_kinds import STAGE_KINDS

T = TypeVar("T")


@dataclass(frozen=True)
class FitEvent:
    """An epoch of one training. `key` is that epoch's stage; `training` and `until` are the stage and the number
    of the epoch that this piece of it ends with; `replayed`: computed earlier and reported again; `seconds` of wall
    time, validation included; `images` trained on; `device`: its kind and the number of devices."""

    key: str
    title: str
    epoch: int
    epochs: int
    metrics: Mapping[str, float]
    replayed: bool = False
    training: str = ""
    until: int = 0
    seconds: float = 0.0
    images: int = 0
    device: str = ""


@dataclass
class Context:
    """Where stages run: a store, a device, and the function that epochs are reported to.

    `keep`: keys of epochs to store in passing, because other work continues from them; those found to be damaged are
    added, so that they are stored again.
    """

    store: Store
    device: str = "cpu"
    report: Callable[[FitEvent], None] = lambda event: None
    keep: Set[str] = frozenset()
    memory: dict[str, Any] = field(default_factory=dict)

    def product(self, stage: Stage) -> Any:
        """The stage's product: from memory, from the store, or computed (and then stored)."""
        if stage.key not in self.memory:
            self.memory[stage.key] = self._find(stage)
        return self.memory[stage.key]

    def _find(self, stage: Stage) -> Any:
        kind = STAGE_KINDS[stage.kind]
        if not kind.is_stored:
            return kind.compute(stage, self)
        product = self.from_first(lambda: self._read(stage))
        if product is None:
            made = kind.compute(stage, self)
            product = self.from_first(lambda: made)  # ranks may differ in the last digits, and then in a label
            self.keep_product(stage, product)
        return product

    def _read(self, stage: Stage) -> Any:
        files = STAGE_KINDS[stage.kind].files
        if files is None or self.store.get(stage.key) is None:
            return None
        return files.read(self.store.folder(stage.key))

    def from_first(self, make: Callable[[], T]) -> T:
        """The first rank's result of `make`, on all ranks of a group: they must see the same state of the store."""
        return Ranks.current().from_first(make)

    def keep_product(self, stage: Stage, product: Any) -> None:
        """Store a product, if its kind is stored. Only the first rank of a group writes."""
        files = STAGE_KINDS[stage.kind].files
        if files is not None and is_first_rank():
            facts = {"kind": stage.kind, "title": stage.attached.title, "code_version": code_version()}
            facts[HOST] = socket.gethostname()
            self.store.put(stage.key, lambda folder: files.write(product, folder), facts)


def is_first_rank() -> bool:
    return Ranks.current().rank == 0
