"""What a study and its data sets are, whatever they are called and wherever they lie.

A data set is its fingerprint, a study what its file says under its name. A path only finds them: a folder that was
moved is the same data set, and two files of one name are two.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from raysweep.config.acting_fields import plain

if TYPE_CHECKING:  # torch takes seconds
    from raysweep.config.experiment import Experiment
    from raysweep.pipeline import Sets

    from .study import Study

NOT_CONTENT = ("origin", "found")
"""Of a study: where it comes from, and what a search found."""


@dataclass(frozen=True)
class SetIdentity:
    """A data set of a launch. `source`: the name or path that it was read from."""

    name: str
    fingerprint: str
    source: str

    @property
    def origin(self) -> str:
        """The fingerprint of what was read, whatever was left out of it since."""
        return self.fingerprint.split(" ")[0]

    def describe(self) -> dict[str, str]:
        return {"name": self.name, "fingerprint": self.fingerprint, "source": self.source}


def study_content(study: Study) -> str:
    """What a study says, as a digest (16 hex digits): comments and the order of fields play no part.

    A field of `Study` at its default is left out, so that one which is new changes nothing.
    """
    text = json.dumps(_said(study), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def used_sets(experiments: Iterable[Experiment], sets: Iterable[Sets]) -> tuple[SetIdentity, ...]:
    """The data sets of a launch's cells, each once: the scored one first."""
    scored: dict[str, SetIdentity] = {}
    others: dict[str, SetIdentity] = {}
    seen: set[tuple[int, str]] = set()
    for experiment, own in zip(experiments, sets, strict=True):
        joint = experiment.joint
        if (id(own), token := f"{experiment.data.source}|{joint.extra}|{joint.finetune}") in seen:
            continue
        seen.add((id(own), token))
        target = SetIdentity(own.target.name, own.target.fingerprint, experiment.data.source)
        tuned = target
        if own.finetune is not None and own.finetune is not own.target:
            tuned = SetIdentity(own.finetune.name, own.finetune.fingerprint, str(joint.finetune))
        scored.setdefault(tuned.fingerprint, tuned)
        others.setdefault(target.fingerprint, target)
        for data, source in zip(own.extras, [*joint.extra, *[""] * len(own.extras)], strict=False):
            others.setdefault(data.fingerprint, SetIdentity(data.name, data.fingerprint, source or data.name))
    return (*scored.values(), *(own for key, own in others.items() if key not in scored))


def identity_words(name: str, file: str, content: str, sets: Sequence[SetIdentity]) -> dict[str, Any]:
    """What tells a report from others of its name, as plain values."""
    return {"study": {"name": name, "file": file, "content": content}, "data": [own.describe() for own in sets]}


def same_subject(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two reports are about the same study on the same data sets, or the later state of the same files."""
    ours, theirs = one["study"], other["study"]
    if ours["name"] != theirs["name"]:
        return False
    if ours["content"] != theirs["content"] and not (ours["file"] and ours["file"] == theirs["file"]):
        return False
    return any(_listed(one, how) == _listed(other, how) for how in (_origin, _source))


def _listed(words: Mapping[str, Any], how: Any) -> list[str]:
    return [how(own) for own in words["data"][:1]] + sorted(how(own) for own in words["data"][1:])


def _origin(own: Mapping[str, str]) -> str:
    return own["fingerprint"].split(" ")[0]


def _source(own: Mapping[str, str]) -> str:
    return own["source"] or own["name"]


def _said(value: Any, ordered: bool = False) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        said = {
            f.name: _said(own, ordered=f.name == "levels")
            for f in fields(value)
            if f.name not in NOT_CONTENT and (own := getattr(value, f.name)) != _default(f)
        }
        return {type(value).__name__: said}
    if isinstance(value, Mapping):
        pairs = [[str(name), _said(own)] for name, own in value.items()]
        return pairs if ordered else sorted(pairs, key=lambda pair: str(pair[0]))
    if isinstance(value, (list, tuple)):
        return [_said(part) for part in value]
    number = plain(value)
    return number if isinstance(number, (str, int, float, bool, type(None))) else str(number)


def _default(field: Any) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default
