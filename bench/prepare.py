"""Speed of preparing photographs on one core, against a plain loop with Pillow.

    python -m bench.prepare [--photographs 512] [--runs 5] [--size 224] [--side 420]

Both sides read the same generated JPEG photographs (no faces), cut out the same squares and leave uint8 arrays
(N, 3, S, S) on disk. Ours is a whole `prepare_listing` with one worker: journal, digests, labels, checksums and
manifest included. The loop opens, converts, resizes with antialiasing and assigns to a memory map, which it flushes.
Three cases: the central square, a box, landmarks. Required: the same bytes for square and box; for landmarks, where
the loop turns at twice the density and averages, a mean difference of at most `MAX_MEAN_DIFFERENCE` levels.

The sides take turns; the ratio is that of the medians. `cpu` is the process' CPU time, without waiting for the disk.
`shares` are parts of a preparation's time, measured in a run of its own. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import PIL
from PIL import Image

from raysweep.core.version import code_version
from raysweep.data.listing import FaceRecord, Listing
from raysweep.data.prepare import worker
from raysweep.data.prepare import writer as write
from raysweep.data.prepare.align import TEMPLATE
from raysweep.data.prepare.crop import Crop, Place, find_face
from raysweep.data.prepare.manifest import IMAGES
from raysweep.data.prepare.staging import Draft

MAX_MEAN_DIFFERENCE = 2.5
"""Levels of 255 between two ways of turning and averaging."""

CLASSES = ("neutral", "happiness")
Cut = Callable[[Image.Image, Place, int], Image.Image]


def make_photographs(folder: Path, count: int, side: int) -> list[Path]:
    """JPEG files with structure at every scale, all different."""
    folder.mkdir(parents=True)
    paths = []
    for number in range(count):
        draws = np.random.default_rng(number)
        picture = np.full((side, side, 3), 128.0)
        for cells, reach in ((4, 60), (16, 30), (64, 20), (side // 2, 10)):
            noise = Image.fromarray(draws.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
            fine = np.asarray(noise.resize((side, side), Image.Resampling.BICUBIC), dtype=np.float64)
            picture += (fine / 255 - 0.5) * 2 * reach
        paths.append(folder / f"{number:06}.jpg")
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(paths[-1], quality=90)
    return paths


def records(paths: list[Path], case: str, side: int) -> list[FaceRecord]:
    """Records of the photographs: with nothing, a box, or five landmarks of a turned face."""
    found = []
    for number, path in enumerate(paths):
        draws = np.random.default_rng([number, 1])
        width = side * draws.uniform(0.55, 0.6)
        where: dict[str, Any] = {}
        if case == "box":
            left, top = (int(x) for x in draws.uniform(0.15, 0.3, 2) * side)
            where["box"] = (left, top, int(width), int(width))
        elif case == "landmarks":
            turn = 1.2 * width * np.exp(1j * np.radians(draws.uniform(-20, 20)))
            middle = complex(*draws.uniform(0.48, 0.52, 2)) * side
            eyes_and_mouth = [turn * (point - (0.5 + 0.5j)) + middle for point in TEMPLATE]
            nose = sum(eyes_and_mouth) / 4
            points = [*eyes_and_mouth[:2], nose, *eyes_and_mouth[2:]]
            where["landmarks"] = tuple(float(x) for point in points for x in (point.real, point.imag))
        found.append(FaceRecord(path, CLASSES[number % 2], str(number), **where))
    return found


def ours(faces: list[FaceRecord], target: Path, size: int) -> np.ndarray:
    root = faces[0].path.parent
    listing = Listing("bench", "generated", root, CLASSES, iter(faces), ())
    write.prepare_listing(listing, target, Crop(size), workers=1)
    return np.load(target / IMAGES, mmap_mode="r")


def plain_loop(faces: list[FaceRecord], places: list[Place], cut: Cut, target: Path, size: int) -> np.ndarray:
    target.mkdir()
    pixels = np.lib.format.open_memmap(target / IMAGES, "w+", np.uint8, (len(faces), 3, size, size))
    for number, (face, place) in enumerate(zip(faces, places, strict=True)):
        with Image.open(face.path) as photo:
            rgb = photo.convert("RGB")
        pixels[number] = np.asarray(cut(rgb, place, size)).transpose(2, 0, 1)
    pixels.flush()
    return pixels


def resized(rgb: Image.Image, place: Place, size: int) -> Image.Image:
    return rgb.resize((size, size), Image.Resampling.BILINEAR, place.box())


def turned(rgb: Image.Image, place: Place, size: int) -> Image.Image:
    """Bilinear at twice the density, then the mean of every four pixels: antialiased where two pixels become one."""
    step = 0.5 / size
    across = (place.right_x * step, place.down_x * step, place.x)
    down = (place.right_y * step, place.down_y * step, place.y)
    fine = rgb.transform((2 * size, 2 * size), Image.Transform.AFFINE, across + down, Image.Resampling.BILINEAR)
    return fine.reduce(2)


def compare(faces: list[FaceRecord], cut: Cut, folder: Path, size: int, side: int, runs: int) -> dict[str, Any]:
    """Speeds of both sides, and the difference of their pixels."""
    places = [find_face(face, side, side, Crop(size).margin)[0] for face in faces]
    ways: dict[str, Callable[[Path], np.ndarray]] = {
        "ours": lambda target: ours(faces, target, size),
        "loop": lambda target: plain_loop(faces, places, cut, target, size),
    }
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    difference: dict[str, float] = {}
    for number in range(runs + 1):  # the first round warms up
        made = {}
        for name, way in ways.items():
            began, computed = time.perf_counter(), time.process_time()
            made[name] = way(folder / name)
            wall[name].append(time.perf_counter() - began)
            cpu[name].append(time.process_time() - computed)
        if not number:
            apart = np.abs(made["ours"].astype(np.int16) - made["loop"])
            difference = {"max": int(apart.max()), "mean": round(float(apart.mean()), 4)}
        for name in ways:
            shutil.rmtree(folder / name)
    fast = {name: statistics.median(seconds[1:]) for name, seconds in wall.items()}
    spent = {name: statistics.median(seconds[1:]) for name, seconds in cpu.items()}
    return {
        "images_per_s": {name: round(len(faces) / seconds, 1) for name, seconds in fast.items()},
        "images_per_cpu_s": {name: round(len(faces) / seconds, 1) for name, seconds in spent.items()},
        "ratio": round(fast["loop"] / fast["ours"], 3),
        "ratio_cpu": round(spent["loop"] / spent["ours"], 3),
        "difference": difference,
        "shares": shares(faces, folder / "ours", size),
    }


def shares(faces: list[FaceRecord], target: Path, size: int) -> dict[str, float]:
    """Parts of the wall time of a preparation, without those that take less than a hundredth of it."""
    parts: list[tuple[str, Any, str]] = [
        ("decode", worker, "read_photo"),
        ("resample", worker, "cut_out"),
        ("flush chunks to disk", worker, "flush_files"),
        ("append to the array", Draft, "append"),
        ("labels and checksums", write, "finish"),
        ("flush the store to disk", write, "flush_files"),
    ]
    seconds: dict[str, float] = defaultdict(float)

    with contextlib.ExitStack() as stack:
        for name, owner, attribute in parts:
            stack.enter_context(mock.patch.object(owner, attribute, clocked(getattr(owner, attribute), name, seconds)))
        began = time.perf_counter()
        ours(faces, target, size)
        whole = time.perf_counter() - began
    shutil.rmtree(target)
    seconds["rows, digests, the rest"] = whole - sum(seconds.values())
    return {name: round(value / whole, 3) for name, value in seconds.items() if value > 0.01 * whole}


def clocked(function: Callable[..., Any], name: str, seconds: dict[str, float]) -> Callable[..., Any]:
    def run(*args: Any, **fields: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*args, **fields)
        finally:
            seconds[name] += time.perf_counter() - began

    return run


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("photographs", 512), ("runs", 5), ("size", 224), ("side", 420)):
        arguments.add_argument(f"--{name}", type=int, default=default)
    arguments.add_argument("--folder", help="for temporary files; default the system's temporary folder")
    asked = arguments.parse_args()
    load = round(os.getloadavg()[0], 1)
    cuts: dict[str, Cut] = {"centre": resized, "box": resized, "landmarks": turned}
    with tempfile.TemporaryDirectory(dir=asked.folder) as place:
        folder = Path(place)
        paths = make_photographs(folder / "photographs", asked.photographs, asked.side)
        bytes_each = statistics.mean(path.stat().st_size for path in paths)
        cases = {
            case: compare(records(paths, case, asked.side), cut, folder, asked.size, asked.side, asked.runs)
            for case, cut in cuts.items()
        }
    equal = all(cases[case]["difference"]["max"] == 0 for case in ("centre", "box"))
    equal &= cases["landmarks"]["difference"]["mean"] <= MAX_MEAN_DIFFERENCE
    line = {
        "bench": "prepare",
        "photographs": asked.photographs,
        "side": asked.side,
        "size": asked.size,
        "bytes_each": round(bytes_each),
        "runs": asked.runs,
        **cases,
        "outputs_equal": equal,
        "cpus": os.cpu_count(),
        "load_before": load,
        "pillow": PIL.__version__,
        "code_version": code_version(),
    }
    print(json.dumps(line))
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
