"""Training one model on several devices, when torch.distributed has a process group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """This process's rank among `size` processes."""

    rank: int
    size: int

    @classmethod
    def current(cls) -> Ranks:
        return cls(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else cls(0, 1)

    def share(self, batch: Tensor) -> Tensor:
        """This rank's part of a batch of indices."""
        return batch[self.rank :: self.size]

    def agree(self, scores: dict[str, float]) -> dict[str, float]:
        """The first rank's scores; other ranks normalise other parts of a batch and may differ in the last digits."""
        return self.from_first(lambda: scores)

    def from_first(self, make: Callable[[], T]) -> T:
        """What `make` gives on the first rank, sent to every rank, so that all take the same branch."""
        if self.size == 1:
            return make()
        values: list[Any] = [make() if self.rank == 0 else None]
        dist.broadcast_object_list(values, src=0)
        value: T = values[0]
        return value

    def largest(self, values: Tensor) -> Tensor:
        """The maximum over ranks, elementwise."""
        if self.size > 1:
            dist.all_reduce(values, dist.ReduceOp.MAX)
        return values

    def broadcast_buffers(self, model: nn.Module) -> None:
        """Copy the first rank's running statistics to every rank; parameters are equal already."""
        if self.size > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)

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
