"""The batches of an epoch, in their order."""

from __future__ import annotations

import torch
from torch import Tensor

from raysweep.core.keyed_random import derive_key, permutation, uniform


def epoch_batches(
    rows: Tensor, batch_size: int, seed: int, epoch: int, at_least: int = 2, stream: str = "order"
) -> list[Tensor]:
    """`rows` in the random order of one epoch, cut into batches.

    A last batch of fewer than `at_least` images is left out: batch normalisation cannot use a single one.
    `stream` names the draws, so that two passes of one epoch are shuffled differently.

    Returns:
        Index tensors of `batch_size` rows each, the last possibly shorter.
    """
    return in_batches(rows[permutation(derive_key(seed, stream, epoch), rows)], batch_size, at_least)


def in_batches(order: Tensor, batch_size: int, at_least: int = 2) -> list[Tensor]:
    """Rows in the order given, cut into batches; a last batch of fewer than `at_least` is left out."""
    return [batch for batch in order.split(batch_size) if len(batch) >= at_least]


def balanced_draw(rows: Tensor, labels: Tensor, seed: int, epoch: int) -> Tensor:
    """As many rows as there are, drawn with replacement so that every class present is equally likely.

    The DCJT authors draw the extra set like this (inverse class frequency); the paper does not say so.
    Differs from the authors' code: an image drawn twice in an epoch has the same augmentation twice.

    Args:
        rows: (M,) int64.
        labels: (M,) int64, their classes.

    Returns:
        (M,) int64 in random order, some rows several times.
    """
    weight = 1.0 / torch.bincount(labels).clamp_min(1)[labels].double()
    edges = torch.cumsum(weight, 0)
    place = uniform(derive_key(seed, "balanced", epoch), torch.arange(len(rows))) * edges[-1]
    return rows[torch.searchsorted(edges, place, right=True).clamp_max(len(rows) - 1)]
