"""Every kind of stage: its version, what of an experiment is in its key, how it is computed and stored.

To add one, write its file in `raysweep/pipeline/stages/` and its entry in `STAGE_KINDS` (docs/extending.md). Functions
are named, and imported when a stage is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Protocol

from raysweep.config.experiment import Experiment

from . import key_fields as reaches
from .key_fields import Reach

if TYPE_CHECKING:
    from .execution import Context
    from .stage import Stage


class ProductFile(Protocol):
    """How products of a kind are kept in a folder of the store."""

    @staticmethod
    def write(product: Any, folder: Path, /) -> None: ...

    @staticmethod
    def read(folder: Path, /) -> Any: ...


@dataclass(frozen=True)
class StageKind:
    """One kind of stage.

    Args:
        version: part of the key. Raised by hand when numbers of this kind move (not the git commit: a change of docs
            must not retrain anything), or when its product holds more than before: the old one would be found and lack
            it, while evaluating again costs no training (`retrain` alone trains again).
        reach: fields of the experiment in its key; None: its parameters are its schedule (an epoch).
        run: "module:function" below `raysweep.pipeline.stages`, (stage, context) -> product; "" for "step", the name of
            what every step of a training depends on.
        product: "module:class" with `write` and `read` (`ProductFile`); "" for what stays in memory.
    """

    name: str
    version: int
    reach: Reach | None
    run: str = ""
    product: str = ""

    @property
    def is_stored(self) -> bool:
        """Whether products go to the store."""
        return bool(self.product)

    @cached_property
    def files(self) -> ProductFile | None:
        """How products are written and read; None for what stays in memory."""
        files: ProductFile | None = _found(self.product) if self.product else None
        return files

    def compute(self, stage: Stage, context: Context) -> Any:
        """The product of a stage of this kind."""
        return _found(self.run)(stage, context)


def _found(name: str) -> Any:
    return resolve_name(f"raysweep.pipeline.stages.{name}")


STAGE_KINDS = {
    kind.name: kind
    for kind in (
        StageKind("data", 2, reaches.DATA, "labels:run_data"),  # 2: one image of a class is never held out
        StageKind("labels", 1, reaches.LABELS, "labels:run_labels"),
        StageKind("select", 1, reaches.WEIGHTS_DECIDE, "labels:run_select", "labels:TensorFile"),
        StageKind("pseudo_va", 1, reaches.WEIGHTS_DECIDE, "labels:run_pseudo_va", "labels:TensorFile"),
        StageKind("adapt", 1, reaches.ADAPT, "labels:run_adapt", "labels:AdaptedTargets"),
        StageKind("targets", 1, reaches.TARGETS, "labels:run_targets"),
        StageKind("start", 1, reaches.START, "fit:run_start"),
        # 2: every field not excluded by name; 3: contrast about mean luma, ECE in 15 bins, CCC over N, defaults
        StageKind("step", 3, reaches.STEP),
        StageKind("fit", 1, None, "fit:run_fit", "fit:TrainerState"),
        # 2: moments of VA; 3: attention maps; 4: macro-F1 over the classes among the labels; 5: as `step` 3; 6, of
        # `evaluate` alone, which costs no training: validation predictions, faces with their labels
        StageKind("evaluate", 6, reaches.WEIGHTS_DECIDE, "evaluate:run_evaluate", "evaluate:CellResult"),
        StageKind("retrain", 5, reaches.WEIGHTS_DECIDE, "evaluate:run_retrain", "evaluate:CellResult"),
        # 2, 3: as `evaluate` 4, 5
        StageKind("validate", 3, reaches.WEIGHTS_DECIDE, "validate:run_validate", "validate:CellResult"),
    )
}
"""By `Stage.kind`."""

NUMERICS = {name: kind.version for name, kind in STAGE_KINDS.items()}
"""Versions by kind, as keys hold them. `tests/test_golden.py` fails when numbers move and their version does not."""


def is_stored(kind: str) -> bool:
    """Whether products of this kind go to the store."""
    return STAGE_KINDS[kind].is_stored


def key_fields(kind: str, experiment: Experiment) -> dict[str, Any]:
    """The part of a stage's parameters that comes from the experiment, field by field, by dotted path."""
    reach = STAGE_KINDS[kind].reach
    assert reach is not None, f"{kind} has parameters of its own"
    return reach.fields(experiment)
