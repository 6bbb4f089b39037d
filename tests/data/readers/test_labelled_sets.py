"""RAF-DB, CAER-S, FER2013, MorphSet, folders and CSVs: codes, counts, and what is wrong with rows."""

import math
import os

import pytest

from raysweep.core.errors import UserError
from raysweep.data.expressions import EXPRESSIONS
from raysweep.data.readers import caers as caers_module
from raysweep.data.readers import read_listing, recognise
from tests.data.readers.trees import (
    CAERS,
    MORPHSET,
    PIXELS,
    affwild,
    caers,
    class_folder,
    fer2013,
    ferplus,
    kinds,
    morphset,
    photographs,
    picture,
    rafdb,
    read,
    votes_row,
    write_lines,
)

RAF = "EmoLabel/list_patition_label.txt"


def test_rafdb(tmp_path):
    listing, records, problems = read("rafdb", rafdb(tmp_path))
    order = ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"]
    assert [record.expression for record in records] == order * 2
    assert [record.split for record in records] == ["train"] * 7 + ["test"] * 7
    assert records[0].path == tmp_path / "Image/aligned/train_00001_aligned.jpg"
    assert sum(listing.counts.values()) == 12271
    assert listing.counts["surprise"] == 1290
    assert (listing.classes, problems) == (EXPRESSIONS[:7], [])


def test_rafdb_in_its_folder_of_that_subset(tmp_path):
    rafdb(tmp_path / "basic")
    assert recognise(tmp_path) == "rafdb"
    assert read("rafdb", tmp_path)[1][0].where == f"basic/{RAF}:1"


def test_rows_of_rafdb_that_give_no_face(tmp_path):
    rows = ["train_00001.jpg 1", "train_00002.jpg", "train_00003.jpg 1 2", "valid_00004.jpg 1", "train_00005.png 1"]
    rows += ["train_00006.jpg 8", "train_00007.jpg x", "train_00001.jpg 1", "", "../train_1.jpg 1", "train_2.jpg 0"]
    _, records, problems = read("rafdb", rafdb(tmp_path, *rows))
    assert len(records) == 1
    kinds_ = ["bad row"] * 4 + ["label out of range", "bad row", "duplicate row", "path escapes", "label out of range"]
    places = [2, 3, 4, 5, 6, 7, 8, 10, 11]
    assert kinds(problems) == [(f"{RAF}:{place}", kind, True) for place, kind in zip(places, kinds_, strict=True)]


def test_rafdb_without_aligned_images(tmp_path):
    rafdb(tmp_path)
    (tmp_path / "Image" / "aligned").rename(tmp_path / "Image" / "original")
    with pytest.raises(UserError, match=r"needs Image/aligned/ .*holds EmoLabel/, Image/"):
        read_listing("rafdb", tmp_path, {"images": "aligned"})
    listing, records, _ = read("rafdb", tmp_path)
    assert records[0].path == tmp_path / "Image" / "original" / "train_00001.jpg"
    assert listing.notes == ("the original photographs, not the aligned faces",)
    (tmp_path / "Image" / "original").rename(tmp_path / "Image" / "images")
    with pytest.raises(UserError, match=r"needs Image/aligned/ .*holds EmoLabel/, Image/"):
        read_listing("rafdb", tmp_path, {})


def test_the_compound_subset_is_another_release(tmp_path):
    rafdb(tmp_path, *(f"train_{i:05}.jpg {8 + i % 4}" for i in range(50)))
    with pytest.raises(UserError, match=r"none of the first 50 rows .*label out of range"):
        read_listing("rafdb", tmp_path, {})


def test_caers(tmp_path):
    folders = (*CAERS, "Angry")  # both names of one expression occur
    _, records, problems = read("caers", caers(tmp_path, train=folders))
    assert len(records) == 15
    assert sum(record.expression == "anger" for record in records) == 3
    assert {record.expression for record in records} == {*EXPRESSIONS[:7]}
    assert records[0].where == "train/Anger/0001.png"
    assert not problems


