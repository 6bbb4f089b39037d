"""Memory that a large data set needs: prepare N small photographs, then train one epoch on them.

    python -m bench.million [--records 1000000] [--size 64] [--workers 1] [--folder DIR]

A few thousand generated 64-px JPEG files have N names (hard links) in class folders. Each phase is a process of
its own, as a user starts it: `python -m raysweep.data prepare folder ...`, then one cell in one process (the small
encoder, one epoch, scored on the held-out fifth). Every half second the anonymous memory (RssAnon) of the process and
all its descendants is summed up; the mapped images are file pages that all processes share, and do not count.

Required: at most `LIMIT_GB` in both phases. Prints one JSON line; exits with 1 above the limit.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.prepare import make_photographs

LIMIT_GB = 4.0
DISTINCT = 4_000
CLASSES = ("anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
EVERY_S, SAMPLES_A_LINE = 0.5, 120
NAME = "million"


def link_photographs(root: Path, count: int, side: int) -> Path:
    """`count` names in class folders for `DISTINCT` files; every class has photographs of its own."""
    distinct = make_photographs(root / "distinct", min(DISTINCT, count), side)
    folders = [root / "photographs" / name for name in CLASSES]
    for folder in folders:
        folder.mkdir(parents=True)
    for number in range(count):
        os.link(distinct[number % len(distinct)], folders[number % len(CLASSES)] / f"{number:07}.jpg")
    return root / "photographs"


def train(size: int, batch: int) -> dict[str, Any]:
    """One epoch of the small encoder on the prepared set, scored on its test images; in a temporary store."""
    import torch

    from raysweep.config.experiment import Experiment
    from raysweep.config.presets import PRESETS
    from raysweep.pipeline import FitEvent, load_sets, run_cell
    from raysweep.store.store import Store

    torch.set_num_threads(1)  # as a trial has
    changes = {
        **PRESETS["demo"].changes,
        "data.source": NAME,
        "data.image_size": size,
        "data.train_images": None,
        "data.test_images": None,
        "labels.method": "one_hot",  # photographs without valence and arousal
        "objective.cosine": False,
        "objective.weight_va": 0.0,
        "train.epochs": 1,
        "train.batch_size": batch,
        "train.swa_start": None,
        "selection.weights": "last",
    }
    epochs: list[FitEvent] = []
    began = time.perf_counter()
    sets = load_sets(Experiment().with_changes(changes))
    loaded = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run_cell(Experiment().with_changes(changes), sets, Store(Path(folder)), report=epochs.append)
    return {
        "images": int(epochs[0].metrics["images"]),
        "load_s": round(loaded - began, 1),
        "epoch_s": round(epochs[0].metrics["seconds"], 1),
        "scored_s": round(time.perf_counter() - loaded - epochs[0].metrics["seconds"], 1),
    }


def run_watched(command: list[str], setting: Path) -> tuple[dict[str, Any], str]:
    """Run a command; returns its memory and time, and what it printed."""
    began, samples = time.perf_counter(), []
    environment = {**os.environ, "RAYSWEEP_DATA": str(setting)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        while process.poll() is None:
            samples.append(sum(anonymous_kb(pid) for pid in tree(process.pid)))
            if len(samples) % SAMPLES_A_LINE == 0:
                line = f"{time.perf_counter() - began:.0f} s: {samples[-1] * 1024 / 1e9:.2f} GB, peak"
                print(f"{line} {max(samples) * 1024 / 1e9:.2f} GB", file=sys.stderr)
            time.sleep(EVERY_S)
        assert process.stdout is not None
        printed = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    usage = {
        "peak_anonymous_gb": round(max(samples) * 1024 / 1e9, 3),
        "median_anonymous_gb": round(sorted(samples)[len(samples) // 2] * 1024 / 1e9, 3),
        "seconds": round(time.perf_counter() - began, 1),
    }
    return usage, printed


def tree(pid: int) -> Iterator[int]:
    """A process and its descendants, as far as they are alive."""
    yield pid
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from tree(int(child))


def anonymous_kb(pid: int) -> int:
    try:
        found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found[1]) if found else 0


def measure(root: Path, asked: argparse.Namespace) -> dict[str, Any]:
    began = time.perf_counter()
    photographs = link_photographs(root, asked.records, asked.size)
    print(f"{asked.records:,} names in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    home, python = root / "home", [sys.executable, "-m"]
    options = ["--size", str(asked.size), "--workers", str(asked.workers), "--as", NAME]
    prepare, printed = run_watched(
        [*python, "raysweep.data", "prepare", "folder", str(photographs), *options, "--to", str(home)], home
    )
    prepare["images_per_s"] = round(asked.records / prepare["seconds"], 1)
    print(printed, prepare, file=sys.stderr)
    shutil.rmtree(photographs)
    epoch, printed = run_watched(
        [*python, "bench.million", "--train", "--size", str(asked.size), "--batch", str(asked.batch)], home
    )
    epoch |= json.loads(printed.splitlines()[-1])
    epoch["images_per_s"] = round(epoch["images"] / epoch["epoch_s"], 1)
    return {"prepare": prepare, "train": epoch}


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("records", 1_000_000), ("size", 64), ("workers", 1), ("batch", 256)):
        arguments.add_argument(f"--{name}", type=int, default=default)
    arguments.add_argument("--folder", help="for 20 GB of temporary files; default the system's temporary folder")
    arguments.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    asked = arguments.parse_args()
    if asked.train:
        print(json.dumps(train(asked.size, asked.batch)))
        return 0
    from raysweep.core.version import code_version

    load = round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory(dir=asked.folder) as root:
        phases = measure(Path(root), asked)
    within = all(phase["peak_anonymous_gb"] <= LIMIT_GB for phase in phases.values())
    line = {
        "bench": "million",
        "records": asked.records,
        "size": asked.size,
        "workers": asked.workers,
        "batch": asked.batch,
        **phases,
        "limit_gb": LIMIT_GB,
        "within_limit": within,
        "images_gb": round(asked.records * 3 * asked.size**2 / 1e9, 2),
        "cpus": os.cpu_count(),
        "device": platform.machine(),
        "load_before": load,
        "code_version": code_version(),
    }
    print(json.dumps(line))
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
