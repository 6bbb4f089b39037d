"""Faces that nobody has boxed: found by dlib in scenes into which built-in faces were put at known places."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from raysweep.cli.data import main
from raysweep.core.errors import UserError
from raysweep.data.listing import FaceRecord
from raysweep.data.prepare.crop import Crop
from raysweep.data.prepare.detect import describe_detector, needs_detection, with_face
from raysweep.data.prepare.manifest import IMAGES, LABELS, MANIFEST, PROBLEMS
from raysweep.data.prepare.parquet_rows import problem_rows
from raysweep.data.prepare.reader import read_prepared
from raysweep.data.prepare.stats import describe_manifest
from raysweep.data.prepare.writer import prepare_listing
from raysweep.data.synthetic import build_faces
from tests.data.prepare.listings import listing
from tests.data.readers.trees import caers


def test_without_the_package_it_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "dlib", None)
    with pytest.raises(UserError, match=r"pip install 'raysweep\[detect\]'"):
        describe_detector()
    caers(tmp_path / "CAER-S")
    assert main(["prepare", "caers", str(tmp_path / "CAER-S"), "--detect", "--to", str(tmp_path / "out")]) == 2
    assert "raysweep[detect]" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@cache
def portrait(number: int) -> Image.Image:
    """A built-in face that fills most of 128 pixels."""
    faces = build_faces(size=128, train=8, validation=0, test=8, seed=0)
    return Image.fromarray(faces.images[number].numpy().transpose(1, 2, 0))


def scene(*faces: tuple[int, int, int], size: tuple[int, int] = (400, 300)) -> Image.Image:
    """A wall with portraits: left, top and side of each."""
    wall = np.random.default_rng(7).normal(120, 6, (size[1], size[0], 3)).clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(wall)
    for number, (left, top, side) in enumerate(faces):
        picture.paste(portrait(number).resize((side, side), Image.Resampling.BICUBIC), (left, top))
    return picture


def prepare(root: Path, target: Path, pictures: dict[str, Image.Image], detector: str | None = None, **options):
    """One record an image, without box and landmarks, its `where` a row."""
    records = []
    for row, (name, picture) in enumerate(pictures.items(), 2):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(root / name, **options)
        records.append(FaceRecord(root / name, "neutral", f"list.csv:{row}"))
    crop = Crop(64, 0.1, describe_detector() if detector is None else detector)
    return prepare_listing(listing(root, records), target, crop, min_classes=1)


def box_of(picture: Image.Image):
    from raysweep.data.prepare.decode import Photo

    return with_face(FaceRecord(Path("a"), "", ""), Photo(picture, *picture.size)).box


@pytest.fixture(autouse=True)
def _needs_dlib(request):
    if "package" not in request.node.name:
        pytest.importorskip("dlib")


@pytest.mark.parametrize(("left", "top", "side"), [(30, 40, 128), (230, 120, 128), (150, 20, 200), (300, 200, 90)])
def test_the_box_lies_on_the_face(left, top, side):
    x, y, width, height = box_of(scene((left, top, side)))
    assert width == pytest.approx(height, rel=0.05)
    assert 0.4 * side < width < 1.0 * side
    assert x + width / 2 == pytest.approx(left + side / 2, abs=0.15 * side)
    assert y + height / 2 == pytest.approx(top + side / 2, abs=0.25 * side)


def test_of_several_faces_the_largest_is_taken():
    small, large = (20, 90, 96), (200, 60, 180)
    for faces in ((small, large), (large, small)):
        x, _, width, _ = box_of(scene(*faces))
        assert 200 < x + width / 2 < 380
        assert width > 72


def test_the_crop_is_that_of_a_box(tmp_path):
    """Cut out as if the list had named the box that is found, with the same margin."""
    picture = scene((230, 120, 128))
    found = prepare(tmp_path, tmp_path / "found", {"a.png": picture})
    named = FaceRecord(tmp_path / "a.png", "neutral", "list.csv:2", box=box_of(picture))
    prepare_listing(listing(tmp_path, [named]), tmp_path / "named", Crop(64, 0.1), min_classes=1)
    images = [np.load(tmp_path / name / IMAGES) for name in ("found", "named")]
    assert np.array_equal(*images)
    middle = prepare(tmp_path, tmp_path / "middle", {"a.png": picture}, detector="")
    assert not np.array_equal(np.load(tmp_path / "middle" / IMAGES), images[0])
    assert len({found.fingerprint, middle.fingerprint}) == 2


@pytest.mark.parametrize("mark", [1, 3, 6, 8])
def test_photographs_that_lie_on_their_side(tmp_path, mark):
    turns = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    upright = scene((230, 120, 128))
    exif = Image.Exif()
    exif[0x0112] = mark
    lying = upright.transpose(turns[mark]) if mark in turns else upright
    prepare(tmp_path / "a", tmp_path / "upright", {"a.png": upright})
    prepare(tmp_path / "b", tmp_path / "lying", {"a.png": lying}, exif=exif)
    assert np.array_equal(np.load(tmp_path / "lying" / IMAGES), np.load(tmp_path / "upright" / IMAGES))


def test_large_jpegs_and_pictures_in_grey(tmp_path):
    """The face is a tenth of the longer side in one of them; JPEGs are not decoded smaller before it is found."""
    pictures = {"grey.png": scene((150, 80, 128)).convert("L"), "large.jpg": scene((1500, 700, 400), size=(2400, 1800))}
    manifest = prepare(tmp_path, tmp_path / "set", pictures)
    assert (manifest.images, manifest.problems) == (2, {})
    for image, number in zip(np.load(tmp_path / "set" / IMAGES), (0, 0), strict=True):
        face = np.asarray(portrait(number).convert("L")).astype(float)
        assert image.mean() == pytest.approx(face[24:110, 24:104].mean(), abs=25)  # a face, not the wall around it
        assert image.std() > 15


def test_photographs_without_a_face_are_left_out_and_counted(tmp_path):
    """However many they are: that is the detector's doing, not a broken list."""
    pictures = {
        "a.png": scene((30, 40, 128)),
        "ü/wall.png": scene(),
        "tiny.png": scene(size=(3, 500)),
        "b.png": scene(),
    }
    manifest = prepare(tmp_path, tmp_path / "set", pictures)
    assert (manifest.images, manifest.left_out, manifest.problems) == (1, 3, {"no face found": 3})
    rows = list(problem_rows(tmp_path / "set" / PROBLEMS))
    assert [(row["where"], row["path"], row["kind"], row["fatal"]) for row in rows] == [
        ("list.csv:3", "ü/wall.png", "no face found", "yes"),
        ("list.csv:4", "tiny.png", "no face found", "yes"),
        ("list.csv:5", "b.png", "no face found", "yes"),
    ]
    assert rows[0]["detail"] == "none from 40 of 400 x 300 pixels on"
    assert manifest.detector == describe_detector()
    assert "largest face, if any, by dlib" in manifest.cropped
    (note,) = manifest.notes
    assert note.endswith("3 images in which it finds none are left out")
    assert read_prepared(tmp_path / "set", "small").notes == (note,)
    lines = describe_manifest(manifest, "place/small/64px")
    assert "  no face found: 3" in lines
    assert any(line.startswith("faces: ") and "dlib" in line for line in lines)


