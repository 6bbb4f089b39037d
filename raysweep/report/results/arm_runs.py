"""A summary's arms as runs for MLflow."""

from __future__ import annotations

import json

from raysweep.artifacts.study_record import StudyRecord
from raysweep.core.parsing import join_names
from raysweep.tracking import schema
from raysweep.tracking.arm_runs import ArmRun

from .aggregate import ArmSummary, Summary


def arm_runs(summary: Summary) -> tuple[ArmRun, ...]:
    """Every arm with its statistics; scores without a value are left out, and n says over how many cells."""
    return tuple(_arm_run(summary.study, arm) for arm in summary.arms)


def _arm_run(study: StudyRecord, arm: ArmSummary) -> ArmRun:
    scores: dict[str, float] = {}
    for name, score in arm.scores.items():
        spread = score.spread
        if spread is None:
            continue
        values = {"mean": spread.mean, "std": spread.std, "ci_low": spread.low, "ci_high": spread.high, "n": spread.n}
        scores |= {f"{what}/{name}": float(value) for what, value in values.items() if value is not None}
    fields = study.configs.get(arm.name, {})
    config: dict[str, dict[str, object]] = {}
    for path, value in fields.items():
        section, _, field = path.partition(".")
        config.setdefault(section, {})[field] = value
    extras = [{"name": e.name, "fingerprint": e.fingerprint, "source": e.source} for e in study.data.extras]
    tags = {
        schema.PRESET: study.preset,
        schema.DATA: study.data.name,
        schema.DATA_FINGERPRINT: study.data.fingerprint,
        schema.DATA_SOURCE: study.data.source,
        schema.EXTRAS: json.dumps(extras) if extras else "",
    }
    params = {**{path: _word(value) for path, value in fields.items()}, **arm.coordinates}
    return ArmRun(
        arm.name,
        json.dumps(dict(arm.coordinates)),
        arm.complete,
        arm.planned,
        scores,
        params,
        config,
        {name: text for name, text in tags.items() if text},
    )


def _word(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return join_names([str(part) for part in value]) or "none"
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
