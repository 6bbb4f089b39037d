"""Photographs from folders and CSV files: what is read, what is refused, and with which words."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from raysweep.config.sections import Data, Selection
from raysweep.core.errors import UserError
from raysweep.data.cache import load_packed, save_packed
from raysweep.data.dataset import TEST, TRAIN, VALIDATION
from raysweep.data.expressions import canonical_expression
from raysweep.data.load import load_data
from raysweep.data.splits import _held_out_per_class, _share_of_classes, for_protocol, subset, with_test_split
from tests.conftest import make_squares
from tests.data.reference import central_square


def picture(path: Path, value: int, size=(40, 60)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size[1], size[0], 3), value, dtype=np.uint8)).save(path)


def folder_of(root: Path, splits=("train", "test"), count=10):
    for split in splits:
        for name, value in (("Happy", 200), ("neutral", 100), ("Sad", 30)):
            for i in range(count):
                picture(root / split / name / f"{i}.png", value + i)
    return root


def load(path, **fields):
    return load_data(Data(source=str(path), image_size=32, **fields))


def test_a_class_folder(tmp_path):
    data = load(folder_of(tmp_path / "faces"))
    assert data.classes == ("neutral", "happiness", "sadness")
    assert [len(data.rows(split)) for split in (TRAIN, VALIDATION, TEST)] == [30, 0, 30]
    assert data.images.shape == (60, 3, 32, 32)
    for k, value in enumerate((100, 200, 30)):
        assert int(data.images[data.labels == k].float().mean()) in range(value, value + 10)
    assert not data.va.isfinite().any()


def test_a_folder_without_splits_gets_a_fixed_test_part(tmp_path):
    data = load(folder_of(tmp_path / "faces", splits=("",)))
    assert len(data.rows(TEST)) == 6
    assert "no test split came with the data" in data.notes[0]
    assert torch.bincount(data.labels[data.rows(TEST)]).tolist() == [2, 2, 2]


def csv_of(root: Path, header: str, *rows: str):
    for i in range(8):
        picture(root / f"{i}.png", 20 * i + 40)
    table = root / "faces.csv"
    table.write_text("\n".join([header, *rows]) + "\n")
    return table


def test_a_csv_with_everything(tmp_path):
    rows = [
        f"{i}.png,{'fear' if i % 2 else 'Angry'},0.{i},-0.5,s{i // 2},{'test' if i > 5 else 'train'}" for i in range(8)
    ]
    rows[0] = "0.png,Angry,-2,-2,s0,train"
    table = csv_of(tmp_path, "# derived VA, no claim\npath,expression,valence,arousal,subject,split", *rows)
    data = load(table)
    assert data.classes == ("fear", "anger")
    assert data.notes == ("derived VA, no claim",)
    assert data.va[0].isnan().all()
    assert data.va[3].tolist() == pytest.approx([0.3, -0.5])
    assert data.subjects.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert data.splits.tolist() == [TRAIN] * 6 + [TEST] * 2


@pytest.mark.parametrize(
    ("header", "row", "words"),
    [
        ("path,mood", "0.png,fear", "column 'expression' is missing"),
        ("path,expression,valense,arousal", "0.png,fear,0,0", "did you mean 'valence'"),
        ("path,expression,valence", "0.png,fear,0", "needed together"),
        ("path,expression,valence,arousal", "0.png,fear,1.5,0", "faces.csv:2: VA out of range: `-1 <= valence <= 1`"),
        ("path,expression,valence,arousal", "0.png,fear,x,0", "got 'x'"),
        ("path,expression", "0.png,", "faces.csv:2: bad row: path and expression must not be empty"),
        ("path,expression,split", "0.png,fear,trian", "`split` must be train, validation or test"),
        ("path,expression", "none.png,fear", "at most 5% of the rows may be bad"),
        ("path,expression", "0.png,fear", "at least two expressions"),
        ("path,expression", "0.png,fear,0", "faces.csv:2: bad row: a row needs 2 values, one a column, but has 3"),
        ("", "", "has no rows"),
    ],
)
def test_a_bad_csv_says_file_row_and_rule(tmp_path, header, row, words):
    with pytest.raises(UserError) as error:
        load(csv_of(tmp_path, header, row))
    assert words in str(error.value)


def test_few_bad_rows_are_listed(tmp_path):
    rows = [f"{i}.png,{'fear' if i % 2 else 'anger'},0.1,0.1" for i in range(40)]
    for i in range(8, 40):
        picture(tmp_path / f"{i}.png", 2 * i)
    data = load(csv_of(tmp_path, " path , expression,valence,arousal", *rows, "0.png,fear,7,0"))
    assert len(data) == 40
    rule = "`-1 <= valence <= 1` must hold (or -2 for missing), but got '7'"
    assert data.info.bad_rows == (f"faces.csv:42: VA out of range: {rule}",)
    assert "1 of 41 rows or images could not be used and is left out (VA out of range 1)" in data.notes


def test_a_file_in_another_encoding(tmp_path):
    (tmp_path / "faces.csv").write_bytes("path,expression\n0.png,dégoût\n".encode("latin-1"))
    with pytest.raises(UserError, match="byte 7 of the row is not in UTF-8"):
        load(tmp_path / "faces.csv")


def test_a_photograph_that_lies_on_its_side_is_turned(tmp_path):
    pixels = np.zeros((40, 40, 3), dtype=np.uint8)
    pixels[:20] = 255  # bright above
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise by a quarter
    Image.fromarray(pixels).save(tmp_path / "side.jpg", exif=exif)
    upright = central_square(tmp_path / "side.jpg", 16)
    assert upright[:, :, 10:].mean() > 200 > 55 > upright[:, :, :6].mean()


def test_subjects_never_straddle_splits_even_when_some_are_unknown():
    data = make_squares(400)
    subjects = data.subjects.clone()
    subjects[::50] = -1
    data = with_test_split(replace(data, subjects=subjects, splits=torch.zeros(400, dtype=torch.int64)))
    split = for_protocol(data, Selection(), seed=0)
    assert "by subject" in split.notes[0]
    sets = [set(split.subjects[split.rows(s)].tolist()) - {-1} for s in (TRAIN, VALIDATION, TEST)]
    assert all(sets)
    assert not sets[0] & sets[1]
    assert not sets[0] & sets[2]
    assert not sets[1] & sets[2]


@pytest.mark.parametrize(
    ("subjects", "splits", "said"),
    [
        ([0, 1, 2, 2], [TRAIN, TRAIN, TEST, TEST], None),
        ([0, 1, 1, 2], [TRAIN, TRAIN, TEST, TEST], "1 of 2 (1 of 2 test images)"),
        ([0, 1, 1, 0], [TRAIN, VALIDATION, TEST, TEST], "2 of 2 (2 of 2 test images)"),
        ([-1, -1, -1, -1], [TRAIN, TRAIN, TEST, TEST], None),  # nobody is known to be anybody
        ([-1, 1, -1, 1], [TRAIN, TRAIN, TEST, TEST], "1 of 1 (1 of 2 test images)"),
    ],
)
def test_people_of_the_test_split_who_are_trained_on_are_counted(subjects, splits, said):
    data = make_squares(4)
    data = replace(data, subjects=torch.tensor(subjects), splits=torch.tensor(splits), notes=("a note",))
    found = with_test_split(data).notes
    assert found[0] == "a note"
    assert [note.split(": ", 1)[1].split(";")[0] for note in found[1:]] == ([said] if said else [])


def test_holding_out_subjects_needs_two():
    data = make_squares(40)
    with pytest.raises(UserError, match="needs at least two, but there is one"):
        for_protocol(replace(data, subjects=torch.zeros(40, dtype=torch.int64)), Selection(), seed=0)
    with pytest.raises(UserError, match="would split subjects"):
        for_protocol(data, Selection(validation_per_class=2), seed=0)


def test_few_broken_pictures_are_listed_many_refused(tmp_path):
    root = folder_of(tmp_path / "faces", count=12)
    (root / "train" / "Sad" / "0.png").write_bytes(b"not a picture")
    data = load(root)
    assert len(data) == 71
    assert data.info.problems == ("image unreadable: 1",)
    assert data.info.bad_rows[0].startswith("train/Sad/0.png: image unreadable")
    for i in range(8):
        (root / "train" / "Happy" / f"{i}.png").write_bytes(b"")
    with pytest.raises(UserError, match="but 9 of the 72 that were read are"):
        load(root, train_images=30)


@pytest.mark.parametrize("name", ["facs", "/no/such/folder", "missing.csv"])
def test_a_source_that_is_not_there(name):
    with pytest.raises(UserError, match=r"did you mean 'faces'|no such file or folder"):
        load(name)


def test_an_empty_folder_says_what_was_expected(tmp_path):
    with pytest.raises(UserError, match="expected one folder an expression"):
        load(tmp_path)


def test_decoding_takes_the_central_square(tmp_path):
    pixels = np.zeros((40, 80, 3), dtype=np.uint8)
    pixels[:, 20:60] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    square = central_square(tmp_path / "wide.png", 16)
    assert square.shape == (3, 16, 16)
    assert (square > 200).mean() > 0.95


def test_names_of_expressions():
    assert [canonical_expression(word) for word in ("Happy", " ANGRY ", "fear", "calm")] == [
        "happiness",
        "anger",
        "fear",
        "calm",
    ]


def test_packing_keeps_everything(tmp_path):
    data = make_squares()
    save_packed(data, tmp_path / "squares")
    back = load_packed(tmp_path / "squares")
    for name in ("images", "labels", "va", "votes", "subjects", "splits"):
        assert torch.equal(getattr(back, name), getattr(data, name))
    assert (back.name, back.classes, back.fingerprint) == (data.name, data.classes, data.fingerprint)
    assert load_packed(tmp_path / "nothing") is None


def test_the_fingerprint_follows_pixels_and_labels(tmp_path):
    root = folder_of(tmp_path / "faces")
    before = load(root).fingerprint
    picture(root / "train" / "Sad" / "0.png", 99)
    assert load(root, test_images=20).fingerprint != before


def test_a_subset_keeps_class_shares_and_is_the_same_every_time():
    data = make_squares(400)
    some = subset(data, TRAIN, 100)
    assert torch.bincount(some.labels[some.rows(TRAIN)]).tolist() == [25] * 4
    assert torch.equal(some.images[:], subset(data, TRAIN, 100).images[:])
    assert len(some.rows(TEST)) == len(data.rows(TEST))
    assert subset(data, TRAIN, 10_000) is data


def test_validation_by_count_a_class():
    data = make_squares(400)
    data = replace(data, subjects=torch.full((400,), -1))
    split = for_protocol(data, Selection(validation_per_class=7), seed=0)
    assert torch.bincount(split.labels[split.rows(VALIDATION)]).tolist() == [7] * 4


def test_a_given_validation_part_is_used_or_trained_on():
    data = make_squares(400)
    splits = data.splits.clone()
    splits[:40] = VALIDATION
    data = data.with_splits(splits)
    assert torch.equal(for_protocol(data, Selection(), 5).splits, splits)
    assert len(for_protocol(data, Selection(protocol="last", weights="last"), 5).rows(VALIDATION)) == 0


def test_a_set_without_training_images_is_refused_for_training(tmp_path):
    rows = [f"{i}.png,{('fear', 'anger')[i % 2]},test" for i in range(8)]
    data = load(csv_of(tmp_path, "path,expression,split", *rows))
    assert "no training images at all" in data.notes
    with pytest.raises(UserError, match="none of its 8 images is for training"):
        for_protocol(data, Selection(), seed=0)


def test_one_image_of_a_class_is_never_held_out():
    labels, rows = torch.tensor([0, 0, 0, 0, 1]), torch.arange(5)
    assert labels[_held_out_per_class(labels, rows, 1, 0.15, None)].tolist() == [0]
    assert labels[_held_out_per_class(labels, rows, 1, 0.15, 3)].tolist() == [0, 0]


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=60),
    share=st.floats(0.01, 0.99),
    per_class=st.none() | st.integers(1, 20),
)
@settings(max_examples=60, deadline=None)
def test_at_most_half_of_every_class_is_held_out(labels, share, per_class):
    labels = torch.tensor(labels)
    held = torch.bincount(
        labels[_held_out_per_class(labels, torch.arange(len(labels)), 3, share, per_class)], minlength=5
    )
    counts = torch.bincount(labels, minlength=5)
    assert bool((held <= counts // 2).all())
    assert bool((held[counts >= 2] >= 1).all())


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5])
def test_a_subset_keeps_one_image_of_every_class(share):
    labels = torch.tensor([0] * 50 + [1])
    kept = _share_of_classes(labels, torch.arange(51), 1, share)
    assert torch.bincount(labels[kept]).tolist() == [round(50 * share) or 1, 1]


def test_classes_without_test_or_training_images_are_named(tmp_path):
    rows = [f"{i}.png,{('fear', 'anger', 'sad')[i % 3]},{'test' if i == 0 else 'train'}" for i in range(8)]
    data = load(csv_of(tmp_path, "path,expression,split", *rows))
    assert "no test image of sadness, anger: macro-F1 is the mean over the other classes" in data.notes
    rows = [f"{i}.png,{('fear', 'anger')[i % 2]},{'test' if i % 2 else 'train'}" for i in range(8)]
    data = load(csv_of(tmp_path / "2", "path,expression,split", *rows))
    assert "no training image of anger" in data.notes
    lone = [f"{i}.png,{'anger' if i == 3 else 'fear'}" for i in range(8)]
    data = load(csv_of(tmp_path / "3", "path,expression", *lone))
    assert data.labels[data.rows(TRAIN)].tolist().count(data.classes.index("anger")) == 1
    assert "no test image of anger: macro-F1 is the mean over the other classes" in data.notes