def test_folders_that_are_no_expression_of_caers(tmp_path):
    caers(tmp_path, test=(*CAERS, "Contempt"))
    picture(tmp_path / "train" / "Fear" / "._1.png")
    _, records, problems = read("caers", tmp_path)
    assert len(records) == 14
    assert kinds(problems) == [("test/Contempt/0001.png", "label out of range", True)]


def test_caer_with_videos_is_another_release(tmp_path):
    for split in ("train", "test"):
        for name in CAERS:
            write_lines(tmp_path / split / name / "0001.avi", "a video")
    with pytest.raises(UserError, match="these may be the videos of CAER"):
        read_listing("caers", tmp_path, {})


def test_caers_lacks_a_folder(tmp_path):
    caers(tmp_path, test=CAERS[:-1])
    with pytest.raises(UserError, match="needs a folder for surprise, but the folder holds Anger/"):
        read_listing("caers", tmp_path, {})


def test_every_name_of_a_class_is_known():
    assert EXPRESSIONS[:7] == caers_module.CLASSES


def test_fer2013(tmp_path):
    listing, records, _ = read("fer2013", fer2013(tmp_path))
    order = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]
    assert [record.expression for record in records] == order * 3
    assert [record.split for record in records[::7]] == ["train", "validation", "test"]
    assert records[0].pixels == bytes(i % 256 for i in range(48 * 48))
    assert sum(listing.counts.values()) == 28709
    assert len(read("fer2013", tmp_path / "fer2013.csv")[1]) == 21


def test_rows_of_fer2013_that_give_no_face(tmp_path):
    rows = [(0, PIXELS, "Training"), (7, PIXELS, "Training"), (0, PIXELS, "Testing"), (0, PIXELS[:-4], "Training")]
    rows += [
        (0, PIXELS + " 0", "Training"),
        (0, PIXELS.replace("99", "999"), "Training"),
        (0, "", "Training"),
        (0, "x"),
    ]
    _, records, problems = read("fer2013", fer2013(tmp_path, *rows))
    assert len(records) == 1
    assert [problem.kind for problem in problems] == [
        "label out of range",
        "bad row",
        *["image unreadable"] * 4,
        "bad row",
    ]
    assert [problem.where for problem in problems] == [f"fer2013.csv:{i}" for i in range(3, 10)]


def test_the_votes_are_not_fer2013(tmp_path):
    fer2013(tmp_path, (0, "Training"), (1, "Training"))
    (tmp_path / "fer2013.csv").write_text("emotion,Usage\n0,Training\n")
    with pytest.raises(UserError, match="column 'pixels' is missing"):
        read_listing("fer2013", tmp_path, {})


def test_morphset_is_split_by_subject(tmp_path):
    listing, records, problems = read("morphset", morphset(tmp_path))
    assert (len(records), problems) == (70, [])
    by_subject = {(record.subject, record.split) for record in records}
    assert len(by_subject) == 10
    assert sum(split == "test" for _, split in by_subject) == 2
    assert listing.notes == ("split by subject (derived: 2 subjects are held out for testing)",)
    assert {record.expression for record in records} == {*EXPRESSIONS[:7]}
    assert [r.split for r in read("morphset", tmp_path / "morphset.csv")[1]] == [r.split for r in records]


def test_morphset_with_a_split(tmp_path):
    rows = [("a.png", "fear", 0, 0, "s1", "train"), ("b.png", "fear", 0, 0, "s2", "Test")]
    listing, records, _ = read("morphset", morphset(tmp_path, *rows, header=(*MORPHSET, "split")))
    assert [record.split for record in records] == ["train", "test"]
    assert listing.notes == ()


