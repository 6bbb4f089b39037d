"""Small data sets in every official layout, in a folder of a test."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from raysweep.data.listing import FaceRecord, Problem
from raysweep.data.readers import READERS, read_listing
from raysweep.data.readers.affectnet_csv import COLUMNS as AFFECTNET
from raysweep.data.readers.ferplus import CHOICES

POINTS = [float(i) for i in range(136)]
POINTS_TEXT = ";".join(map(str, POINTS))


def read(name, root, **options):
    """The listing, its records and its problems."""
    listing = read_listing(name, root, options)
    entries = list(listing.entries)
    assert all(isinstance(entry, (FaceRecord, Problem)) for entry in entries)
    return listing, [e for e in entries if isinstance(e, FaceRecord)], [e for e in entries if isinstance(e, Problem)]


def kinds(problems):
    return [(problem.where, problem.kind, problem.fatal) for problem in problems]


def picture(path: Path, size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (90, 120, 150)).save(path)
    return path


def write_rows(path: Path, rows, header=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([*([header] if header else []), *rows])
    return path


def write_lines(path: Path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def affectnet_row(path="1/a.jpg", code=1, valence=0.5, arousal=0.25, landmarks=POINTS_TEXT, box=(2, 3, 40, 50)):
    return [path, *box, landmarks, code, valence, arousal]


def affectnet_csv(root: Path, *rows, header=True, validation_header=False):
    """`rows` are those of training.csv; validation.csv lacks its header unless told otherwise, as it may."""
    lists = root / "Manually_Annotated_file_lists"
    write_rows(lists / "training.csv", rows or [affectnet_row()], AFFECTNET if header else None)
    write_rows(lists / "validation.csv", [affectnet_row("9/v.jpg", 0)], AFFECTNET if validation_header else None)
    for name in ("1/a.jpg", "9/v.jpg"):
        picture(root / "Manually_Annotated_Images" / name)
    return root


def annotate(root: Path, part: str, name: str, values, image=True):
    """One face of AffectNet's newer release; `values` by suffix, arrays or bytes."""
    if image:
        picture(root / part / "images" / f"{name}.jpg")
    for suffix, value in values.items():
        file = root / part / "annotations" / f"{name}_{suffix}.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(value, bytes):
            file.write_bytes(value)
        else:
            np.save(file, value)


def npy_values(code="1", valence="0.5", arousal="0.25", landmarks=POINTS):
    """Strings, as the release has them."""
    return {"exp": np.array(code), "val": np.array(valence), "aro": np.array(arousal), "lnd": np.array(landmarks)}


def affectnet_npy(root: Path):
    annotate(root, "train_set", "0", npy_values())
    annotate(root, "val_set", "0", npy_values(code="0"))
    return root


def rafdb(root: Path, *rows):
    rows = rows or [f"{split}_{i:05}.jpg {i}" for split in ("train", "test") for i in range(1, 8)]
    write_lines(root / "EmoLabel" / "list_patition_label.txt", *rows)
    picture(root / "Image" / "aligned" / "train_00001_aligned.jpg")
    return root


CAERS = ("Anger", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")


def caers(root: Path, train=CAERS, test=CAERS):
    for split, folders in (("train", train), ("test", test)):
        for folder in folders:
            picture(root / split / folder / "0001.png")
    return root


PIXELS = " ".join(str(i % 256) for i in range(48 * 48))


def fer2013(root: Path, *rows):
    rows = rows or [(i % 7, PIXELS, ("Training", "PublicTest", "PrivateTest")[i // 7]) for i in range(21)]
    write_rows(root / "fer2013.csv", rows, ("emotion", "pixels", "Usage"))
    return root


def votes_row(name="fer0000000.png", usage="Training", **votes):
    return [usage, name, *(votes.get(choice, 0) for choice in CHOICES)]


def ferplus(root: Path, *rows):
    """Votes and PNG files."""
    write_rows(root / "fer2013new.csv", rows or [votes_row(happiness=9, neutral=1)], ("Usage", "Image name", *CHOICES))
    for folder in ("FER2013Train", "FER2013Valid", "FER2013Test"):
        (root / "data" / folder).mkdir(parents=True)
    picture(root / "data" / "FER2013Train" / "fer0000000.png")
    return root


def pts(left=10, top=20, right=110, bottom=140):
    corners = (left, top), (left, bottom), (right, bottom), (right, top)
    return ["version: 1", "n_points: 4", "{", *(f"{x} {y}" for x, y in corners), "}"]


def affwild(root: Path, videos=("1", "2", "3", "10", "11"), frames=3, boxes=True, part="train"):
    for name in videos:
        write_lines(root / "annotations" / part / "valence" / f"{name}.txt", *["0.6"] * frames)
        write_lines(root / "annotations" / part / "arousal" / f"{name}.txt", *["0.1"] * frames)
        write_lines(root / "videos" / part / f"{name}.{'avi' if name == '10' else 'mp4'}", "a video")
        for frame in range(1, frames + 1 if boxes else 0):
            write_lines(root / "bboxes" / part / name / f"{frame}.pts", *pts())
    return root


MORPHSET = ("path", "expression", "valence", "arousal", "subject")


def morphset(root: Path, *rows, header=MORPHSET):
    names = ("neutral", "Happy", "sad", "surprise", "fear", "disgust", "angry")
    some = [(f"{s}/{n}.png", n, 0.1, -0.2, f"s{s}") for s in range(10) for n in names]
    write_rows(root / "morphset.csv", rows or some, header)
    return root


def class_folder(root: Path):
    for name in ("train/Happy/1.png", "train/calm/1.png", "test/Happy/2.jpg"):
        picture(root / name)
    return root


def photographs(root: Path, *rows, header=("path", "expression", "valence", "arousal")):
    some = [("a.png", "Happy", 0.5, 0.1), ("b.png", "fear", "", "")]
    return write_rows(root / "photographs.csv", rows or some, header)


TREES = {
    "affectnet": affectnet_csv,
    "affwild": affwild,
    "morphset": morphset,
    "rafdb": rafdb,
    "caers": caers,
    "fer2013": fer2013,
    "ferplus": ferplus,
    "folder": class_folder,
    "csv": photographs,
}
assert TREES.keys() == READERS.keys()
