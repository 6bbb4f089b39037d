"""Data sets as inputs of runs, for MLflow's column "Dataset"."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag

from . import schema

CONTEXT = "mlflow.data.context"
MAX_DIGEST, MAX_NAME = 36, 500


def data_inputs(tags: Mapping[str, str], config: Mapping[str, Any]) -> list[DatasetInput]:
    """The scored data set, and the extra sets that a configuration names; none without their tags.

    Args:
        tags: of the run.
        config: sections of its `Experiment`.
    """
    if not tags.get(schema.DATA):
        return []
    found = [
        _input(tags[schema.DATA], tags.get(schema.DATA_FINGERPRINT, ""), tags.get(schema.DATA_SOURCE, ""), "scored")
    ]
    joint = config.get("joint") or {}
    named = {*_names(joint.get("extra")), *_names(joint.get("finetune"))}
    for extra in _extras(tags.get(schema.EXTRAS, "[]")):
        if named & {extra.get("name"), extra.get("source")}:
            name, fingerprint, source = (str(extra.get(part, "")) for part in ("name", "fingerprint", "source"))
            found.append(_input(name, fingerprint, source, "extra"))
    return found


def _input(name: str, fingerprint: str, source: str, context: str) -> DatasetInput:
    told = Dataset(
        name=name[:MAX_NAME],
        digest=fingerprint[:MAX_DIGEST] or "unknown",
        source_type="raysweep",
        source=json.dumps({"source": source or name, "fingerprint": fingerprint}),
    )
    return DatasetInput(told, [InputTag(CONTEXT, context)])


def _names(value: object) -> list[str]:
    return [str(name) for name in value] if isinstance(value, (list, tuple)) else [str(value)] if value else []


def _extras(text: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(text)
    except ValueError:
        return []
    return [extra for extra in found if isinstance(extra, dict)] if isinstance(found, list) else []
