"""Training one model on several devices, when torch.distributed has a process group."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Ranks:
    """This process's place among `size` processes."""

    rank: int
    size: int

    @classmethod
    def current(cls) -> Ranks:
        return cls(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else cls(0, 1)

    def share(self, batch: Tensor) -> Tensor:
        """This rank's part of a batch of indices."""
        return batch[self.rank :: self.size]

    def agree(self, scores: dict[str, float]) -> dict[str, float]:
        """The first rank's scores: ranks normalise different parts of a batch and may differ in the last digits."""
        if self.size == 1:
            return scores
        box = [scores]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def total(self, values: Tensor) -> Tensor:
        """The sum over ranks."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def wrap(self, model: nn.Module, device: torch.device) -> nn.Module:
        """The model whose backward pass averages gradients over ranks.

        On GPUs batch normalisation sees the whole batch; on CPUs torch has no synchronised batch
        norm, each rank normalises its own part and rank 0's running statistics are kept.
        """
        if self.size == 1:
            return model
        if device.type == "cuda":
            return DistributedDataParallel(nn.SyncBatchNorm.convert_sync_batchnorm(model), device_ids=[device])
        return DistributedDataParallel(model)
