"""Identifying tags and contents of MLflow runs for cells, shared trainings and search trials."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from raysweep.config.experiment import flat_words

from . import schema

Event = Mapping[str, Any]


@dataclass(frozen=True)
class NewRun:
    """A run to create. `identity`: the tags that later identify it, which are among `tags`."""

    name: str
    identity: Mapping[str, str]
    tags: Mapping[str, str]
    config: Mapping[str, Any] | None = None
    params: Mapping[str, str] = field(default_factory=dict)


def identity_of(event: Event) -> tuple[str, ...]:
    """A tuple that identifies the run of an event within its study."""
    if "cell" in event:
        cell = event["cell"]
        return ("cell", cell["key"], cell["arm"], str(cell["replicate"]))
    if "trial" in event:
        trial = event["trial"]
        return ("trial", trial["search"], str(trial["number"]), trial["key"])
    training = event["training"]
    return ("training", training["key"], training["title"])


def new_run(event: Event) -> NewRun:
    """The run to create for the first event of a cell, a training or a trial."""
    kind = identity_of(event)[0]
    common = {schema.KIND: kind, schema.STUDY: event["study"], schema.LAUNCH: event["launch"]}
    return {"cell": _cell, "trial": _trial, "training": _training}[kind](event[kind], common)


def _cell(cell: Mapping[str, Any], common: dict[str, str]) -> NewRun:
    identity = {
        schema.KIND: "cell",
        schema.KEY: cell["key"],
        schema.ARM: cell["arm"],
        schema.REPLICATE: str(cell["replicate"]),
    }
    tags = {**common, schema.COORDINATES: json.dumps(cell["coordinates"]), **identity, **cell["tags"]}
    name = f"{cell['arm']} #{cell['replicate']}"
    return NewRun(name, identity, tags, cell["config"], flat_words(cell["config"]))


def _trial(trial: Mapping[str, Any], common: dict[str, str]) -> NewRun:
    identity = {
        schema.KIND: "trial",
        schema.SEARCH: trial["search"],
        schema.TRIAL: str(trial["number"]),
        schema.KEY: trial["key"],
    }
    tags = {
        **common,
        **identity,
        schema.ARM: trial["arm"],
        schema.COORDINATES: json.dumps(trial["coordinates"]),
        schema.REPLICATE: str(trial["replicate"]),
        schema.POINT: json.dumps(trial["point"]),
        **trial["tags"],
    }
    name = f"{trial['arm'] or 'search'} t{trial['number']}"
    return NewRun(name, identity, tags, trial["config"], flat_words(trial["point"]))


def _training(training: Mapping[str, Any], common: dict[str, str]) -> NewRun:
    """A training whose epochs are in no cell's own curve: M_A, M_B, a pre-training."""
    identity = {schema.KIND: "training", schema.KEY: training["key"], schema.TITLE: training["title"]}
    tags = {**common, **identity, schema.REPLICATE: str(training["replicate"]), **training["tags"]}
    return NewRun(f"{training['title']} #{training['replicate']}", identity, tags)
