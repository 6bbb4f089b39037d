"""The order of an epoch: which samples go into which batch."""

from __future__ import annotations

from torch import Tensor

from raysweep.core.random import derive_key, permutation


def epoch_batches(rows: Tensor, batch_size: int, seed: int, epoch: int, at_least: int = 2) -> list[Tensor]:
    """`rows` in the random order of one epoch, cut into batches.

    A last batch of fewer than `at_least` images is left out: batch normalisation cannot use a single one.

    Returns:
        Index tensors of `batch_size` rows each, the last possibly shorter.
    """
    order = rows[permutation(derive_key(seed, "order", epoch), rows)]
    return [batch for batch in order.split(batch_size) if len(batch) >= at_least]