def test_rows_of_morphset(tmp_path):
    rows = [("a.png", "fear", 0.1, 0.1, "s"), ("b.png", "contempt", 0, 0, "s"), ("c.png", "fear", 0, 0, "")]
    rows += [("d.png", "fear", 2, 0, "s"), ("a.png", "fear", 0, 0, "s"), ("../e.png", "fear", 0, 0, "s")]
    rows += [
        ("f.png", "", 0, 0, "s"),
        ("", "fear", 0, 0, "s"),
        ("g.png", "fear", "", 0.5, "s"),
        ("h.png", "fear", 0, 0),
    ]
    _, records, problems = read("morphset", morphset(tmp_path, *rows))
    assert [record.path.name for record in records] == ["a.png", "g.png"]
    assert all(map(math.isnan, records[1].va))
    assert [(problem.kind, problem.fatal) for problem in problems] == [
        ("label out of range", True),
        ("bad row", True),
        ("VA out of range", True),
        ("duplicate row", True),
        ("path escapes", True),
        ("bad row", True),
        ("no image name", True),
        ("VA missing", False),
        ("bad row", True),
    ]


@pytest.mark.parametrize("lacking", range(5))
def test_morphset_needs_every_column(tmp_path, lacking):
    header = [name for i, name in enumerate(MORPHSET) if i != lacking]
    with pytest.raises(UserError, match=f"column '{MORPHSET[lacking]}' is missing"):
        read_listing("morphset", morphset(tmp_path, ("a", "b", "c", "d"), header=header), {})


def test_a_class_folder(tmp_path):
    listing, records, _ = read("folder", class_folder(tmp_path))
    assert listing.classes == ("happiness", "calm")
    assert [(r.where, r.expression, r.split) for r in records] == [
        ("test/Happy/2.jpg", "happiness", "test"),
        ("train/Happy/1.png", "happiness", "train"),
        ("train/calm/1.png", "calm", "train"),
    ]


def test_names_that_are_not_in_utf8(tmp_path):
    class_folder(tmp_path)
    picture(tmp_path / "train" / "calm" / os.fsdecode(b"\xff.png"))
    _, records, problems = read("folder", tmp_path)
    assert (len(records), [problem.kind for problem in problems]) == (3, ["bad row"])
    assert all("?" in text and text.encode() for text in (problems[0].where, problems[0].detail))


def test_a_csv_with_notes(tmp_path):
    rows = [(f"{i}.png", "fear" if i % 2 else "Angry", 0.1, -0.5, f"s{i}", "train") for i in range(8)]
    path = photographs(tmp_path, *rows, header=("path", "expression", "valence", "arousal", "subject", "split"))
    path.write_text("# derived VA, no claim\n" + path.read_text())
    listing, records, problems = read("csv", path)
    assert (len(records), list(listing.notes), problems) == (8, ["derived VA, no claim"], [])
    assert (listing.classes, listing.total, listing.name) == (("fear", "anger"), 8, "photographs")


def test_rows_of_a_csv(tmp_path):
    rows = [("a.png", "fear", 0.1, 0.1), ("b.png", "fear", 0.1, -2), ("c.png", "", 0.1, 0.1), ("d.png", "fear", 3, 0)]
    rows += [
        ("a.png", "fear", 0, 0),
        ("../a.png", "fear", 0, 0),
        ("/a.png", "fear", 0, 0),
        ("", "fear", 0, 0),
        ("e.png",),
    ]
    path = photographs(tmp_path, *rows)
    _, records, problems = read("csv", path)
    assert [record.path.name for record in records] == ["a.png", "b.png"]
    assert all(map(math.isnan, records[1].va))
    expected = [
        "bad row",
        "VA out of range",
        "duplicate row",
        "path escapes",
        "path escapes",
        "no image name",
        "bad row",
    ]
    assert kinds(problems) == [(f"photographs.csv:{i}", kind, True) for i, kind in enumerate(expected, 4)]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (("path", "mood"), "column 'expression' is missing"),
        (("path", "expression", "valense"), "did you mean 'valence'"),
        (("path", "expression", "valence"), "needed together"),
    ],
)
def test_other_columns_of_a_csv(tmp_path, header, words):
    with pytest.raises(UserError, match=words):
        read_listing("csv", photographs(tmp_path, ("a.png", "fear", 0)[: len(header)], header=header), {})


