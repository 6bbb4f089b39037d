"""Small data sets of a user's own, as PNG files with a CSV list: every picture is another one."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

MEANS = {"neutral": (0.0, 0.0), "happiness": (0.7, 0.1), "fear": (-0.1, 0.8), "surprise": (0.2, 0.7)}
"""Where the VA of a class lie; of others (-0.5, 0.4)."""


def picture(seed: int, size: int = 32) -> Image.Image:
    """Coarse colours, the same ones for the same seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)


def write_set(root: Path, name: str, parts: Mapping[str, Mapping[str, int]], seed: int = 0, va: bool = False) -> Path:
    """`parts`: by split, how many images of every class. Returns the CSV; images lie in a folder of that name."""
    generator = np.random.default_rng(seed)
    (root / name).mkdir(parents=True, exist_ok=True)
    rows, number = [], 0
    for split, classes in parts.items():
        for expression, count in classes.items():
            for _ in range(count):
                file = f"{name}/{number:04}.png"
                picture(10_000 * seed + number).save(root / file)
                point = generator.normal(MEANS.get(expression, (-0.5, 0.4)), 0.1).clip(-1, 1)
                rows.append([file, expression, *(f"{value:.4f}" for value in point), split])
                number += 1
    return write_list(root / f"{name}.csv", rows, va)


def write_list(path: Path, rows: Sequence[Sequence[str]], va: bool = False) -> Path:
    """A CSV of rows [path, expression, valence, arousal, split]; without VA their columns are left out."""
    columns = ["path", "expression", "valence", "arousal", "split"]
    chosen = range(5) if va else (0, 1, 4)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([columns[i] for i in chosen])
        writer.writerows([[row[i] for i in chosen] for row in rows])
    return path


def read_list(path: Path) -> list[list[str]]:
    """The rows of a list, each as [path, expression, valence, arousal, split]."""
    with path.open(newline="") as stream:
        return [
            [row["path"], row["expression"], row.get("valence", ""), row.get("arousal", ""), row["split"]]
            for row in csv.DictReader(stream)
        ]
