"""Scores of a multi-task model over a whole set, most of them by torchmetrics.

CCC is computed once over the set, with moments over N. Differs from the paper's code, which averages it over batches.

torchmetrics is imported where it is used: it brings torchvision, SciPy's signals and torch's compiler along, a third of
what a launch imports before it trains.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def expression_scores(probs_NK: Tensor, labels_N: Tensor) -> dict[str, float]:
    """accuracy, macro_f1, ece (`calibration_error`), nll (nats), brier (sum over classes, in [0, 2]).

    Macro-F1 is the mean over the classes that occur among the labels, whatever is predicted: the same classes for every
    model that is scored on a set. Images with label -1 have no expression and are left out.
    """
    from torchmetrics.functional.classification import multiclass_accuracy, multiclass_f1_score

    probs_NK, labels_N = _named(probs_NK, labels_N)
    num_classes = probs_NK.shape[1]
    present = labels_N.unique()
    f1 = multiclass_f1_score(probs_NK, labels_N, num_classes, average="none")
    observed = torch.nn.functional.one_hot(labels_N, num_classes).to(probs_NK.dtype)
    chosen = probs_NK.gather(1, labels_N[:, None]).squeeze(1)
    return {
        "macro_f1": float((f1[present] / len(present)).sum()),
        "accuracy": float(multiclass_accuracy(probs_NK, labels_N, num_classes, average="micro")),
        "ece": calibration_error(probs_NK, labels_N),
        "nll": float(-chosen.clamp_min(torch.finfo(probs_NK.dtype).tiny).log().mean()),
        "brier": float((probs_NK - observed).square().sum(1).mean()),
    }


CALIBRATION_BINS = 15


def calibration_error(probs_NK: Tensor, labels_N: Tensor) -> float:
    """Expected calibration error (Naeini et al., 2015): mean distance of accuracy and confidence over 15 bins, weighted
    by their images.

    Bins have equal width and are closed above, (lo, hi], the first below, too, as in the papers' authors' code.
    torchmetrics 1.9 has a sixteenth bin for confidence 1, which a sure model reaches in float32.
    """
    confidence_N, predicted_N = probs_NK.max(1)
    inner_edges = torch.linspace(0, 1, CALIBRATION_BINS + 1, dtype=probs_NK.dtype, device=probs_NK.device)[1:-1]
    bins_N = torch.bucketize(confidence_N, inner_edges)
    gaps_N = (predicted_N == labels_N).double() - confidence_N.double()
    gaps_B = torch.zeros(CALIBRATION_BINS, dtype=torch.float64, device=probs_NK.device).index_add_(0, bins_N, gaps_N)
    return float(gaps_B.abs().sum() / len(labels_N))


def affect_scores(predicted_N2: Tensor, va_N2: Tensor) -> dict[str, float]:
    """RMSE and CCC (`concordance`) of valence and arousal over the rows that have both; {} without two such rows."""
    from torchmetrics.functional import mean_squared_error

    known = va_N2.isfinite().all(1)
    if int(known.sum()) < 2:
        return {}
    scores = {}
    for column, name in enumerate(("valence", "arousal")):
        ours, theirs = predicted_N2[known, column].double(), va_N2[known, column].double()
        scores[f"rmse_{name}"] = float(mean_squared_error(ours, theirs, squared=False))
        scores[f"ccc_{name}"] = concordance(ours, theirs)
    return scores


def concordance(x_N: Tensor, y_N: Tensor) -> float:
    """Concordance correlation coefficient, 2 s_xy / (s_x^2 + s_y^2 + (mean_x - mean_y)^2), in [-1, 1].

    Variances and covariance are means over N, as Lin (1989, "A concordance correlation coefficient to evaluate
    reproducibility", Biometrics 45) estimates them; torchmetrics takes N - 1, which gives up to N / (N - 1) times as
    much. 0 where both are constant and equal.

    Args:
        x_N, y_N: (N,), N > 0. Symmetric in the two.

    >>> round(concordance(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 3.0, 4.0])), 4)  # 2 (2/3) / (2/3 + 2/3 + 1)
    0.5714
    """
    x, y = x_N.double() - x_N.double().mean(), y_N.double() - y_N.double().mean()
    shift = float(x_N.double().mean() - y_N.double().mean())
    below = float((x * x).mean() + (y * y).mean()) + shift**2
    return 2 * float((x * y).mean()) / below if below else 0.0


def vote_scores(probs_NK: Tensor, votes_NK: Tensor) -> dict[str, float]:
    """KL(votes || prediction), nats, mean over the rows that have votes; {} without such rows."""
    known = votes_NK.isfinite().all(1)
    if not bool(known.any()):
        return {}
    from torchmetrics.functional import kl_divergence

    probs = probs_NK[known].double().clamp_min(torch.finfo(torch.float32).tiny)
    return {"kl_votes": float(kl_divergence(votes_NK[known].double(), probs))}


def all_scores(
    probs_NK: Tensor, affect_N2: Tensor, labels_N: Tensor, va_N2: Tensor, votes_NK: Tensor
) -> dict[str, float]:
    """Every score that the data allow, by the names of `raysweep.metrics.registry.HIGHER_IS_BETTER`."""
    scores = expression_scores(probs_NK, labels_N)
    return scores | affect_scores(affect_N2, va_N2) | vote_scores(probs_NK, votes_NK)


def confusion(probs_NK: Tensor, labels_N: Tensor) -> Tensor:
    """Counts (K, K): row = label, column = prediction; images with label -1 are left out."""
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    probs_NK, labels_N = _named(probs_NK, labels_N)
    counts: Tensor = multiclass_confusion_matrix(probs_NK, labels_N, probs_NK.shape[1])
    return counts


def one_class_only(probs_NK: Tensor) -> bool:
    """Whether the model predicts the same class for every image: a degenerate solution."""
    return len(probs_NK.argmax(1).unique()) == 1


def _named(probs_NK: Tensor, labels_N: Tensor) -> tuple[Tensor, Tensor]:
    """The images that have an expression."""
    named = labels_N >= 0
    return (probs_NK, labels_N) if bool(named.all()) else (probs_NK[named], labels_N[named])


def label_scores(labels: dict[str, np.ndarray], relabelled: bool = True) -> dict[str, float]:
    """How good the labels are that a method made, as far as the truth is known; finite values only.

    Args:
        labels: by name, as `raysweep.pipeline.CellResult.labels`: labels (N,) int64, VA (N, 2) float32, (N,) bool.
        relabelled: whether the method names the remainder anew; without, scores of that are left out.

    Returns:
        kept_share: share of B that M_A agrees with. given_right, kept_right, remainder_right: share of
        given labels that are A's likeliest ones, over all of B, the kept and the remainder;
        relabelled_right: of the remainder's new labels; relabel_agreement: share of the remainder that
        keeps its label. pseudo_rmse, pseudo_ccc: A's pseudo VA against the truth (root of the mean over
        points and both dimensions; mean of both CCC). given_va_rmse, mapped_va_rmse: the remainder's VA
        against the truth, before and after mapping. pseudo_own_rmse, pseudo_own_ccc: A's pseudo VA against the VA
        that A came with.
    """
    scores: dict[str, float] = {}
    if "target_va" in labels and "target_truth_va" in labels:
        scores |= _va_scores("pseudo", labels["target_va"], labels["target_truth_va"])
    if "target_va" in labels and "target_own_va" in labels:
        scores |= _va_scores("pseudo_own", labels["target_va"], labels["target_own_va"])
    scores = {name: value for name, value in scores.items() if np.isfinite(value)}
    if "extra_selected" not in labels:
        return scores
    kept, given = labels["extra_selected"], labels["extra_labels_given"]
    scores["kept_share"] = float(kept.mean())
    rest = ~kept
    truth = labels.get("extra_truth_labels")
    if truth is not None:
        right = given == truth
        scores |= {"given_right": float(right.mean()), "kept_right": float(right[kept].mean())}
        scores |= {"remainder_right": float(right[rest].mean())} if rest.any() else {}
    if "extra_labels_new" in labels and rest.any():
        new = labels["extra_labels_new"]
        if relabelled:
            scores["relabel_agreement"] = float((new == given)[rest].mean())
            scores |= {"relabelled_right": float((new == truth)[rest].mean())} if truth is not None else {}
        if "extra_truth_va" in labels:
            where = labels["extra_truth_va"][rest]
            scores["given_va_rmse"] = _rmse(labels["extra_va_given"][rest], where)
            scores["mapped_va_rmse"] = _rmse(labels["extra_va_new"][rest], where)
    return {name: value for name, value in scores.items() if np.isfinite(value)}


def va_moments(labels: dict[str, np.ndarray]) -> dict[str, float]:
    """Moments of VA that the maps of DCJT work with: of A, of B as given, and of B after mapping (ddof = 1).

    Args:
        labels: as for `label_scores`.

    Returns:
        For each of "target", "extra_given" and "extra_new" that is there: mean_valence, mean_arousal,
        std_valence, std_arousal, correlation, the names joined by an underscore.
    """
    moments: dict[str, float] = {}
    for who, name in (("target", "target_va"), ("extra_given", "extra_va_given"), ("extra_new", "extra_va_new")):
        va = labels.get(name, np.empty((0, 2)))
        va = va[np.isfinite(va).all(1)].astype(np.float64)
        if len(va) < 2:
            continue
        mean, std = va.mean(0), va.std(0, ddof=1)
        covariance = float(np.cov(va, rowvar=False)[0, 1])
        values = [*mean, *std, covariance / max(float(std.prod()), np.finfo(np.float64).tiny)]
        names = ("mean_valence", "mean_arousal", "std_valence", "std_arousal", "correlation")
        moments |= {f"{who}_{stat}": float(value) for stat, value in zip(names, values, strict=True)}
    return moments


def _va_scores(name: str, va: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    scores = affect_scores(torch.from_numpy(va), torch.from_numpy(truth))
    found = {f"{name}_rmse": _rmse(va, truth)}
    if "ccc_valence" in scores:  # else no image has both
        found[f"{name}_ccc"] = (scores["ccc_valence"] + scores["ccc_arousal"]) / 2
    return found


def _rmse(va: np.ndarray, truth: np.ndarray) -> float:
    known = np.isfinite(va).all(1) & np.isfinite(truth).all(1)
    return float(np.sqrt(np.square(va[known] - truth[known]).mean())) if known.any() else float("nan")
