"""Selection of the best epoch by `selection.metric`, and a check that its images have what the metric needs."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from raysweep.config.sections import Selection
from raysweep.core.errors import UserError
from raysweep.data.dataset import TEST, VALIDATION, FaceData
from raysweep.metrics.registry import METRICS, needing


def better(metric: str, score: float, than: float | None) -> bool:
    """Whether a score is strictly better than the best so far (None at first); NaN never is.

    >>> better("accuracy", 0.9, 0.8), better("rmse_valence", 0.9, 0.8), better("nll", 0.8, 0.8), better("nll", 9, None)
    (True, False, False, True)
    """
    if than is None:
        return not math.isnan(score)
    return score > than if METRICS[metric].higher_is_better else score < than


def watched(selection: Selection, data: FaceData) -> Tensor:
    """Images of `data` that every epoch is scored on: (M,) int64, of the split that the protocol names.

    Empty where no image of that split has an expression.
    """
    if not selection.scores_epochs:
        return torch.empty(0, dtype=torch.int64)
    split = TEST if selection.protocol == "best_on_test" else VALIDATION
    return data.rows(split, va_only=bool(len(data.rows(split))))


def check_metric(metric: str, data: FaceData, rows: Tensor) -> None:
    """Check that images have the annotations from which `selection.metric` is computed.

    Args:
        rows: (M,) int64, from `watched`; empty where no epoch is to be chosen.

    Raises:
        UserError: valence and arousal of fewer than two of them, or votes of none.
    """
    if not len(rows):
        return
    if metric in needing("va") and int(data.va[rows].isfinite().all(1).sum()) < 2:
        needs = "valence and arousal of two images"
    elif metric in needing("votes") and not bool(data.votes[rows].isfinite().all(1).any()):
        needs = "rater votes"
    else:
        return
    raise UserError(
        f"`selection.metric={metric}` chooses the epoch and needs {needs}, but the images of {data.name} that choose "
        "it have none: set selection.metric=macro_f1 or accuracy"
    )
