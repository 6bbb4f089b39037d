"""The Amend Representation Module (ARM), which replaces the global mean at the end of a ResNet-18.

J. Shi, S. Zhu, "Learning to amend facial expression representation via de-albino and
affinity", arXiv:2103.10189. Shapes in names: N images, C channels, H x W positions.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from raysweep.core.errors import UserError

TRUNK_STRIDE, TRUNK_SIDE, SHUFFLE, KERNEL, STRIDE = 32, 7, 16, 32, 8
SIDE = (TRUNK_SIDE * SHUFFLE - KERNEL) // STRIDE + 1  # 11
FEATURES = SIDE**2


def check_size(height: int, width: int) -> None:
    """Check that images have a size for which ARM gives 121 features: 224 pixels.

    The trunk halves the side five times, rounding up, to m = ceil(pixels / 32). Pixel shuffling gives
    16 m and the kernel 2 m - 3, which is 11 only for m = 7: 193 to 224 pixels. For m = 1 the kernel is
    too large.

    Raises:
        UserError: other sizes.

    >>> check_size(224, 224)
    >>> check_size(48, 48)
    Traceback (most recent call last):
    raysweep.core.errors.UserError: encoder 'arm': `image_size = 224` must hold (193 to 224 give the 7 x 7 maps that \
its 121 features need), but got 48 x 48
    """
    if not all(-(-side // TRUNK_STRIDE) == TRUNK_SIDE for side in (height, width)):
        largest = TRUNK_SIDE * TRUNK_STRIDE
        raise UserError(
            f"encoder 'arm': `image_size = {largest}` must hold ({largest - TRUNK_STRIDE + 1} to {largest} give the "
            f"{TRUNK_SIDE} x {TRUNK_SIDE} maps that its {FEATURES} features need), but got {height} x {width}"
        )


class ARM(nn.Module):
    """Encoder from (N, 3, 224, 224) to (N, 121): ResNet-18 up to its last maps, then

    arrangement: pixel shuffling, 512 x 7 x 7 to 2 x 112 x 112;
    de-albino: one 32 x 32 kernel, stride 8, no padding, on each of the two channels, to 2 x 11 x 11;
    batch normalisation; sharing affinity (`SharingAffinity`), to 11 x 11.

    11,177,541 parameters: 11,176,512 of the trunk, 1024 of the kernel, 4 of the norm, alpha.

    Differs from the authors' code: see `SharingAffinity`.

    Args:
        trainable_alpha: False keeps alpha at 1, or at its value in loaded weights (`model.arm_alpha=fixed`). The
            authors of DCJT left it out of their optimiser, by accident.
    """

    def __init__(self, trainable_alpha: bool = True) -> None:
        from torchvision.models import resnet18  # takes seconds, and few studies need it

        super().__init__()
        whole = resnet18(weights=None)
        self.trunk = nn.Sequential(OrderedDict(list(whole.named_children())[:-2]))  # less avgpool and fc
        self.arrange = nn.PixelShuffle(SHUFFLE)
        self.de_albino = nn.Conv2d(1, 1, KERNEL, stride=STRIDE, bias=False)
        self.norm = nn.BatchNorm2d(2)
        self.affinity = SharingAffinity(SIDE, trainable_alpha)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, 121). Raises UserError for sizes that do not give 121 features."""
        check_size(*images.shape[2:])
        maps = self.arrange(self.trunk(images))
        count, channels, *side = maps.shape
        amended = self.de_albino(maps.reshape(count * channels, 1, *side))  # channels as images: the kernel is shared
        maps = self.norm(amended.reshape(count, channels, SIDE, SIDE))
        return torch.flatten(self.affinity(maps), 1)


class SharingAffinity(nn.Module):
    """(N, C, H, W) to (N, H, W): x_n = mean over c of y_nc + alpha * mean over n and c of y_nc.

    The second term is what all faces of a batch share. alpha is learnt and starts at 1.

    Differs from the authors' code: theirs takes the second mean over the batch at evaluation too, so
    that a prediction depends on its neighbours. Here, as in batch normalisation, training keeps a
    running mean (the first batch sets it, later ones enter with `momentum`, or with equal weights if
    that is None) and evaluation uses it. On several devices each takes the mean of its own part of a batch.
    """

    running_mean: Tensor
    num_batches_tracked: Tensor

    def __init__(self, side: int, trainable_alpha: bool = True, momentum: float | None = 0.1) -> None:
        super().__init__()
        self.momentum = momentum
        self.alpha = nn.Parameter(torch.ones(()), requires_grad=trainable_alpha)
        self.register_buffer("running_mean", torch.zeros(side, side))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, maps_NCHW: Tensor) -> Tensor:
        shared_HW = self.running_mean
        if self.training:
            shared_HW = maps_NCHW.mean((0, 1))
            self._update_running_mean(shared_HW.detach())
        return maps_NCHW.mean(1) + self.alpha * shared_HW

    def reset_running_stats(self) -> None:
        """Reset the running mean."""
        self.running_mean.zero_()
        self.num_batches_tracked.zero_()

    def _update_running_mean(self, shared_HW: Tensor) -> None:
        self.num_batches_tracked.add_(1)
        count = self.num_batches_tracked  # stays a tensor: reading it would make a GPU wait every step
        share = 1 / count if self.momentum is None else torch.where(count == 1, 1.0, self.momentum)
        kind = self.running_mean.dtype
        self.running_mean.lerp_(shared_HW.to(kind), share.to(kind))


@contextmanager
def fresh_affinity(model: nn.Module) -> Iterator[None]:
    """Reset the running means of `SharingAffinity` and, within the block, average over all batches equally.

    `torch.optim.swa_utils.update_bn` does so for batch normalisation only:

        with fresh_affinity(model):
            update_bn(batches, model)
    """
    kept = {module: module.momentum for module in model.modules() if isinstance(module, SharingAffinity)}
    for module in kept:
        module.reset_running_stats()
        module.momentum = None
    try:
        yield
    finally:
        for module, momentum in kept.items():
            module.momentum = momentum
