"""Attention maps of a model on faces: Grad-CAM, with the derivatives at each position (HiResCAM).

R. R. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization",
International Journal of Computer Vision 128(2), 2020 (ICCV 2017), is what DDAF shows in Figure 6. It averages the
derivatives by a channel over all positions. R. L. Draelos, L. Carin, "Use HiResCAM instead of Grad-CAM for faithful
explanations of convolutional neural networks", arXiv:2011.08891, does not. Where feature maps are averaged next, as in
the paper's ResNet, all positions of a channel have the same derivative and the two are equal. In the small encoder and
ARM, position-dependent weights follow, and averages lose what they select. On twelve models of `ablation_noise_rate`
(small encoder, demo preset), greying the quarter of an image that its map marks lowered its logit by 0.54 more than
greying what another image's map marks (with all twelve models); with averaged derivatives by 0.02 (with seven), and by
0.07 (with ten) one layer later.

Shapes in names: N images, C channels, h x w positions of the feature maps, K expressions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from raysweep.models import MultiTaskModel
from raysweep.models.backbones import find_backbone

PER_CLASS = 16
"""Images of each expression that get maps, the first in row order; fewer where there are fewer."""

BATCH = 32
"""Images at a time; their activations are kept for the backward pass, as in training."""


@dataclass(frozen=True)
class GradCam:
    """On the CPU: `rows` (N,) of the data set, by class and then ascending; `maps` (N, h, w) float32, none below 0."""

    rows: Tensor
    maps: Tensor


def grad_cam(
    model: nn.Module, backbone: str, rows: Tensor, labels: Tensor, images: Callable[[Tensor], Tensor]
) -> GradCam:
    """Maps of the first images of each class among `rows`, each for the logit of the image's own label.

    Differs from the paper: DDAF does not say for which class its maps are made. The label's is the same for all
    models, so their maps can be compared; the predicted one's would differ with the prediction.

    Args:
        model: a `MultiTaskModel`, or the average of some.
        backbone: the name of its encoder.
        rows: (M,) int64, ascending.
        labels: of the whole data set, int64.
        images: rows to images (n, 3, H, W), normalised, on the model's device.
    """
    plain = model.module if isinstance(model, AveragedModel) else model
    assert isinstance(plain, MultiTaskModel)
    layer = plain.encoder.get_submodule(find_backbone(backbone).maps)
    chosen = first_of_each(rows, labels[rows])
    parts = []
    for part in chosen.split(BATCH):
        faces = images(part)
        parts.append(attention_maps(plain, layer, faces, labels[part].to(faces.device)).cpu())
    return GradCam(chosen, torch.cat(parts))


def first_of_each(rows_M: Tensor, labels_M: Tensor, most: int = PER_CLASS) -> Tensor:
    """The first `most` rows of each class, classes in order. Shape (N,).

    >>> first_of_each(torch.tensor([3, 5, 6, 9]), torch.tensor([1, 0, 1, 1]), most=2)
    tensor([5, 3, 6])
    """
    return torch.cat([rows_M[:0], *(rows_M[labels_M == k][:most] for k in labels_M.unique())])


def attention_maps(model: nn.Module, layer: nn.Module, images: Tensor, classes_N: Tensor) -> Tensor:
    """map_n = relu(sum over c of A_nc * (derivative of y_n by A_nc)), at each position.

    A: the output of `layer`; y_n: logit of image n for the class classes_n. Models are in evaluation mode here (and put
    back after), so no image's logits depend on another's feature maps: neither batch normalisation nor ARM's sharing
    affinity uses the batch then. One backward pass of the sum of all y_n therefore gives each image's own
    derivatives. In float32 whatever precision the model was trained in. Without positive contributions to the class,
    a map is 0 everywhere.

    Args:
        model: gives `Outputs` for (N, 3, H, W).
        layer: the part of it that gives feature maps (N, C, h, w).
        images: (N, 3, H, W), on the model's device.
        classes_N: (N,) int64, on the same device.

    Returns:
        (N, h, w).
    """
    seen: list[Tensor] = []

    def keep(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        seen.append(output.detach().requires_grad_())  # a leaf: the backward pass ends here
        return seen[-1]

    was_training = model.training
    model.eval()
    hook = layer.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            logits_NK = model(images).logits
            (slopes_NChw,) = torch.autograd.grad(logits_NK.gather(1, classes_N[:, None]).sum(), seen)
    finally:
        hook.remove()
        model.train(was_training)
    return F.relu((slopes_NChw * seen[0].detach()).sum(1))
