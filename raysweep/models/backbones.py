"""Encoders: image in, feature vector out. One explicit dict, `BACKBONES`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raysweep.core.errors import UserError, describe, unknown_name
from raysweep.core.hashing import file_checksum

from . import arm


@dataclass(frozen=True)
class Backbone:
    """How to build an encoder, and its pretrained weights.

    Args:
        features: length of its feature vector.
        build: gives a module from (N, 3, H, W) to (N, features). Takes the `options` by name.
        maps: name of the submodule whose output (N, C, h, w) attention maps are made of: the last before positions are
            pooled or rearranged, or an earlier one where that is too coarse.
        imagenet: gives ImageNet weights, downloaded once.
        imagenet_name: identifies those weights in a key.
        trunk: prefix of the tensors that published weights cover. Weights may lack the prefix, and all
            tensors outside of the trunk. Empty where weights must cover the whole encoder.
        options: fields of `model` that `build` takes.
        check_size: raises UserError for images (height, width) of an unsuitable size.
    """

    features: int
    build: Callable[..., nn.Module]
    maps: str
    imagenet: Callable[[], dict[str, Tensor]] | None = None
    imagenet_name: str = ""
    trunk: str = ""
    options: tuple[str, ...] = ()
    check_size: Callable[[int, int], None] = lambda height, width: None


class SmallEncoder(nn.Sequential):
    """For faces of 32 to 96 pixels: four strided convolutions, then one that covers the whole face.

    246,160 parameters, 128 features. The last convolution has no padding: at 48 pixels its kernel
    covers the map exactly, so it keeps the position of a feature, which a mean would lose
    (FERPlus, 3,000 images, 12 epochs: macro-F1 0.37 against 0.30).
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__(
            _conv(3, width, 5),
            _conv(width, 2 * width, 3),
            _conv(2 * width, 4 * width, 3),
            _conv(4 * width, 8 * width, 3),
            AtLeast(3),
            nn.Conv2d(8 * width, 8 * width, 3, bias=False),
            nn.BatchNorm2d(8 * width),
            nn.ReLU(inplace=True),
            GlobalMean(),
        )


class AtLeast(nn.Module):
    """Pads maps smaller than `side` with zeros, below and to the right."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, maps: Tensor) -> Tensor:
        low, wide = (max(0, self.side - size) for size in maps.shape[2:])
        return F.pad(maps, (0, wide, 0, low)) if low or wide else maps


class GlobalMean(nn.Module):
    """Mean over height and width; unlike AdaptiveAvgPool2d its backward is deterministic on a GPU."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean((2, 3))


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=2, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _resnet(name: str) -> nn.Module:
    """A torchvision ResNet that ends with the mean of its last maps."""
    from torchvision import models  # takes seconds, since it imports torch's compiler

    network: nn.Module = getattr(models, name)(weights=None)
    network.avgpool = GlobalMean()
    network.fc = nn.Identity()
    return network


def _res2net50(pretrained: bool = False) -> nn.Module:
    import timm  # takes seconds, and few studies need it

    network = timm.create_model("res2net50_26w_4s.in1k", pretrained=pretrained, num_classes=0)
    network.global_pool = GlobalMean()
    return network  # type: ignore[no-any-return]


def _resnet18_imagenet() -> dict[str, Tensor]:
    from torchvision.models import ResNet18_Weights

    return ResNet18_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)  # type: ignore[no-any-return]


def _resnet50_imagenet() -> dict[str, Tensor]:
    # V1: what papers compare with; V2 comes from a longer recipe and is 4.7 points better on ImageNet
    from torchvision.models import ResNet50_Weights

    return ResNet50_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)  # type: ignore[no-any-return]


BACKBONES: dict[str, Backbone] = {
    "small": Backbone(features=128, build=SmallEncoder, maps="2"),  # 6 x 6 positions at 48 pixels, then 3 x 3
    "resnet18": Backbone(
        features=512,
        build=lambda: _resnet("resnet18"),
        maps="layer4",
        imagenet=_resnet18_imagenet,
        imagenet_name="torchvision:resnet18:IMAGENET1K_V1",
    ),
    "resnet50": Backbone(
        features=2048,
        build=lambda: _resnet("resnet50"),
        maps="layer4",
        imagenet=_resnet50_imagenet,
        imagenet_name="torchvision:resnet50:IMAGENET1K_V1",
    ),
    "res2net50": Backbone(
        features=2048,
        build=_res2net50,
        maps="layer4",
        imagenet=lambda: _res2net50(pretrained=True).state_dict(),
        imagenet_name="timm:res2net50_26w_4s.in1k",
    ),
    "arm": Backbone(
        features=arm.FEATURES,
        build=lambda arm_alpha="learnt": arm.ARM(trainable_alpha=arm_alpha == "learnt"),
        maps="trunk",
        imagenet=_resnet18_imagenet,
        imagenet_name="torchvision:resnet18:IMAGENET1K_V1",
        trunk="trunk.",
        options=("arm_alpha",),
        check_size=arm.check_size,
    ),
}


