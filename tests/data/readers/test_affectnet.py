"""AffectNet, both releases: rows become records, and what is wrong with a row or an annotation is said."""

import io
import pickle

import numpy as np
import pytest

from raysweep.core.errors import UserError
from raysweep.data.expressions import AFFECTNET_COUNTS, AFFECTNET_MEANS, EXPRESSIONS
from raysweep.data.readers import read_listing
from raysweep.data.readers.affectnet_csv import COLUMNS
from tests.data.readers.trees import (
    POINTS,
    affectnet_csv,
    affectnet_npy,
    affectnet_row,
    annotate,
    kinds,
    npy_values,
    picture,
    read,
    write_rows,
)

TRAINING = "Manually_Annotated_file_lists/training.csv"


def test_a_row_of_the_csv_release(tmp_path):
    listing, (face, test), problems = read("affectnet", affectnet_csv(tmp_path))
    assert face.path == tmp_path / "Manually_Annotated_Images/1/a.jpg"
    assert (face.expression, face.va, face.split, face.where) == ("happiness", (0.5, 0.25), "train", f"{TRAINING}:2")
    assert (face.box, face.landmarks) == ((2, 3, 40, 50), tuple(POINTS))
    assert (test.expression, test.split) == ("neutral", "test")
    assert test.where == "Manually_Annotated_file_lists/validation.csv:1"  # it has no header
    assert not problems
    assert listing.counts == dict(zip(EXPRESSIONS, AFFECTNET_COUNTS, strict=True))
    assert listing.means == dict(zip(EXPRESSIONS, AFFECTNET_MEANS, strict=True))
    assert [file.name for file in listing.files] == ["training.csv", "validation.csv"]


@pytest.mark.parametrize(("header", "validation_header"), [(True, True), (False, False), (False, True)])
def test_headers_may_be_there_or_not(tmp_path, header, validation_header):
    root = affectnet_csv(tmp_path, header=header, validation_header=validation_header)
    listing, records, problems = read("affectnet", root)
    assert [record.expression for record in records] == ["happiness", "neutral"]
    assert (listing.total, problems) == (2, [])


def test_columns_in_another_order(tmp_path):
    root = affectnet_csv(tmp_path)
    order = (8, 0, 7, 1, 2, 3, 4, 5, 6)
    row = affectnet_row()
    write_rows(root / TRAINING, [[row[i] for i in order]], [COLUMNS[i] for i in order])
    assert read("affectnet", root)[1][0].va == (0.5, 0.25)


@pytest.mark.parametrize(
    ("header", "row", "words"),
    [
        (COLUMNS[:-1], affectnet_row()[:-1], "column 'arousal' is missing; the header is 'subDirectory_filePath, "),
        ((*COLUMNS, "age"), [*affectnet_row(), 31], "unknown column 'age'"),
        ((*COLUMNS, "arousal"), [*affectnet_row(), 0], "column 'arousal' is there 2 times"),
        (None, affectnet_row()[:-1], "must have the 9 columns"),
        (None, [*affectnet_row(), 1], "but line 1 has 10"),
        (COLUMNS, affectnet_row()[:-1], "none of the first 1 rows"),
    ],
)
def test_other_columns_are_another_release(tmp_path, header, row, words):
    root = affectnet_csv(tmp_path)
    write_rows(root / TRAINING, [row], header)
    with pytest.raises(UserError) as error:
        read_listing("affectnet", root, {})
    assert words in str(error.value)
    assert "training.csv" in str(error.value)


@pytest.mark.parametrize("lacking", ["training.csv", "validation.csv"])
def test_a_list_is_missing(tmp_path, lacking):
    (affectnet_csv(tmp_path) / "Manually_Annotated_file_lists" / lacking).unlink()
    with pytest.raises(UserError, match=r"training.csv and validation.csv beside Manually_Annotated_Images/"):
        read_listing("affectnet", tmp_path, {})


ROWS = {
    "bad row": [
        affectnet_row("b.jpg")[:-1],
        [*affectnet_row("b.jpg"), 1],
        affectnet_row("b.jpg", code="happy"),
        affectnet_row("b.jpg", valence="x"),
        affectnet_row("b.jpg", box=("x", 1, 2, 3)),
        affectnet_row("b\0.jpg"),
    ],
    "label out of range": [affectnet_row("b.jpg", code=11), affectnet_row("b.jpg", code=-1)],
    "VA out of range": [affectnet_row("b.jpg", valence=1.5), affectnet_row("b.jpg", arousal=-3)],
    "VA missing": [affectnet_row("b.jpg", code=8, valence=-2, arousal=-2)],
    "duplicate row": [affectnet_row("1/a.jpg"), affectnet_row("1/./a.jpg")],
    "no image name": [affectnet_row("")],
    "image missing": [affectnet_row("b" * 300)],
    "box outside": [affectnet_row("b.jpg", box=(0, 0, 0, 9)), affectnet_row("b.jpg", box=(0, 0, 9, "nan"))],
    "path escapes": [affectnet_row("../../b.jpg"), affectnet_row("/etc/passwd"), affectnet_row("..\\b.jpg")],
    "not a face": [affectnet_row("b.jpg", code=9), affectnet_row("b.jpg", code=10)],
}