def test_nothing_is_looked_for_where_the_list_says_where_it_is(tmp_path):
    picture = scene(size=(60, 50))
    picture.save(tmp_path / "a.png")
    boxed = FaceRecord(tmp_path / "a.png", "neutral", "1", box=(5, 5, 30, 30))
    marked = FaceRecord(tmp_path / "a.png", "neutral", "2", landmarks=(20, 20, 40, 20, 30, 30, 22, 40, 38, 40))
    listed = FaceRecord(tmp_path / "a.csv", "neutral", "3", pixels=bytes(48 * 48))
    assert not any(map(needs_detection, (boxed, marked, listed)))
    manifest = prepare_listing(
        listing(tmp_path, [boxed, marked, listed]), tmp_path / "set", Crop(64, 0.1, describe_detector()), min_classes=1
    )
    assert (manifest.images, manifest.problems) == (3, {})


def test_another_detector_makes_another_set(tmp_path):
    pictures = {"a.png": scene((30, 40, 128))}
    first = prepare(tmp_path, tmp_path / "set", pictures)
    assert prepare(tmp_path, tmp_path / "set", pictures) == first
    with pytest.raises(UserError, match=r"with other detector .*choose --as"):
        prepare(tmp_path, tmp_path / "set", pictures, detector="")
    other = prepare(tmp_path, tmp_path / "other", pictures, detector="dlib of another version")
    assert other.fingerprint != first.fingerprint
    assert (tmp_path / "other" / IMAGES).read_bytes() == (tmp_path / "set" / IMAGES).read_bytes()


def test_caers_from_the_command_line(tmp_path, capsys):
    """Two processes; scenes of every expression, one of them without a face."""
    root = tmp_path / "CAER-S"
    caers(root)
    images = sorted(root.rglob("*.png"))
    for image in images:
        scene((150, 80, 128)).save(image)
    scene().save(images[-1])
    command = [
        "prepare",
        "caers",
        str(root),
        "--size",
        "48",
        "--detect",
        "--to",
        str(tmp_path / "out"),
        "--workers",
        "2",
    ]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "caers: 13 images" in said
    assert "left out: 1 row;" in said
    manifest = json.loads((tmp_path / "out/caers/48px" / MANIFEST).read_text())
    assert manifest["problems"] == {"no face found": 1}
    paths = pq.read_table(tmp_path / "out/caers/48px" / LABELS)["path"].to_pylist()
    assert sorted(paths) == [image.relative_to(root).as_posix() for image in images[:-1]]
