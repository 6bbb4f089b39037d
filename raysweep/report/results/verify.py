"""Verifies MLflow runs against their files: scores by predictions, parameters by configuration."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from raysweep.artifacts.cell_result import CellResult
from raysweep.artifacts.predictions import ImagePredictions
from raysweep.config.experiment import flat_words
from raysweep.core.errors import UserError, describe
from raysweep.core.hashing import canonical_json
from raysweep.core.user_cache import cache_values, cached_values
from raysweep.metrics.registry import METRICS
from raysweep.pipeline.stage_kinds import NUMERICS
from raysweep.report.formatting import number
from raysweep.tracking import schema

from .records import state_of

CACHE = "checked"
"""Folder in the user's cache."""

Files = Callable[[str], bytes | None]
"""Name of an artifact of a run to its bytes, or None."""

CLOSE = 1e-4
"""Absolute and relative tolerance of scores, since processors differ in the last digits."""


_SHOWN = frozenset(f"{part}/{score}" for part in ("test", "labels") for score in METRICS)
"""Metrics that can be in a table."""


@dataclass(frozen=True)
class Logged:
    """One run in MLflow: `metrics`, `params` and `tags` by name, and its `status`. `run`: its id; `name`: its cell."""

    run: str
    name: str
    metrics: Mapping[str, float]
    params: Mapping[str, str]
    tags: Mapping[str, str]
    status: str

    @property
    def digest(self) -> str:
        """Digest of all values and of the version of the verifying code."""
        parts = [self.run, self.name, {n: repr(v) for n, v in self.metrics.items()}, dict(self.params), dict(self.tags)]
        return hashlib.sha256(canonical_json([*parts, self.status, NUMERICS]).encode()).hexdigest()


def checked(logged: Logged, files: Files, again: bool = False) -> tuple[str, ...]:
    """One sentence per difference. Cached by a checksum of the run in MLflow, so that files are read once.

    Args:
        again: read the files even if the result is cached.
    """
    if not again and isinstance(found := cached_values(CACHE, logged.digest), list):
        return tuple(map(str, found))
    start = f"{logged.name} (run {logged.run[:8]})"
    try:
        sentences = tuple(f"{start}: {difference}." for difference in _disagreements(logged, files))
    except (UserError, ValueError, TypeError, OSError, KeyError, RecursionError) as error:  # not kept
        return (f"{start}: its files cannot be read ({describe(error)}), so its scores are not verified.",)
    if any(sentence.endswith("not verified.") for sentence in sentences):
        return sentences
    cache_values(CACHE, logged.digest, sentences)
    return sentences


def _disagreements(logged: Logged, files: Files) -> Iterator[str]:
    state = state_of(logged.tags.get(schema.STATE), logged.status)
    data = files(ImagePredictions.FILE)
    if data is None:
        if state == "complete":
            yield "it has no predictions, so its scores are not verified"
        return
    predictions = ImagePredictions.read(data)
    scores = recomputed(predictions)
    if state != "complete":
        shown = f" (accuracy {number(scores['accuracy'])})" if scores else ""
        yield f"it is marked {state}, though its predictions are there{shown}; it is left out"
        return
    if logged.status != "FINISHED":
        yield f"MLflow's status is {logged.status}, though it is complete; it is kept"
    yield from _scores(logged, scores, files)
    one_class = len(np.unique(predictions.probs[predictions.labels >= 0].argmax(1))) == 1
    if scores and (logged.tags.get(schema.DEGENERATE) == "true") != one_class:
        yield f"it is {'' if one_class else 'not '}degenerate by its predictions, and its tag says otherwise"
    yield from _params(logged, files)


def recomputed(predictions: ImagePredictions) -> dict[str, float]:
    """Scores by plain name; {} without any expression."""
    if not (predictions.labels >= 0).any():
        return {}
    import torch

    from raysweep.metrics.compute import affect_scores, expression_scores

    probs, affect, va = map(torch.from_numpy, (predictions.probs, predictions.affect, predictions.va))
    labels = torch.from_numpy(predictions.labels.astype(np.int64))
    return expression_scores(probs, labels) | affect_scores(affect, va)


def _scores(logged: Logged, scores: Mapping[str, float], files: Files) -> Iterator[str]:
    """Compare metrics with predictions; scores that need votes or extra labels, with the result file."""
    predicted = {f"test/{name}": value for name, value in scores.items()}
    yield from _unlike(logged.metrics, predicted, "its predictions")
    data = files(CellResult.FILE)
    told = {} if data is None else _fields(_fields(json.loads(data))["scores"])
    rest = {
        name: float(value)
        for name, value in told.items()
        if name.startswith(("test/", "labels/")) and name.removeprefix("test/") not in scores
    }
    yield from _unlike(logged.metrics, rest, CellResult.FILE)
    for name in sorted(_SHOWN & logged.metrics.keys() - predicted.keys() - rest.keys()):
        yield f"{name} is {number(logged.metrics[name])} in MLflow, and in no file of the run"


def _unlike(metrics: Mapping[str, float], truth: Mapping[str, float], where: str) -> Iterator[str]:
    for name, value in truth.items():
        ours, plain = metrics.get(name), name.split("/", 1)[1]
        if ours is None:
            yield f"{plain} is absent in MLflow, and {number(value)} by {where}"
        elif not (math.isclose(ours, value, rel_tol=CLOSE, abs_tol=CLOSE) or (math.isnan(ours) and math.isnan(value))):
            yield f"{plain} is {_digits(ours, value)} in MLflow, and {_digits(value, ours)} by {where}"


def _digits(value: float, other: float) -> str:
    """Three decimals, or more if two numbers would look equal."""
    return number(value) if number(value) != number(other) else f"{value:.6g}"


def _params(logged: Logged, files: Files) -> Iterator[str]:
    data = files(schema.CONFIG_FILE)
    if data is None:
        return
    truth = flat_words(_fields(json.loads(data)))
    for name in sorted({*truth, *logged.params}):
        ours, theirs = logged.params.get(name), truth.get(name)
        if ours != (None if theirs is None else theirs[: schema.MAX_PARAM_LENGTH]):
            yield f"parameter {name} is {ours or 'absent'} in MLflow, and {theirs or 'absent'} by {schema.CONFIG_FILE}"


def _fields(found: object) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ValueError("no object where one belongs")
    return found


def said(sentences: Sequence[str], most: int) -> list[str]:
    """The note below a table: the first `most` sentences, and the number of others. Empty without sentences."""
    if not sentences:
        return []
    more = len(sentences) - most
    rest = [f"And {more} more that `--check` names."] if more > 0 else []
    return ["MLflow disagrees with files in its runs: " + " ".join([*sentences[:most], *rest])]
