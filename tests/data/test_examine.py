"""`python -m raysweep.data examine` on a small class folder with a twin across splits."""

import csv

import numpy as np
import pytest
from PIL import Image

from raysweep.cli.data import main


@pytest.fixture
def faces(tmp_path):
    """Two classes, train and test; one training image stands in test, too."""
    draw = np.random.default_rng(0)
    for split, count in (("train", 6), ("test", 3)):
        for expression in ("happy", "sad"):
            folder = tmp_path / "faces" / split / expression
            folder.mkdir(parents=True)
            for number in range(count):
                coarse = Image.fromarray(draw.integers(0, 256, (6, 6, 3), dtype=np.uint8))
                coarse.resize((48, 48), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    copy = tmp_path / "faces" / "train" / "happy" / "2.png"
    (tmp_path / "faces" / "test" / "sad" / "copy.png").write_bytes(copy.read_bytes())
    return tmp_path / "faces"


@pytest.mark.parametrize("how", [[], ["--exact"]])
def test_twins_across_splits_are_found_and_written(faces, tmp_path, capsys, how):
    out = tmp_path / "out"
    assert main(["examine", str(faces), "--out", str(out), "--store", str(tmp_path / "store"), *how]) == 0
    said = capsys.readouterr().out
    assert "1 group in more than one split; 1 test image among them, 1 with a twin in training" in said
    assert ("near ones included" in said) == (not how)
    assert "to leave out so that no picture is in two splits: 1 of train" in said
    with (out / "faces-quality.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    found = sorted((row["kind"], row["split"], row["label"], row["drop"]) for row in rows)
    assert found == [("exact twins", "test", "sadness", ""), ("exact twins", "train", "happiness", "yes")]
    assert (out / "faces-twins.png").stat().st_size > 1000
    assert not (out / "faces-contradictions.png").exists()  # no valence and arousal


def test_mistakes_are_said_in_a_line(faces, tmp_path, capsys):
    parts = ["--store", str(tmp_path / "store"), "--out", str(tmp_path / "out")]
    assert main(["examine", str(faces), "--threshold", "1.5", *parts]) == 2
    assert "`0 < --threshold <= 1` must hold, but got 1.5" in capsys.readouterr().err
    assert main(["examine", "nothing", *parts]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "out").exists()
