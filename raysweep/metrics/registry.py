"""All scores: names, directions, the annotations that they need, and the functions that compute them.

To add one, write its function and its line in `METRICS` (docs/extending.md): the trainer computes it, MLflow records
it, and it can be a column, the headline score, the objective of a search and the criterion that selects the epoch.

Functions import torch and torchmetrics themselves, so that names can be checked before slow imports.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Needs = Literal["expression", "va", "votes", "labels"]
"""What images must have: an expression; valence and arousal, of two images or more; rater votes. "labels": a score of
the labels that a method makes, not of a model (`compute.label_scores`)."""


@dataclass(frozen=True)
class Metric:
    """One score.

    Args:
        title: in tables. Rates are fractions of 1, never percent, in published numbers too.
        higher_is_better: its direction.
        needs: what the images that it is computed over must have.
        compute: over these images. "expression": probs (N, K), labels (N,) int64; "va": predicted
            (N, 2), truth (N, 2), columns valence and arousal; "votes": probs (N, K), votes (N, K), float64.
        directed: False for a descriptive score: tables have no arrow for it, and no arm is better in it.
    """

    name: str
    title: str
    higher_is_better: bool
    needs: Needs
    compute: Callable[[Tensor, Tensor], float] | None = None
    directed: bool = True


def accuracy(probs_NK: Tensor, labels_N: Tensor) -> float:
    """Share of images whose most probable class is their label."""
    from torchmetrics.functional.classification import multiclass_accuracy

    return float(multiclass_accuracy(probs_NK, labels_N, probs_NK.shape[1], average="micro"))


def macro_f1(probs_NK: Tensor, labels_N: Tensor) -> float:
    """Mean F1 over the classes that occur among the labels, whatever is predicted: the same classes for all models
    scored on a set."""
    from torchmetrics.functional.classification import multiclass_f1_score

    present = labels_N.unique()
    f1 = multiclass_f1_score(probs_NK, labels_N, probs_NK.shape[1], average="none")
    return float((f1[present] / len(present)).sum())


CALIBRATION_BINS = 15


def calibration_error(probs_NK: Tensor, labels_N: Tensor) -> float:
    """Expected calibration error (Naeini et al., 2015): mean distance of accuracy and confidence over 15 bins, weighted
    by their images.

    Bins have equal width, (lo, hi], the first with 0, as in the code of the papers' authors. torchmetrics 1.9 has a
    sixteenth bin for confidence 1, which a confident model reaches in float32.
    """
    import torch

    confidence_N, predicted_N = probs_NK.max(1)
    inner_edges = torch.linspace(0, 1, CALIBRATION_BINS + 1, dtype=probs_NK.dtype, device=probs_NK.device)[1:-1]
    bins_N = torch.bucketize(confidence_N, inner_edges)
    gaps_N = (predicted_N == labels_N).double() - confidence_N.double()
    gaps_B = torch.zeros(CALIBRATION_BINS, dtype=torch.float64, device=probs_NK.device).index_add_(0, bins_N, gaps_N)
    return float(gaps_B.abs().sum() / len(labels_N))


def negative_log_likelihood(probs_NK: Tensor, labels_N: Tensor) -> float:
    """Mean of -log p(label), nats."""
    import torch

    chosen = probs_NK.gather(1, labels_N[:, None]).squeeze(1)
    return float(-chosen.clamp_min(torch.finfo(probs_NK.dtype).tiny).log().mean())


def brier(probs_NK: Tensor, labels_N: Tensor) -> float:
    """Mean squared distance of probabilities and one-hot labels, summed over classes, in [0, 2]."""
    import torch

    observed = torch.nn.functional.one_hot(labels_N, probs_NK.shape[1]).to(probs_NK.dtype)
    return float((probs_NK - observed).square().sum(1).mean())


def rmse(x_N: Tensor, y_N: Tensor) -> float:
    """Root of the mean squared difference of (N,) and (N,), in float64."""
    from torchmetrics.functional import mean_squared_error

    return float(mean_squared_error(x_N.double(), y_N.double(), squared=False))


def concordance(x_N: Tensor, y_N: Tensor) -> float:
    """Concordance correlation coefficient, 2 s_xy / (s_x^2 + s_y^2 + (mean_x - mean_y)^2), in [-1, 1].

    Variances and covariance are means over N, as Lin (1989, "A concordance correlation coefficient to evaluate
    reproducibility", Biometrics 45) estimates them; torchmetrics divides by N - 1, which gives up to N / (N - 1) times
    as much. 0 where both are constant and equal.

    Args:
        x_N, y_N: (N,), N > 0. Symmetric in the two.

    >>> import torch
    >>> round(concordance(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 3.0, 4.0])), 4)  # 2 (2/3) / (2/3 + 2/3 + 1)
    0.5714
    """
    x, y = x_N.double() - x_N.double().mean(), y_N.double() - y_N.double().mean()
    shift = float(x_N.double().mean() - y_N.double().mean())
    below = float((x * x).mean() + (y * y).mean()) + shift**2
    return 2 * float((x * y).mean()) / below if below else 0.0


def divergence_from_votes(probs_NK: Tensor, votes_NK: Tensor) -> float:
    """Mean KL(votes || prediction), nats."""
    import torch
    from torchmetrics.functional import kl_divergence

    return float(kl_divergence(votes_NK, probs_NK.double().clamp_min(torch.finfo(torch.float32).tiny)))


VALENCE, AROUSAL = 0, 1

METRICS = {
    metric.name: metric
    for metric in (
        Metric("macro_f1", "macro-F1", True, "expression", macro_f1),
        Metric("accuracy", "accuracy", True, "expression", accuracy),
        Metric("ece", "ECE", False, "expression", calibration_error),
        Metric("nll", "NLL", False, "expression", negative_log_likelihood),
        Metric("brier", "Brier", False, "expression", brier),
        Metric("rmse_valence", "RMSE V", False, "va", lambda x, y: rmse(x[:, VALENCE], y[:, VALENCE])),
        Metric("ccc_valence", "CCC V", True, "va", lambda x, y: concordance(x[:, VALENCE], y[:, VALENCE])),
        Metric("rmse_arousal", "RMSE A", False, "va", lambda x, y: rmse(x[:, AROUSAL], y[:, AROUSAL])),
        Metric("ccc_arousal", "CCC A", True, "va", lambda x, y: concordance(x[:, AROUSAL], y[:, AROUSAL])),
        Metric("kl_votes", "KL to votes", False, "votes", divergence_from_votes),
        # Quality of the labels that DCJT makes, in MLflow "labels/<name>". B is the extra set, A the target; M_A keeps
        # the part of B that it agrees with, the rest is the remainder. "Right": equal to the truth by A's criteria.
        Metric("kept_share", "share of B kept", True, "labels", directed=False),
        Metric("given_right", "B right as given", True, "labels"),
        Metric("kept_right", "kept B right", True, "labels"),
        Metric("remainder_right", "rest of B right", True, "labels"),
        Metric("relabelled_right", "rest of B right, relabelled", True, "labels"),
        Metric("relabel_agreement", "rest of B, label unchanged", True, "labels", directed=False),
        Metric("pseudo_rmse", "RMSE of A's pseudo VA", False, "labels"),
        Metric("pseudo_ccc", "CCC of A's pseudo VA", True, "labels"),
        Metric("pseudo_own_rmse", "RMSE of A's pseudo VA to A's own VA", False, "labels"),
        Metric("pseudo_own_ccc", "CCC of A's pseudo VA with A's own VA", True, "labels"),
        Metric("given_va_rmse", "RMSE of B's VA as given", False, "labels"),
        Metric("mapped_va_rmse", "RMSE of B's VA, mapped", False, "labels"),
    )
}
"""By name; scores of expressions first, as in stored products."""

OWN_VA = {"pseudo_rmse": "pseudo_own_rmse", "pseudo_ccc": "pseudo_own_ccc"}
"""The score shown beside one of A's pseudo VA where A has annotated VA, too."""


def needing(*needs: Needs) -> tuple[str, ...]:
    """Names of the metrics that need one of these.

    >>> needing("va")
    ('rmse_valence', 'ccc_valence', 'rmse_arousal', 'ccc_arousal')
    """
    return tuple(name for name, metric in METRICS.items() if metric.needs in needs)


MODEL_SCORES = needing("expression", "va", "votes")
"""Scores of a model on images; not those of labels that a method makes."""
