"""Metrics of a training epoch: mean losses, and how far flipped labels are memorised."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

_COUNTS = ("kept", "kept_fitted", "flipped", "flipped_fitted", "flipped_recovered")


class FitTally:
    """Sums kept on the device during an epoch and read once at its end.

    fit/unflipped: share of untouched labels the model predicts. fit/flipped: share of flipped
    labels it predicts as given, which is memorised noise (Zhang et al., 2017). fit/recovered:
    share of flipped samples whose original label it predicts. All on augmented training images,
    each just before the step that uses it.
    """

    def __init__(self, device: torch.device) -> None:
        self.losses: dict[str, Tensor] = {}
        self.counts = torch.zeros(len(_COUNTS), dtype=torch.float64, device=device)
        self.samples = 0

    def add(
        self,
        terms: dict[str, Tensor],
        count: int,
        logits_NK: Tensor,
        given_N: Tensor,
        true_N: Tensor,
        flipped_N: Tensor,
    ) -> None:
        """Add a batch of `count` samples (over all ranks); tensors are this rank's part."""
        self.samples += count
        for name, value in terms.items():
            self.losses[name] = self.losses.get(name, 0) + value.detach().double() * count
        predicted = logits_NK.argmax(1)
        fitted, recovered, kept = predicted == given_N, predicted == true_N, ~flipped_N & (given_N >= 0)
        sums = [kept, kept & fitted, flipped_N, flipped_N & fitted, flipped_N & recovered]
        self.counts += torch.stack([mask.sum() for mask in sums]).double()

    def metrics(self) -> dict[str, float]:
        names = sorted(self.losses)
        totals = torch.cat([torch.stack([self.losses[name] for name in names]), self.counts])
        if dist.is_initialized():
            dist.all_reduce(totals)
        values = totals.tolist()
        losses = {f"train/{name}": value / self.samples for name, value in zip(names, values, strict=False)}
        count = dict(zip(_COUNTS, values[len(names) :], strict=True))
        fit = {}
        if count["kept"]:
            fit["fit/unflipped"] = count["kept_fitted"] / count["kept"]
        if count["flipped"]:
            fit["fit/flipped"] = count["flipped_fitted"] / count["flipped"]
            fit["fit/recovered"] = count["flipped_recovered"] / count["flipped"]
        return losses | fit
