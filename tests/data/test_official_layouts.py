"""Every official layout with real JPEG, PNG, MP4 and AVI files: from the folder as distributed to faces to train on."""

import numpy as np
import pytest
import torch
from PIL import Image

from raysweep.cli.data import main
from raysweep.config.sections import Data
from raysweep.data.dataset import TEST, TRAIN
from raysweep.data.load import load_data
from tests.data.prepare.test_prepare_video import film, shade
from tests.data.readers import trees

SIDE = 160


def landmarks():
    """68 points of a face that looks ahead: eye corners and mouth corners where they belong, the rest between them."""
    points = np.full((68, 2), (80.0, 85.0))
    points[36:42], points[42:48] = (55, 65), (105, 65)
    points[36, 0], points[39, 0], points[42, 0], points[45, 0] = 45, 65, 95, 115
    points[48], points[54] = (60, 115), (100, 115)
    return points.flatten().tolist()


def photograph(path, grey):
    """Noise that no JPEG file keeps, on a grey that it does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(grey).normal(grey, 4, (SIDE, SIDE, 3)).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)


def affectnet_csv(root):
    text = ";".join(map(str, landmarks()))
    rows = [trees.affectnet_row(f"{i}/a.jpg", i, landmarks=text, box=(20, 20, 120, 120)) for i in range(8)]
    trees.affectnet_csv(root, *rows)
    for i in range(8):
        photograph(root / "Manually_Annotated_Images" / f"{i}/a.jpg", 60 + 10 * i)
    photograph(root / "Manually_Annotated_Images" / "9/v.jpg", 200)
    return [60 + 10 * i for i in range(8)] + [200]


def affectnet_npy(root):
    for part, count in (("train_set", 8), ("val_set", 1)):
        for i in range(count):
            trees.annotate(root, part, str(i), trees.npy_values(code=str(i), landmarks=landmarks()), image=False)
            photograph(root / part / "images" / f"{i}.jpg", 60 + 10 * i)
    return [60 + 10 * i for i in range(8)] + [60]


def affwild(root):
    pytest.importorskip("av")
    trees.affwild(root)
    trees.write_lines(root / "annotations" / "train" / "valence" / "2.txt", *["-0.6"] * 3)
    for path in (root / "videos" / "train").iterdir():
        film(path, frames=5, size=(SIDE, SIDE))
    for path in (root / "bboxes" / "train").glob("*/*.pts"):
        trees.write_lines(path, *trees.pts(10, 40, SIDE // 2 - 20, SIDE // 2))  # inside the bright half
    return [shade(frame) for frame in range(3)] * 5


def morphset(root):
    trees.morphset(root)
    greys = []
    for row in (root / "morphset.csv").read_text().splitlines()[1:]:
        greys.append(60 + len(greys))
        photograph(root / row.split(",")[0], greys[-1])
    return greys


def rafdb(root):
    trees.rafdb(root)
    greys = []
    for row in (root / "EmoLabel" / "list_patition_label.txt").read_text().split()[::2]:
        greys.append(60 + 10 * len(greys))
        photograph(root / "Image" / "aligned" / row.replace(".jpg", "_aligned.jpg"), greys[-1])
    return greys


def caers(root):
    trees.caers(root)
    for i, path in enumerate(sorted(root.glob("*/*/*.png"))):
        photograph(path, 60 + 10 * i)
    return [60 + 10 * i for i in range(14)]


def fer2013(root):
    trees.fer2013(root)
    return [np.array(trees.PIXELS.split(), float).mean()] * 21


def ferplus(root):
    rows = [trees.votes_row(f"fer{i:07}.png", happiness=9, neutral=1) for i in range(3)]
    rows.append(trees.votes_row("fer0000003.png", fear=10))
    trees.ferplus(root, *rows)
    for i in range(4):
        photograph(root / "data" / "FER2013Train" / f"fer{i:07}.png", 60 + 10 * i)
    return [60 + 10 * i for i in range(4)]


def affectnet(data):
    assert data.labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 0]
    assert data.splits.tolist() == [TRAIN] * 8 + [TEST]
    assert torch.allclose(data.va, torch.tensor([0.5, 0.25]))


def by_video(data):
    assert data.va[:, 1].tolist() == pytest.approx([0.1] * 15)
    assert sorted(data.va[:, 0].tolist()) == pytest.approx([-0.6] * 3 + [0.6] * 12)
    assert [data.classes[k] for k in data.labels.unique()] == ["happiness", "sadness"]
    videos = {int(s): set(data.splits[data.subjects == s].tolist()) for s in data.subjects.unique()}
    assert len(videos) == 5
    assert all(len(splits) == 1 for splits in videos.values())
    assert sum(splits == {TEST} for splits in videos.values()) == 1


def by_split(data):
    assert len(data.rows(TRAIN)) == len(data.rows(TEST)) == 7
    assert sorted(data.labels[data.rows(TEST)].tolist()) == list(range(7))
    assert not data.knows_va


def by_subject(data):
    assert torch.allclose(data.va, torch.tensor([0.1, -0.2]))
    assert len(data.rows(TEST)) == 14
    assert not set(data.subjects[data.rows(TEST)].tolist()) & set(data.subjects[data.rows(TRAIN)].tolist())


def by_usage(data):
    assert torch.bincount(data.splits).tolist() == [7, 7, 7]


def with_votes(data):
    votes = dict(zip(data.classes, data.votes[0].tolist(), strict=True))
    assert (votes["happiness"], votes["neutral"]) == pytest.approx((0.9, 0.1))


@pytest.mark.parametrize(
    ("reader", "build", "check"),
    [
        ("affectnet", affectnet_csv, affectnet),
        ("affectnet", affectnet_npy, affectnet),
        ("affwild", affwild, by_video),
        ("morphset", morphset, by_subject),
        ("rafdb", rafdb, by_split),
        ("caers", caers, by_split),
        ("fer2013", fer2013, by_usage),
        ("ferplus", ferplus, with_votes),
    ],
)
def test_from_the_folder_to_faces(tmp_path, monkeypatch, capsys, reader, build, check):
    monkeypatch.setenv("RAYSWEEP_DATA", str(tmp_path / "prepared"))
    greys = build(tmp_path / "raw")
    assert main(["prepare", reader, str(tmp_path / "raw"), "--size", "32", "--workers", "1"]) == 0, capsys.readouterr()
    data = load_data(Data(source=reader, image_size=32))
    means = data.images[:].float().mean((1, 2, 3))
    assert sorted(means.tolist()) == pytest.approx(sorted(greys), abs=3)
    check(data)
    assert main(["check", reader]) == 0
