"""Methods of training on one data set or several, by the name that `joint.method` has.

To add one, write its file in `raysweep/pipeline/methods/` and its entry in `METHODS` (docs/extending.md): fields,
checks of data and captions read the entry. Functions are named, and imported when a method's stages are built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """How the target set A and the extra sets B are trained on.

    Args:
        build: "module:function" below `raysweep.pipeline.methods`, from a `Ground` to what is `Built`.
        on_target, on_extra: whether A, and whether extra sets are trained on.
        adapts: whether labels and VA are made before the final training: the fields of `joint` about pseudo VA,
            mapping, relabelling and the schedule act.
    """

    name: str
    build: str
    on_target: bool = True
    on_extra: bool = True
    adapts: bool = False


METHODS = {
    method.name: method
    for method in (
        Method("target", "plain:target_only", on_extra=False),
        Method("extra", "plain:extra_only", on_target=False),
        Method("combine", "plain:combination"),
        Method("dcjt", "dcjt:dcjt", adapts=True),
    )
}
"""By name."""


def method_of(config: Mapping[str, str]) -> Method:
    """The method of a recorded configuration, fields by dotted path; an unknown one trains on A and B."""
    name = config.get("joint.method", "target")
    return METHODS.get(name) or Method(name, "")
