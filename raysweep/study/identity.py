"""Identities of studies and data sets, independent of their paths.

A data set is identified by its fingerprint, a study by its name and the contents of its file. A moved folder is the
same data set; two files of one name are different ones.
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

NOT_CONTENT = ("origin", "found", "tables")
"""Fields of `Study` that are no part of its contents: its origin, the results of a search, and layouts of tables."""


@dataclass(frozen=True)
class SetIdentity:
    """A data set of a launch. `source`: the name or path that it was read from."""

    name: str
    fingerprint: str
    source: str

    @property
    def origin(self) -> str:
        """The fingerprint of the set as read, before images were left out."""
        return self.fingerprint.split(" ")[0]

    def describe(self) -> dict[str, str]:
        return {"name": self.name, "fingerprint": self.fingerprint, "source": self.source}


def study_content(study: Study) -> str:
    """Digest (16 hex digits) of a study's contents, independent of comments and the order of fields.

    Fields at their defaults are left out, so that a new field of `Study` does not change digests.
    """
    text = json.dumps(_content(study), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def used_sets(experiments: Iterable[Experiment], sets: Iterable[Sets]) -> tuple[SetIdentity, ...]:
    """The distinct data sets of a launch's cells, the scored one first."""
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


def report_subject(name: str, file: str, content: str, sets: Sequence[SetIdentity]) -> dict[str, Any]:
    """Identity of the study and the data sets that a report is about, as plain values."""
    return {"study": {"name": name, "file": file, "content": content}, "data": [own.describe() for own in sets]}


def same_subject(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two reports are about the same study and data sets, or about later states of the same files."""
    ours, theirs = one["study"], other["study"]
    if ours["name"] != theirs["name"]:
        return False
    if ours["content"] != theirs["content"] and not (ours["file"] and ours["file"] == theirs["file"]):
        return False
    return any(_listed(one, how) == _listed(other, how) for how in (_origin, _source))


def _listed(subject: Mapping[str, Any], how: Any) -> list[str]:
    return [how(own) for own in subject["data"][:1]] + sorted(how(own) for own in subject["data"][1:])


def _origin(own: Mapping[str, str]) -> str:
    return own["fingerprint"].split(" ")[0]


def _source(own: Mapping[str, str]) -> str:
    return own["source"] or own["name"]


def _content(value: Any, ordered: bool = False) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        values = {
            f.name: _content(own, ordered=f.name == "levels")
            for f in fields(value)
            if f.name not in NOT_CONTENT and (own := getattr(value, f.name)) != _default(f)
        }
        return {type(value).__name__: values}
    if isinstance(value, Mapping):
        pairs = [[str(name), _content(own)] for name, own in value.items()]
        return pairs if ordered else sorted(pairs, key=lambda pair: str(pair[0]))
    if isinstance(value, (list, tuple)):
        return [_content(part) for part in value]
    number = plain(value)
    return number if isinstance(number, (str, int, float, bool, type(None))) else str(number)


def _default(field: Any) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default
