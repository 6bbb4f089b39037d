"""Comparison of a site's labels with the target's criteria. N faces, K expressions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from raysweep.data.dataset import TRAIN, FaceData

from .sites import Site, label_site


@dataclass(frozen=True)
class Criteria:
    """A site's training labels beside the target's criteria.

    `likeliest` (K, K) float32: faces by the target's likeliest label (row) and the site's likeliest
    (column); `labelled` (K, K): by the target's likeliest label and the label the site gave;
    `own` is the share of faces that one of the target's own raters would name differently;
    `va_rmse`, `va_bias` (2,): of the site's VA against the truth, NaN without any; `target_centres` (K, 2):
    mean true VA an expression as the target's raters name it; `site_centres` (K, 2): mean VA of the
    site's labels (the true VA if the site wrote none); `site_true_centres` (K, 2): mean true VA of the
    same images.
    """

    likeliest: Tensor
    labelled: Tensor
    own: float
    va_rmse: Tensor
    va_bias: Tensor
    target_centres: Tensor
    site_centres: Tensor
    site_true_centres: Tensor

    @property
    def likeliest_moved(self) -> float:
        """Share of faces whose likeliest label differs from the target's."""
        return 1 - float(self.likeliest.trace() / self.likeliest.sum())

    @property
    def labels_moved(self) -> float:
        """Share of faces whose label differs from the target's likeliest."""
        return 1 - float(self.labelled.trace() / self.labelled.sum())

    @property
    def kept(self) -> Tensor:
        """Share of the target's faces of each expression that are the site's too, by likeliest label. Shape (K,)."""
        return self.likeliest.diagonal() / self.likeliest.sum(1)


def compare(target_NK: Tensor, site_NK: Tensor, labels_N: Tensor, truth_N2: Tensor, va_N2: Tensor) -> Criteria:
    """Criteria of N faces from the two tables of rater probabilities, the site's labels, and true and written VA."""
    likeliest = target_NK.argmax(1)
    error = va_N2 - truth_N2
    shown = torch.where(va_N2.isfinite(), va_N2, truth_N2)
    given = torch.nn.functional.one_hot(labels_N, target_NK.shape[1]).float()
    return Criteria(
        likeliest=_table(likeliest, site_NK.argmax(1), target_NK.shape[1]),
        labelled=_table(likeliest, labels_N, target_NK.shape[1]),
        own=1 - float(target_NK.max(1).values.mean()),
        va_rmse=error.square().nanmean(0).sqrt(),
        va_bias=error.nanmean(0),
        target_centres=_centres(target_NK, truth_N2),
        site_centres=_centres(given, shown),
        site_true_centres=_centres(given, truth_N2),
    )


def criteria_of(data: FaceData) -> Criteria:
    """Criteria of a built site's training images."""
    rows = data.rows(TRAIN)
    target, site, truth = data.info.target_probs, data.info.rater_probs, data.info.truth_va
    assert target is not None
    assert site is not None
    assert truth is not None
    return compare(target[rows], site[rows], data.labels[rows], truth[rows], data.va[rows])


def criteria_at(site: Site, count: int = 20_000) -> Criteria:
    """Criteria of a site over `count` training faces, without drawing them: takes seconds."""
    known = label_site(site, {"train": count, "validation": 0, "test": 8})
    rows = torch.nonzero(known.splits == TRAIN).flatten()
    target, site_probs = known.affect.rater_probs[rows], known.rater_probs[rows]
    return compare(target, site_probs, known.labels[rows], known.affect.va[rows], known.va[rows])


def _table(rows_N: Tensor, columns_N: Tensor, size: int) -> Tensor:
    """Counts of pairs. Shape (size, size) float32."""
    return torch.bincount(rows_N * size + columns_N, minlength=size * size).view(size, size).float()


def _centres(weights_NK: Tensor, va_N2: Tensor) -> Tensor:
    """Weighted mean point of every class, NaN for an empty one. Shape (K, 2)."""
    return weights_NK.T @ va_N2 / weights_NK.sum(0)[:, None]