def find_backbone(name: str) -> Backbone:
    """The backbone of that name. Raises UserError with the nearest name."""
    if name not in BACKBONES:
        raise unknown_name("backbone", name, BACKBONES)
    return BACKBONES[name]


def check_weights(backbone: str, weights: str | None) -> None:
    """Load initial weights once and check that they fit, before any cell trains.

    Raises:
        UserError: as `load_encoder_weights`.
    """
    if weights is not None:
        load_encoder_weights(find_backbone(backbone).build(), backbone, weights)


def load_encoder_weights(encoder: nn.Module, backbone: str, weights: str) -> None:
    """Fill an encoder from ImageNet or from a checkpoint file (a state dict, or one under "state_dict").

    Tensors that the encoder lacks (a classifier's, say) are ignored. Weights may cover only the trunk of
    an encoder that has one (see `Backbone`); its other tensors then keep their values.

    Raises:
        UserError: the download fails, the file cannot be read safely, or its tensors do not fit.
    """
    state = _imagenet_state(backbone) if weights == "imagenet" else _file_state(Path(weights).expanduser())
    state = {name.removeprefix("module.").removeprefix("encoder."): value for name, value in state.items()}
    expected, trunk = encoder.state_dict(), BACKBONES[backbone].trunk
    if not any(name.startswith(trunk) for name in state):
        state = {trunk + name: value for name, value in state.items()}
    needed = set(expected)
    if not any(name in state for name in expected if not name.startswith(trunk)):
        needed = {name for name in expected if name.startswith(trunk)}
    fitting = {k: v for k, v in state.items() if k in expected and v.shape == expected[k].shape}
    missing = [n for n in expected if n in needed and n not in fitting and not n.endswith("num_batches_tracked")]
    if missing:
        raise UserError(
            f"model.weights={weights}: the tensors must fit encoder {backbone!r}, "
            f"but {len(missing)} of {len(needed)} are missing or of another shape, the first: {missing[0]}"
        )
    encoder.load_state_dict(fitting, strict=False)


def weights_checksum(backbone: str, weights: str | None) -> str | None:
    """The identity of initial weights in a key: a file's SHA-256, or the publisher's name of a download.

    Raises:
        UserError: an unknown backbone, one without ImageNet weights, or a file that is not there.
    """
    found = find_backbone(backbone)
    if weights is None:
        return None
    if weights == "imagenet":
        if found.imagenet is None:
            raise _no_imagenet(backbone)
        return found.imagenet_name
    path = Path(weights).expanduser()
    if not path.is_file():
        raise UserError(f"model.weights: no such file: {path} (use imagenet, none, or the path of a checkpoint)")
    state = path.stat()
    return _checksum(path, state.st_size, state.st_mtime_ns)


def _imagenet_state(backbone: str) -> dict[str, Tensor]:
    download = BACKBONES[backbone].imagenet
    if download is None:
        raise _no_imagenet(backbone)
    try:
        return download()
    except Exception as error:  # OSError, RuntimeError, and errors of timm's hub client
        raise UserError(
            f"ImageNet weights of {backbone} could not be downloaded ({describe(error)}); "
            "use --set model.weights=/path/to/weights.pth, or model.weights=none to start from random weights"
        ) from error


def _no_imagenet(backbone: str) -> UserError:
    return UserError(f"encoder {backbone!r} has no ImageNet weights: use --set model.weights=none or a path")


def _file_state(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises UnpicklingError, RuntimeError, OSError and others
        raise UserError(f"model.weights: {path} cannot be read as a checkpoint of tensors: {error}") from error
    if isinstance(state, dict):
        state = state.get("state_dict", state)
    if not isinstance(state, dict):
        raise UserError(f"model.weights: {path} must hold a dict of tensors, but holds {type(state).__name__}")
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


@lru_cache(maxsize=64)
def _checksum(path: Path, size: int, changed: int) -> str:
    """A file's checksum, computed again only when its size or time of change differs."""
    return file_checksum(path)
