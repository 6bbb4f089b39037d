"""Speed of the input pipeline: packed store and augmentation of whole batches, against files, transforms and workers.

    python -m bench.input_pipeline [--photographs 2048] [--batch 128] [--runs 5] [--device cuda]

The baseline is torchvision's: `ImageFolder` of 224-px JPEG files, v2 transforms one image at a time, a `DataLoader`
with as many workers as there are cores, which stay alive between epochs. Ours is the same files prepared once,
memory-mapped and gathered by row, then `raysweep.training.augmentation` as the trainer calls it, with as many threads
as there are cores. Both give shuffled float32 batches (N, 3, S, S) on the device, under the same policy (the default
`Augment`; `tests/data/test_pipeline_distribution.py` compares the distributions). Required: equal pixels before
augmentation, equal numbers of images. A run is a whole epoch; the sides take turns, one epoch of each is not counted.

`shares` are parts of an epoch's time: of ours with a clock around every part, of theirs in one process without a
loader. `cpu_ms_an_image` is the CPU time of one thread on either side, `ratio` that of the median wall times.
Prints one JSON line.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torchvision
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

import raysweep.training.augmentation as augmentation
from bench.prepare import CLASSES, clocked, make_photographs
from raysweep.config.sections import Augment
from raysweep.core.version import code_version
from raysweep.data.dataset import FaceData
from raysweep.data.prepare.crop import Crop
from raysweep.data.prepare.reader import read_prepared
from raysweep.data.prepare.writer import prepare_listing
from raysweep.data.readers import read_listing
from raysweep.training.augmentation import MEAN, STD
from raysweep.training.device_dataset import DeviceImages
from raysweep.training.sampler import epoch_batches

ORDER_SEED = 0
ASPECTS = (0.3, 3.3)
POLICY = Augment(erase=0.5)
"""Every operation once."""


def torchvision_policy(config: Augment) -> v2.Compose:
    """The same policy as torchvision's users write it, one image at a time: a Pillow image to (3, S, S) float32.

    Differs from `raysweep.training.augmentation`: what a shift uncovers is black instead of the edge's colour; a
    shift is a share of the side after the zoom, in whole pixels, instead of before.
    """
    return v2.Compose(
        [
            v2.ToImage(),
            v2.RandomHorizontalFlip(config.flip),
            v2.RandomAffine(
                config.rotate,
                translate=(config.translate, config.translate),
                scale=(config.scale_min, config.scale_max),
                interpolation=v2.InterpolationMode.BILINEAR,
            ),
            v2.ColorJitter(brightness=config.brightness),
            v2.ColorJitter(contrast=config.contrast),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
            v2.RandomErasing(config.erase, (config.erase_min, config.erase_max), ASPECTS),
        ]
    )


def class_folders(root: Path, count: int, size: int) -> Path:
    """JPEG files of `size` pixels in one folder a class."""
    paths = make_photographs(root / "made", count, size)
    for name in CLASSES:
        (root / "files" / name).mkdir(parents=True)
    for number, path in enumerate(paths):
        path.rename(root / "files" / CLASSES[number % 2] / path.name)
    return root / "files"


def packed(files: Path, target: Path, size: int) -> FaceData:
    prepare_listing(read_listing("folder", files, {}), target, Crop(size))
    return read_prepared(target, "bench")


class OurEpochs:
    """Batches as `DeviceFaces.augmented` makes them."""

    def __init__(self, data: FaceData, batch: int, device: torch.device) -> None:
        self.images, self.rows = DeviceImages([data], device), torch.arange(len(data))
        self.batch, self.device = batch, device

    def epoch(self, number: int) -> Iterator[Tensor]:
        for rows in epoch_batches(self.rows, self.batch, ORDER_SEED, number):
            ids = rows.to(self.device)
            images = augmentation.augment(self.images.gather(ids), ids, ORDER_SEED, number, POLICY)
            yield images.contiguous(memory_format=torch.channels_last)


class TheirEpochs:
    def __init__(self, files: Path, batch: int, device: torch.device, workers: int) -> None:
        on_gpu = device.type == "cuda"
        self.folder, self.device = ImageFolder(files, torchvision_policy(POLICY)), device
        self.loader = DataLoader(
            self.folder,
            batch,
            shuffle=True,
            num_workers=workers,
            pin_memory=on_gpu,
            persistent_workers=workers > 0,
        )

    def epoch(self, number: int) -> Iterator[Tensor]:
        for images, _ in self.loader:
            yield images.to(self.device, non_blocking=True).contiguous(memory_format=torch.channels_last)


def seconds_of(epoch: Iterator[Tensor], device: torch.device, count: int) -> float:
    """Wall time of one epoch. Raises SystemExit when images are missing."""
    began, images = time.perf_counter(), 0
    for batch in epoch:
        images += len(batch)
    synchronise(device)
    if images != count:
        raise SystemExit(f"an epoch gave {images} images instead of {count}")
    return time.perf_counter() - began


def median_seconds(
    sides: dict[str, OurEpochs | TheirEpochs], runs: int, device: torch.device, count: int
) -> dict[str, float]:
    """Median wall time of an epoch of each side. They take turns; the first epoch of each does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(1, runs + 2):
        for name, side in sides.items():
            seconds[name].append(seconds_of(side.epoch(number), device, count))
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def our_shares(ours: OurEpochs) -> dict[str, float]:
    """Parts of an epoch. The parts that have no function of their own are jitter, conversion and normalisation."""
    seconds: dict[str, float] = defaultdict(float)
    parts: list[tuple[str, Any, str]] = [
        ("gather", ours.images, "gather"),
        ("warp", augmentation, "_affine"),
        ("erase", augmentation, "_erase"),
    ]
    with contextlib.ExitStack() as stack:
        for name, owner, attribute in parts:
            function = finished(getattr(owner, attribute), ours.device)
            stack.enter_context(mock.patch.object(owner, attribute, clocked(function, name, seconds)))
        augment = finished(augmentation.augment, ours.device)
        stack.enter_context(mock.patch.object(augmentation, "augment", clocked(augment, "augment", seconds)))
        whole = seconds_of(ours.epoch(1), ours.device, len(ours.rows))
    seconds["jitter, normalise"] = seconds.pop("augment") - seconds["warp"] - seconds["erase"]
    seconds["order, channels last"] = whole - sum(seconds.values())
    return {name: round(value / whole, 3) for name, value in seconds.items()}