@pytest.mark.parametrize("kind", ROWS)
def test_rows_that_give_no_face(tmp_path, kind):
    root = affectnet_csv(tmp_path, affectnet_row(), *ROWS[kind])
    _, records, problems = read("affectnet", root, none="keep")
    assert len(records) == 2
    assert kinds(problems) == [(f"{TRAINING}:{i}", kind, True) for i in range(3, 3 + len(ROWS[kind]))]


def test_none_is_dropped_or_kept_for_regression(tmp_path):
    root = affectnet_csv(tmp_path, affectnet_row(code=8))
    _, records, problems = read("affectnet", root)
    assert [record.split for record in records] == ["test"]
    assert kinds(problems) == [(f"{TRAINING}:2", "not a face", True)]
    assert "none=keep" in problems[0].detail
    listing, (face, _), problems = read("affectnet", root, none="keep")
    assert (face.expression, face.va, problems) == ("", (0.5, 0.25), [])
    assert listing.options == {"classes": "8", "none": "keep"}


def test_seven_classes(tmp_path):
    root = affectnet_csv(tmp_path, affectnet_row(), affectnet_row("b.jpg", code=7))
    listing, records, problems = read("affectnet", root, classes="7")
    assert (len(records), problems) == (2, [])
    assert listing.classes == EXPRESSIONS[:7]
    assert listing.counts.keys() == listing.means.keys() == {*EXPRESSIONS[:7]}
    assert listing.notes == ("contempt is left out",)


@pytest.mark.parametrize("missing", ["-2", "nan", "", "-5", "NaN"])
def test_a_face_may_lack_valence_and_arousal(tmp_path, missing):
    root = affectnet_csv(tmp_path, affectnet_row(arousal=missing))
    _, (face, _), problems = read("affectnet", root)
    assert np.isnan(face.va).all()
    assert kinds(problems) == [(f"{TRAINING}:2", "VA missing", False)]


@pytest.mark.parametrize("landmarks", ["", "NULL", "1;2;3;4", ";".join(["x"] * 136), ";".join(["nan"] * 136)])
def test_a_face_may_lack_landmarks(tmp_path, landmarks):
    root = affectnet_csv(tmp_path, affectnet_row(landmarks=landmarks))
    _, (face, _), problems = read("affectnet", root)
    assert (face.landmarks, face.box) == ((), (2, 3, 40, 50))
    assert kinds(problems) == [(f"{TRAINING}:2", "landmarks missing", False)]


def test_an_image_of_both_lists_is_listed_once(tmp_path):
    root = affectnet_csv(tmp_path, affectnet_row("9/v.jpg"))
    _, records, problems = read("affectnet", root)
    assert [record.split for record in records] == ["train"]
    assert [problem.kind for problem in problems] == ["duplicate row"]


def test_a_face_of_the_newer_release(tmp_path):
    listing, (face, test), problems = read("affectnet", affectnet_npy(tmp_path))
    assert face.path == tmp_path / "train_set/images/0.jpg"
    assert (face.expression, face.va, face.split) == ("happiness", (0.5, 0.25), "train")
    assert (face.where, face.landmarks) == ("train_set/annotations/0_exp.npy", tuple(POINTS))
    assert (test.expression, test.split, problems, listing.total) == ("neutral", "test", [], 2)
    assert "npy" in listing.release


@pytest.mark.parametrize(
    "values",
    [
        {"exp": np.array(1), "val": np.array(0.5), "aro": np.array(0.25), "lnd": np.array(POINTS, np.float32)},
        {"exp": np.array([1.0]), "val": np.array([[0.5]]), "aro": np.array(0.25, ">f8"), "lnd": np.array(POINTS, str)},
        {
            "exp": np.array(b"1"),
            "val": np.array("0.500"),
            "aro": np.array(b"0.25"),
            "lnd": np.array(POINTS).reshape(68, 2),
        },
    ],
)
def test_annotations_may_be_numbers_or_strings(tmp_path, values):
    root = affectnet_npy(tmp_path)
    annotate(root, "train_set", "0", values)
    face = read("affectnet", root)[1][0]
    assert (face.expression, face.va, len(face.landmarks)) == ("happiness", (0.5, 0.25), 136)


