"""`Record`: what one launch refers to, as plain values."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from raysweep.core.bounds import unzipped
from raysweep.core.errors import UserError, describe
from raysweep.core.versioned import NewerRecord, RecordFormat
from raysweep.pipeline.stage import Stage, ancestry
from raysweep.pipeline.stage_kinds import NUMERICS, is_stored

from .identity import SetIdentity

ENDING = ".json.gz"

FORMAT = RecordFormat()

MOST_BYTES = 200_000_000
"""Of a record, unpacked: of 100,000 stages it has about ten million."""


class BadRecord(UserError):
    """A file among the records that is none, or one of something else."""


Slot = tuple[str, str, str, str, int]
"""Which cell of all studies: study, preset, where the data set was read, arm, replicate."""


@dataclass(frozen=True)
class CellEntry:
    """A cell (`number` is its replicate) or a trial of a search. `stage`: the place of its last stage in the record."""

    arm: str
    number: int
    stage: int

    @property
    def name(self) -> str:
        return f"{self.arm} #{self.number}"


@dataclass(frozen=True)
class LaunchRecord:
    """What one launch refers to.

    `data` is the name of the scored set, `fingerprints` those of all sets by name, `sources` where each was read (empty
    in records of older launches); `numerics` the versions of the kinds of stages in it. `stages` are keys, `inputs` for
    each of them the places of those it is computed from. `study_file`: what the study was read from. `time` is by the
    clock of the launch's machine, `stored` (of a record that was read) by the store's.
    """

    study: str
    preset: str
    launch: str
    time: float
    data: str
    fingerprints: Mapping[str, str]
    numerics: Mapping[str, int]
    trials: bool
    entries: Sequence[Annotated[CellEntry, BeforeValidator(_entry)]]
    stages: Sequence[str]
    inputs: Sequence[Sequence[int]]
    sources: Mapping[str, str] = field(default_factory=dict)
    study_file: str = ""
    stored: float = 0.0

    @property
    def source(self) -> str:
        """Where the scored set was read."""
        return self.sources.get(self.data, self.data)

    def key(self, entry: CellEntry) -> str:
        return self.stages[entry.stage]

    def slot(self, entry: CellEntry) -> Slot:
        return self.study, self.preset, self.source, entry.arm, entry.number

    def below(self, entries: Iterable[CellEntry]) -> set[str]:
        """Keys of these cells and of everything they are computed from."""
        seen = {entry.stage for entry in entries}
        stack = list(seen)
        while stack:
            fresh = [place for place in self.inputs[stack.pop()] if place not in seen]
            seen.update(fresh)
            stack.extend(fresh)
        return {self.stages[place] for place in seen}

    def packed(self) -> bytes:
        """As JSON, compressed."""
        values = {**vars(self), "entries": [[entry.arm, entry.number, entry.stage] for entry in self.entries]}
        del values["stored"]
        return gzip.compress(json.dumps(FORMAT.stamped(values)).encode(), compresslevel=5)

    @classmethod
    def unpacked(cls, content: bytes, file: str) -> LaunchRecord:
        """What `packed` gave, read from a name below a store.

        Raises:
            BadRecord: it is no record, half of one, or one of another study or launch than its name says.
            NewerRecord: a newer raysweep wrote it.
        """
        try:
            record = _RECORD.validate_python(FORMAT.read(unzipped(content, MOST_BYTES)))
        except NewerRecord:
            raise
        except (OSError, EOFError, ValueError, RecursionError, zlib.error) as error:  # pydantic's is a ValueError
            raise BadRecord(_first_fault(error)) from None
        if record.file != file:
            raise BadRecord(f"it says that it is {record.file!r}")
        places = range(len(record.stages))
        if any(entry.stage not in places for entry in record.entries):
            raise BadRecord("a cell's last stage is not in it")
        if len(record.inputs) != len(places) or any(place not in places for below in record.inputs for place in below):
            raise BadRecord("a stage's inputs are not in it")
        return record

    @property
    def file(self) -> str:
        return f"studies/{self.study}/{self.launch}{'.trials' if self.trials else ''}{ENDING}"


def _entry(value: Any) -> Any:
    """An entry as `packed` writes it: arm, number, stage."""
    return dict(zip(("arm", "number", "stage"), value, strict=True)) if isinstance(value, list | tuple) else value


def _first_fault(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"no launch record ({'.'.join(map(str, first['loc']))}: {first['msg']})"
    return f"no launch record ({describe(error)})"


_RECORD = TypeAdapter(LaunchRecord)


def record_of(
    study: str,
    preset: str,
    launch: str,
    used: Sequence[SetIdentity],
    finals: Iterable[tuple[str, int, Stage]],
    study_file: str = "",
) -> LaunchRecord:
    """The record of cells or trials, given as arm, number and last stage. `used`: the scored set first."""
    names = _unlike([own.name for own in used])
    named = list(finals)
    places: dict[str, int] = {}
    inputs: list[list[int]] = []
    kept_below: dict[str, list[int]] = {}  # of every stage, the nearest that the store keeps, itself if it does
    kinds: set[str] = set()
    for stage in ancestry([final for _, _, final in named]):
        kinds.add(stage.kind)
        below = sorted({place for source in stage.inputs.values() for place in kept_below[source.key]})
        if is_stored(stage.kind):
            places[stage.key] = len(places)
            inputs.append(below)
            below = [places[stage.key]]
        kept_below[stage.key] = below
    return LaunchRecord(
        study,
        preset,
        launch,
        time.time(),
        names[0],
        {name: own.fingerprint for name, own in zip(names, used, strict=True)},
        {kind: NUMERICS[kind] for kind in sorted(kinds)},
        trials=False,
        entries=[CellEntry(arm, number, places[final.key]) for arm, number, final in named],
        stages=list(places),
        inputs=inputs,
        sources={name: own.source for name, own in zip(names, used, strict=True)},
        study_file=study_file,
    )


def _unlike(names: Sequence[str]) -> list[str]:
    """Names of which no two are alike."""
    return [f"{name} ({number})" if (number := names[:i].count(name)) else name for i, name in enumerate(names)]