def test_a_csv_with_a_field_beyond_all_measure(tmp_path):
    path = photographs(tmp_path)
    path.write_text("path,expression\n" + "a" * 140_000 + ",fear\nb.png,fear\n")
    _, records, problems = read("csv", path)
    assert [record.path.name for record in records] == ["b.png"]
    assert [problem.kind for problem in problems] == ["bad row"]


def test_rafdb_with_the_list_spelt_right_and_names_in_capitals(tmp_path):
    rows = [f"{split}_{i:05}.JPG {i}" for split in ("train", "test") for i in range(1, 8)]
    rafdb(tmp_path, *rows)
    lists = tmp_path / "EmoLabel"
    (lists / "list_patition_label.txt").rename(lists / "list_partition_label.txt")
    aligned = tmp_path / "Image" / "aligned"
    (aligned / "train_00001_aligned.jpg").rename(aligned / "train_00001_aligned.JPG")
    picture(aligned / "train_00002_aligned.jpg")
    listing, records, problems = read("rafdb", tmp_path)
    assert (len(records), problems) == (14, [])
    assert [record.path.name for record in records[:2]] == ["train_00001_aligned.JPG", "train_00002_aligned.jpg"]
    assert listing.files == (lists / "list_partition_label.txt",)


def test_fer2013_under_its_other_name(tmp_path):
    fer2013(tmp_path)
    text = (tmp_path / "fer2013.csv").read_text()
    (tmp_path / "fer2013.csv").unlink()
    rows = [row.rsplit(",", 1) for row in text.splitlines()]
    swapped = [",".join([head.split(",", 1)[0], usage, head.split(",", 1)[1]]) for head, usage in rows]
    (tmp_path / "icml_face_data.csv").write_text("\n".join(["emotion, Usage, pixels", *swapped[1:], ""]))
    assert recognise(tmp_path) == "fer2013"
    _, records, problems = read("fer2013", tmp_path)
    assert (len(records), problems) == (21, [])
    assert [records[i].split for i in (0, 7, 14)] == ["train", "validation", "test"]


def test_a_third_folder_of_caers_is_read_too(tmp_path):
    caers(tmp_path)
    for folder in CAERS:
        picture(tmp_path / "validation" / folder / "0001.png")
    picture(tmp_path / "previews" / "0001.png")
    listing, records, _ = read("caers", tmp_path)
    assert [sum(r.split == split for r in records) for split in ("train", "validation", "test")] == [7, 7, 7]
    assert listing.remarks == ("not read, for no folder says their expression: 1 image in previews/",)


@pytest.mark.parametrize("make", [ferplus, affwild])
def test_seven_classes_of_sets_with_eight(tmp_path, make):
    if make is ferplus:
        votes = [votes_row("fer0000000.png", contempt=9, fear=1), votes_row("fer0000001.png", fear=8, contempt=2)]
        name, root = "ferplus", ferplus(tmp_path, *votes)
    else:
        name, root = "affwild", affwild(tmp_path)
        for video in ("1", "2", "3", "10", "11"):
            for column, value in (("valence", "-0.515"), ("arousal", "0.583")):
                write_lines(root / "annotations" / "train" / column / f"{video}.txt", *[value] * 3)
    eight, of_eight, _ = read(name, root)
    seven, of_seven, _ = read(name, root, classes="7")
    assert (eight.classes, seven.classes) == (EXPRESSIONS, EXPRESSIONS[:7])
    assert "contempt" in {record.expression for record in of_eight}
    assert {record.expression for record in of_seven} == ({"fear"} if make is ferplus else {"anger"})
    assert "contempt is left out" in seven.notes
    assert eight.options.get("classes") is None
