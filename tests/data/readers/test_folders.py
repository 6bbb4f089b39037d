"""Folders of photographs as people have them: every image is read, named with its folder and count, or refused."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from raysweep.core.errors import UserError
from raysweep.data.image_types import FORMATS, IMAGE_TYPES
from raysweep.data.listing import split_of
from raysweep.data.readers import recognise
from raysweep.data.readers.folders import walk
from tests.data.readers.trees import picture, read

NAMES = ("happy", "sad", "angry")


def pictures(root: Path, *folders: str, count: int = 2, kind: str = "png") -> Path:
    for folder in folders:
        for i in range(count):
            picture(root / folder / f"{i}.{kind}")
    return root


def below(*parts: str) -> list[str]:
    return [f"{part}/{name}" for part in parts for name in NAMES]


def splits_of(root: Path, **options: str) -> dict[str, int]:
    listing, records, problems = read("folder", root, **options)
    assert not problems
    assert listing.total == len(records)
    found: dict[str, int] = {}
    for record in records:
        found[record.split] = found.get(record.split, 0) + 1
    return found


@pytest.mark.parametrize(
    ("words", "splits"),
    [
        (("Training", "PublicTest", "PrivateTest"), {"train": 6, "validation": 6, "test": 6}),
        (("train", "testing"), {"train": 6, "test": 6}),
        (("train", "dev", "test"), {"train": 6, "validation": 6, "test": 6}),
        (("TRAIN", "Valid", "EVAL"), {"train": 6, "validation": 6, "test": 6}),
        (("train_set", "val_set", "test-set"), {"train": 6, "validation": 6, "test": 6}),
        (("data/Training", "data/Evaluation"), {"train": 6, "test": 6}),
    ],
)
def test_splits_by_their_usual_names(tmp_path, words, splits):
    assert splits_of(pictures(tmp_path, *below(*words))) == splits


def test_expressions_above_their_splits(tmp_path):
    pictures(tmp_path, *(f"{name}/{split}" for name in NAMES for split in ("train", "test")))
    assert splits_of(tmp_path) == {"train": 6, "test": 6}


@pytest.mark.parametrize("stray", ["happy", "other/sad"])
def test_expressions_in_no_split_beside_some_in_one_are_refused(tmp_path, stray):
    pictures(tmp_path, *below("train", "test"), stray)
    with pytest.raises(UserError, match=r"in no split|at one depth"):
        read("folder", tmp_path)


def test_two_splits_in_one_path_are_refused(tmp_path):
    pictures(tmp_path, *below("train"), "test/happy/val")
    with pytest.raises(UserError, match="test/happy/val/: two splits in one path"):
        read("folder", tmp_path)


def test_expressions_at_different_depths_are_refused(tmp_path):
    pictures(tmp_path, *NAMES, "thumbnails/happy")
    with pytest.raises(UserError, match=r"at one depth, but there are angry/, thumbnails/happy/"):
        read("folder", tmp_path)


@pytest.mark.parametrize("unknown", ["holdout", "part2", "final"])
def test_a_split_under_a_name_that_nobody_knows_is_asked_about(tmp_path, unknown):
    pictures(tmp_path, *below("train", "val", unknown))
    with pytest.raises(UserError, match=rf"train/ is read as a split; if {unknown}/ is one, too, name it train/"):
        read("folder", tmp_path)


@pytest.mark.parametrize("kind", ["gif", "tif", "tiff", "pgm", "jfif", "webp", "bmp", "JPG", "ppm", "jpe", "dib"])
def test_every_format_of_the_decoder_is_read(tmp_path, kind):
    pictures(tmp_path, "happy", "sad")
    pictures(tmp_path, "angry", kind=kind)
    listing, records, _ = read("folder", tmp_path)
    assert listing.classes == ("happiness", "sadness", "anger")
    assert len(records) == 6


def test_the_endings_are_those_of_the_formats():
    Image.init()
    endings = {ending for ending, name in Image.registered_extensions().items() if name in FORMATS}
    assert endings == set(IMAGE_TYPES)


@pytest.mark.parametrize("folder", ["happy/S010", "happy/a/b/c", "S010/happy", "images/S010/happy"])
def test_folders_around_expressions_are_read_through(tmp_path, folder):
    pictures(tmp_path, *(folder.replace("happy", name) for name in NAMES))
    listing, records, _ = read("folder", tmp_path)
    assert listing.classes == ("happiness", "sadness", "anger")
    assert len(records) == 6
    assert "subjects=folder" in listing.remarks[0]


@pytest.mark.parametrize("order", ["{name}/{subject}", "{subject}/{name}", "train/{subject}/{name}"])
def test_folders_around_expressions_are_subjects_when_asked(tmp_path, order):
    pictures(tmp_path, *(order.format(name=name, subject=s) for name in NAMES for s in ("S010", "S011")))
    listing, records, _ = read("folder", tmp_path, subjects="folder")
    assert sorted(record.subject for record in records) == ["S010"] * 6 + ["S011"] * 6
    assert listing.remarks == ()
    assert listing.options == {"subjects": "folder"}


def test_what_is_not_read_is_named_with_folder_and_count(tmp_path):
    pictures(tmp_path, *below("train", "test"))
    pictures(tmp_path, ".", "docs", count=3)
    pictures(tmp_path, "train", count=5)
    for name in ("a.avif", "b.heic", "no_ending", "list.csv", "README.md"):
        (tmp_path / "train" / "happy" / name).write_bytes(b"x")
    listing, records, _ = read("folder", tmp_path)
    assert len(records) == 12
    assert listing.remarks == (
        "not read, for no folder says their expression: 3 images in ./, 3 images in docs/, 5 images in train/",
        "files that are not read, for they are no images by their names: 1 .avif (the first in train/happy/), "
        "1 .heic (the first in train/happy/), 1 without an ending (the first in train/happy/)",
    )


def test_hidden_files_and_folders_are_never_data(tmp_path):
    pictures(tmp_path, *NAMES)
    pictures(tmp_path, ".ipynb_checkpoints", "__MACOSX/happy", "happy/.thumbnails", "@eaDir", "sad/@eaDir")
    for name in ("._0.png", "Thumbs.db", "desktop.ini"):
        (tmp_path / "sad" / name).write_bytes(b"\0\5\x16\7")
    listing, records, problems = read("folder", tmp_path)
    assert (len(records), problems, listing.remarks) == (6, [], ())


@pytest.mark.parametrize("folders", [["image"], ["S010", "S011"], ["aligned", "original"], ["0001", "1", "00"]])
def test_folders_that_name_no_expression_are_refused(tmp_path, folders):
    pictures(tmp_path, *folders)
    with pytest.raises(UserError, match=r"names one of the eight|every folder is a number"):
        read("folder", tmp_path)


def test_a_list_beside_folders_is_hinted_at(tmp_path):
    pictures(tmp_path, "images")
    (tmp_path / "labels.csv").write_text("path,expression\nimages/0.png,happy\n")
    with pytest.raises(UserError, match=r"or does labels\.csv list them\? Then give that file"):
        read("folder", tmp_path)


def test_links_are_followed_but_not_for_ever(tmp_path):
    pictures(tmp_path / "elsewhere", "0", count=3)
    pictures(tmp_path / "set", *NAMES)
    (tmp_path / "set" / "fear").symlink_to(tmp_path / "elsewhere" / "0")
    (tmp_path / "set" / "happy" / "loop").symlink_to(tmp_path / "set")
    _, records, _ = read("folder", tmp_path / "set")
    assert sum(record.expression == "fear" for record in records) == 3
    assert len(records) == 9


def test_a_folder_of_lists_is_no_class_folder(tmp_path):
    pictures(tmp_path, ".")
    assert recognise(tmp_path) is None
    pictures(tmp_path, "happy")
    assert recognise(tmp_path) == "folder"


@pytest.mark.parametrize(
    ("words", "split"),
    [
        ("train Training TRAIN trn train_set trainset Training-Images", "train"),
        ("val valid Validation dev DEV PublicTest val_set development public_test", "validation"),
        ("test Testing eval evaluation PrivateTest test_set tst Private-Test", "test"),
    ],
)
def test_words_for_splits(words, split):
    assert {split_of(word) for word in words.split()} == {split}


def test_words_that_are_no_splits():
    assert {split_of(word) for word in ("happy", "0", "", "train2", "contest", "trainer", "images", "set")} == {None}


parts = st.sampled_from(
    ["train", "Test", "dev", "happy", "SAD", "fear", "S01", "aligned", ".cache", "__MACOSX", "calm"]
)
files = st.sampled_from(["a.png", "b.JPG", "c.tif", "._d.png", "e.avif", "f.txt"])


@given(st.lists(st.tuples(st.lists(parts, max_size=3), files), min_size=1, max_size=12))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_visible_image_is_read_or_named_or_the_folder_is_refused(tmp_path_factory, tree):
    root = tmp_path_factory.mktemp("tree")
    for folders, name in tree:
        path = root.joinpath(*folders, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    visible = {
        folder / name
        for folder, names in walk(root)
        for name in names
        if os.path.splitext(name)[1].lower() in IMAGE_TYPES
    }
    try:
        listing, records, problems = read("folder", root)
    except UserError:
        return
    assert not problems
    unread = visible - {record.path for record in records}
    named = sum(
        int(word)
        for word in " ".join(r for r in listing.remarks if r.startswith("not read, for")).split()
        if word.isdigit()
    )
    assert named == len(unread)
    for record in records:
        words = record.path.relative_to(root).parts
        assert record.split == next((s for word in words if (s := split_of(word))), "")