def finished(function: Callable[..., Any], device: torch.device) -> Callable[..., Any]:
    """The same function, which waits for the device before and after."""

    def run(*args: Any, **fields: Any) -> Any:
        synchronise(device)
        result = function(*args, **fields)
        synchronise(device)
        return result

    return run


def cpu_ms(work: Callable[[], object], count: int) -> float:
    """CPU time of one thread for an image, without waiting: comparable on a busy machine, too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    began = time.process_time()
    work()
    took = time.process_time() - began
    torch.set_num_threads(threads)
    return round(took / count * 1e3, 3)


def their_shares(folder: ImageFolder, count: int) -> dict[str, float]:
    """Parts of the work on `count` files in this process: reading and decoding, then each transform."""
    torch.set_num_threads(1)  # as a worker has
    seconds: dict[str, float] = defaultdict(float)
    decode = clocked(folder.loader, "decode", seconds)
    steps = [(type(step).__name__, step) for step in folder.transform.transforms]
    for path, _ in folder.samples[:count]:
        image = decode(path)
        for name, step in steps:
            image = clocked(step, name, seconds)(image)
    whole = sum(seconds.values())
    return {name: round(value / whole, 3) for name, value in seconds.items()}


def equal_pixels(data: FaceData, folder: ImageFolder) -> bool:
    """Whether the store has the files' pixels and labels, class by class in the order of their names."""
    decoded = v2.PILToTensor()
    return all(
        folder.classes[theirs] == data.classes[int(ours)] and torch.equal(pixels, decoded(folder.loader(path)))
        for pixels, ours, (path, theirs) in zip(data.images, data.labels, folder.samples, strict=True)
    )


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("photographs", 2048), ("batch", 128), ("runs", 5), ("size", 224)):
        arguments.add_argument(f"--{name}", type=int, default=default)
    arguments.add_argument("--device", default="cpu")
    asked = arguments.parse_args()
    load, cores, device = round(os.getloadavg()[0], 1), os.cpu_count() or 1, torch.device(asked.device)
    torch.set_num_threads(cores)
    with tempfile.TemporaryDirectory() as place:
        files = class_folders(Path(place), asked.photographs, asked.size)
        data = packed(files, Path(place) / "packed", asked.size)
        ours = OurEpochs(data, asked.batch, device)
        theirs = TheirEpochs(files, asked.batch, device, workers=cores)
        equal = equal_pixels(data, theirs.folder)
        median = median_seconds({"ours": ours, "theirs": theirs}, asked.runs, device, len(data))
        few = min(256, len(data))
        alone = {
            "ours": cpu_ms(lambda: seconds_of(ours.epoch(1), device, len(data)), len(data)),
            "theirs": cpu_ms(lambda: [theirs.folder[row] for row in range(few)], few),
        }
        shares = {"ours": our_shares(ours), "theirs": their_shares(theirs.folder, few)}
    line = {
        "bench": "input_pipeline",
        "ratio": round(median["theirs"] / median["ours"], 2),
        "images_per_s": {name: round(len(data) / value, 1) for name, value in median.items()},
        "cpu_ms_an_image": alone,
        "cpu_ratio": round(alone["theirs"] / alone["ours"], 2),
        "shares": shares,
        "equal_pixels": equal,
        "photographs": asked.photographs,
        "size": asked.size,
        "batch": asked.batch,
        "runs": asked.runs,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": cores,
        "workers": cores,
        "load_before": load,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "code_version": code_version(),
    }
    print(json.dumps(line))
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