def saved(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


BROKEN = {
    "empty": b"",
    "no npy": b"not one",
    "truncated": saved(np.array(1.0))[:-3],
    "cut in the header": saved(np.array(1.0))[:20],
    "pickle": saved(np.array({"a": 1}), allow_pickle=True),
    "only a pickle": pickle.dumps({"a": 1}),
    "zip": b"PK\x03\x04" + bytes(60),
    "two values": saved(np.array([1.0, 2.0])),
    "no value": saved(np.array([])),
    "complex": saved(np.array(1j)),
    "huge": saved(np.array(1.0)).replace(b"'shape': (), }", b"'shape':(9**9,)"),
    "no text": saved(np.array("1")).replace(b"1\0\0\0", b"\x31\0\x11\0"),
    "no text at all": saved(np.array("1")).replace(b"<U", b">U"),
    "large": saved(np.zeros(100_000)),
    "nothing many times": saved(np.array(["", ""])).replace(b"(2,)", b"(2**60,)").replace(b"<U1", b"<U0"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_annotations(tmp_path, name):
    root = affectnet_npy(tmp_path)
    annotate(root, "train_set", "1", npy_values() | {"exp": BROKEN[name]})
    annotate(root, "train_set", "2", npy_values() | {"val": BROKEN[name]})
    annotate(root, "train_set", "3", npy_values() | {"lnd": BROKEN[name]})
    _, records, problems = read("affectnet", root)
    assert [record.path.parts[-3] + record.path.stem for record in records] == ["train_set0", "train_set3", "val_set0"]
    folder = "train_set/annotations"
    assert kinds(problems) == [
        (f"{folder}/1_exp.npy", "bad row", True),
        (f"{folder}/2_exp.npy", "bad row", True),
        (f"{folder}/3_exp.npy", "landmarks missing", False),
    ]


def test_annotations_written_by_python_2(tmp_path):
    root = affectnet_npy(tmp_path)
    annotate(root, "train_set", "0", npy_values() | {"exp": saved(np.array([3])).replace(b"(1,), }", b"(1L,),}")})
    assert read("affectnet", root)[1][0].expression == "surprise"


def test_annotations_with_an_old_name_of_their_type(tmp_path):
    root = affectnet_npy(tmp_path)
    annotate(root, "train_set", "0", npy_values() | {"exp": saved(np.array(b"3")).replace(b"|S1", b"|a1")})
    assert read("affectnet", root)[1][0].expression == "surprise"


def test_missing_annotations_and_images(tmp_path):
    root = affectnet_npy(tmp_path)
    values = npy_values()
    for name, lacking in (("1", "exp"), ("2", "aro"), ("3", "lnd")):
        annotate(root, "train_set", name, {suffix: value for suffix, value in values.items() if suffix != lacking})
    annotate(root, "train_set", "4", values, image=False)
    picture(root / "train_set" / "images" / "._0.jpg")
    _, records, problems = read("affectnet", root)
    assert [record.path.stem for record in records] == ["0", "2", "3", "0"]
    assert [(p.where.split("/")[-1], p.kind, p.fatal) for p in problems] == [
        ("1_exp.npy", "bad row", True),
        ("2_exp.npy", "VA missing", False),
        ("3_exp.npy", "landmarks missing", False),
        ("4_exp.npy", "image missing", True),
    ]


def test_codes_and_affect_of_the_newer_release(tmp_path):
    root = affectnet_npy(tmp_path)
    for name, values in {
        "1": npy_values(code="8"),
        "2": npy_values(code="8", valence="-2"),
        "3": npy_values(code="12"),
        "4": npy_values(valence="1.2"),
        "5": npy_values(code="10"),
        "6": npy_values(code="7"),
    }.items():
        annotate(root, "train_set", name, values)
    _, records, problems = read("affectnet", root, none="keep", classes="7")
    assert [(record.path.stem, record.expression) for record in records] == [
        ("0", "happiness"),
        ("1", ""),
        ("0", "neutral"),
    ]
    assert [problem.kind for problem in problems] == [
        "VA missing",
        "label out of range",
        "VA out of range",
        "not a face",
    ]


@pytest.mark.parametrize("lacking", ["train_set/images", "val_set", "train_set/annotations"])
def test_an_incomplete_newer_release(tmp_path, lacking):
    root = affectnet_npy(tmp_path)
    (root / lacking).rename(tmp_path / "away")
    with pytest.raises(UserError, match="train_set/ and val_set/ with images/ and annotations/ in each"):
        read_listing("affectnet", root, {})


def test_images_of_other_names_are_another_release(tmp_path):
    root = affectnet_npy(tmp_path)
    (root / "val_set" / "images" / "0.jpg").rename(root / "val_set" / "images" / "face.jpg")
    with pytest.raises(UserError, match=r"needs 'face_exp.npy' here"):
        read_listing("affectnet", root, {})
    (root / "val_set" / "images" / "face.jpg").unlink()
    with pytest.raises(UserError, match="but there are none"):
        read_listing("affectnet", root, {})
