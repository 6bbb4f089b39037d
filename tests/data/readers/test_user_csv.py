"""CSV files as people have them: every column, separator, scale and row is understood for sure, or asked about."""

import math
from pathlib import Path

import pytest

from raysweep.core.errors import UserError
from raysweep.data.listing import FaceRecord, Problem
from raysweep.data.readers import read_listing
from tests.data.readers.trees import picture

LABELS = ("happy", "sad", "angry")


def table(root: Path, header: str, row: str, count: int = 12, encoding: str = "utf-8") -> Path:
    """A file whose rows are `row` with {i} and {label} filled in."""
    rows = [row.format(i=i, label=LABELS[i % 3]) for i in range(count)]
    root.mkdir(parents=True, exist_ok=True)
    (root / "list.csv").write_bytes("\n".join([header, *rows, ""]).encode(encoding))
    return root / "list.csv"


def faces(file: Path, /, **options: str):
    listing = read_listing("csv", file, options)
    entries = list(listing.entries)
    records = [entry for entry in entries if isinstance(entry, FaceRecord)]
    problems = [entry for entry in entries if isinstance(entry, Problem)]
    return listing, records, [(problem.where, problem.kind) for problem in problems]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("Path,Expression,Valence,Arousal", "{i}.png,{label},0.5,-0.25"),
        ("image,label,v,a", "{i}.png,{label},0.5,-0.25"),
        ("FileName,EMOTION,V,A", "{i}.png,{label},0.5,-0.25"),
        ("img;emotion;valence;arousal", "{i}.png;{label};0,5;-0,25"),
        ("file\tclass\tval\taro", "{i}.png\t{label}\t0.5\t-0.25"),
        ("pth|expr|v|a", "{i}.png|{label}|0,5|-0,25"),
        (",image_path,label,valence,arousal", "{i},{i}.png,{label},0.5,-0.25"),
        ("path,expression,valence,arousal,", "{i}.png,{label},0.5,-0.25,"),
        ("path,expression,valence,arousal,", "{i}.png,{label},0.5,-0.25"),
        ("path,expression,valence,arousal", "{i}.png,{label},0.5,-0.25,,"),
        ("sep=;\npath;expression;valence;arousal", "{i}.png;{label};0.5;-0.25"),
        ('"path","expression","valence","arousal","note"', '"{i}.png","{label}","0.5","-0.25","two\nlines, {i}"'),
        (" path , expression , valence , arousal ", " {i}.png , {label} , 0.5 , -0.25 "),
    ],
)
def test_headers_and_separators(tmp_path, header, row):
    _, records, problems = faces(table(tmp_path, header, row))
    assert problems == []
    assert [(r.path.name, r.va) for r in records] == [(f"{i}.png", (0.5, -0.25)) for i in range(12)]
    assert {record.expression for record in records} == {"happiness", "sadness", "anger"}


def test_columns_that_are_used_and_not_used_are_named(tmp_path):
    listing, _, _ = faces(table(tmp_path, ",Image,Emotion,age", "{i},{i}.png,{label},31"))
    assert listing.remarks == (
        "columns of list.csv: path from 'Image', expression from 'Emotion'",
        "columns of list.csv that are not used: one without a name, 'age'",
    )


@pytest.mark.parametrize(
    ("header", "row", "words"),
    [
        ("path,expression;valence", "{i}.png,{label};0", r"separated by ',' or ';'\?"),
        ("{i}.png,{label}", "{i}.png,{label}", "the first row must name the columns"),
        (
            "path,label,emotion",
            "{i}.png,3,{label}",
            "any of the columns 'label', 'emotion': choose one with --option expression",
        ),
        ("path,image,label", "{i}.png,{i}.png,{label}", None),
        ("pathh,label", "{i}.png,{label}", r"did you mean path=pathh\?"),
        ("imagefiles,label", "{i}.png,{label}", r"did you mean path=imagefiles\?"),
        ("path,expresion", "{i}.png,{label}", r"did you mean expression=expresion\?"),
        ("path,expression,valence,arousel", "{i}.png,{label},0,0", "did you mean 'arousal'"),
        ("path,expression,splitt", "{i}.png,{label},train", "did you mean 'split'"),
        ("path,expression,valence", "{i}.png,{label},0", "needed together, but only valence"),
        ("#path,expression", "{i}.png,{label}", "remove the #"),
    ],
)
def test_what_is_not_certain_is_asked(tmp_path, header, row, words):
    path = table(tmp_path, header, row)
    if words is None:
        assert len(faces(path)[1]) == 12
        return
    with pytest.raises(UserError, match=words):
        faces(path)


@pytest.mark.parametrize(
    ("header", "options"),
    [
        ("a1,b1", {"path": "a1", "expression": "b1"}),
        ("path,label,emotion", {"expression": "EMOTION"}),
        ("path,label,expression_of_rater", {"expression": "expression_of_rater", "ignore": "label"}),
    ],
)
def test_options_say_which_column_is_which(tmp_path, header, options):
    row = "{i}.png,{label}" if header.count(",") == 1 else "{i}.png,3,{label}"
    listing, records, _ = faces(table(tmp_path, header, row), **options)
    assert {record.expression for record in records} == {"happiness", "sadness", "anger"}
    assert listing.options == options


def test_an_option_names_a_column_that_is_there(tmp_path):
    with pytest.raises(UserError, match="no columns have that name"):
        faces(table(tmp_path, "path,label", "{i}.png,{label}"), expression="lable")


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_ends_of_lines(tmp_path, ends):
    path = table(tmp_path, "path,expression", "{i}.png,{label}")
    path.write_bytes(path.read_bytes().replace(b"\n", ends.encode()))
    _, records, problems = faces(path)
    assert (len(records), problems) == (12, [])
    assert records[-1].where == "list.csv:13"


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x1c"])
def test_other_marks_do_not_end_a_line(tmp_path, mark):
    path = table(tmp_path, "path,expression", "a" + mark + "{i}.png,{label}")
    _, records, problems = faces(path)
    assert ([record.path.name for record in records], problems) == ([f"a{mark}{i}.png" for i in range(12)], [])


def test_a_row_that_starts_with_a_hash_is_a_row(tmp_path):
    path = table(tmp_path, "# derived VA, no claim\n#\npath,expression", "{i}.png,{label}")
    path.write_text(path.read_text() + "#selfie.png,happy\n# the end\n")
    listing, records, problems = faces(path)
    assert listing.notes == ("derived VA, no claim", "")
    assert records[-1].path.name == "#selfie.png"
    assert problems == [("list.csv:17", "bad row")]


@pytest.mark.parametrize("missing", ["", "NA", "nan", "NaN", "null", "None", "n/a", "<NA>", "#N/A", "-2", "-5", " na "])
def test_marks_for_missing_affect(tmp_path, missing):
    path = table(tmp_path, "path,expression,valence,arousal", "{i}.png,{label}," + missing + "," + missing)
    _, records, problems = faces(path)
    assert problems == []
    assert all(math.isnan(v) and math.isnan(a) for v, a in (record.va for record in records))


def test_half_of_a_pair_is_said(tmp_path):
    listing, records, _ = faces(table(tmp_path, "path,expression,valence,arousal", "{i}.png,{label},0.5,NA"))
    assert all(map(math.isnan, records[0].va))
    assert listing.notes == ("12 of 12 rows have one of valence and arousal: it is not used",)
    path = table(tmp_path, "path,expression,valence,arousal", "{i}.png,{label},0.5,0.5")
    path.write_text(path.read_text() + "x.png,sad,0.5,\n")
    assert faces(path)[0].notes == ("1 of 13 rows has one of valence and arousal: it is not used",)


@pytest.mark.parametrize("label", ["NA", "nan", "", "null", "None"])
def test_a_missing_expression_is_no_class(tmp_path, label):
    path = table(tmp_path, "path,expression", "{i}.png,{label}")
    path.write_text(path.read_text() + f"x.png,{label}\n")
    listing, records, problems = faces(path)
    assert (len(records), problems) == (12, [("list.csv:14", "bad row")])
    assert "nan" not in listing.classes


def test_missing_subjects_are_not_one_person(tmp_path):
    path = table(tmp_path, "path,expression,subject", "{i}.png,{label},nan", 6)
    path.write_text(path.read_text() + "6.png,happy,1.0\n7.png,sad,1\n8.png,sad,s1.0\n")
    assert [record.subject for record in faces(path)[1]] == [""] * 6 + ["1", "1", "s1.0"]


@pytest.mark.parametrize(
    ("values", "likely"),
    [((1, 9), "1:9"), ((-1000, 1000), "-1000:1000"), ((0, 100), "0:100"), ((-2, 2), "-2:2"), ((1, 5), "1:5")],
)
def test_another_scale_is_refused_with_the_option_that_maps_it(tmp_path, values, likely):
    low, high = values
    path = table(tmp_path, "path,expression,valence,arousal", "{i}.png,{label},0,0", 0)
    rows = [
        f"{i}.png,{LABELS[i % 3]},{low + (high - low) * i / 10},{high - (high - low) * i / 10}\n" for i in range(11)
    ]
    path.write_text(path.read_text() + "".join(rows))
    with pytest.raises(UserError, match=rf"va_range=LOW:HIGH, perhaps {likely}"):
        faces(path)
    _, records, problems = faces(path, va_range=likely)
    assert problems == []
    assert [record.va[0] for record in records] == pytest.approx([-1 + i / 5 for i in range(11)])
    assert [record.va[1] for record in records] == pytest.approx([1 - i / 5 for i in range(11)])


def test_values_off_the_scale_that_was_given_are_bad_rows(tmp_path):
    path = table(tmp_path, "path,expression,valence,arousal", "{i}.png,{label},5,5")
    path.write_text(path.read_text() + "x.png,sad,10,5\n")
    _, records, problems = faces(path, va_range="1:9")
    assert records[0].va == (0, 0)
    assert problems == [("list.csv:14", "VA out of range")]


def test_a_slip_is_a_bad_row_and_no_scale(tmp_path):
    path = table(tmp_path, "path,expression,valence,arousal", "{i}.png,{label},0.5,-0.5", 40)
    path.write_text(path.read_text() + "x.png,sad,7,0\n")
    assert faces(path)[2] == [("list.csv:42", "VA out of range")]


@pytest.mark.parametrize("option", ["9:1", "1", "1:x", "nan:1", "1:1", "1:inf"])
def test_a_scale_that_is_none(tmp_path, option):
    with pytest.raises(UserError, match="`va_range` must be LOW:HIGH"):
        faces(table(tmp_path, "path,expression", "{i}.png,{label}"), va_range=option)


def test_all_within_zero_and_one_gets_a_remark(tmp_path):
    listing, _, _ = faces(table(tmp_path, "path,expression,valence,arousal", "{i}.png,{label},0.{i},0.5"))
    assert "all within [0, 1]" in listing.remarks[0]
    usual, _, _ = faces(table(tmp_path, "path,expression,valence,arousal", "{i}.png,{label},0.{i},-0.5"))
    assert usual.remarks == ()


def test_commas_for_points_where_commas_separate(tmp_path):
    with pytest.raises(UserError, match="decimal commas"):
        faces(table(tmp_path, "path,expression,valence,arousal", '{i}.png,{label},"0,5","0,1"'))


@pytest.mark.parametrize(
    ("word", "split"),
    [
        ("dev", "validation"),
        ("eval", "test"),
        ("PublicTest", "validation"),
        ("PrivateTest", "test"),
        ("TRAIN", "train"),
    ],
)
def test_words_for_splits(tmp_path, word, split):
    _, records, _ = faces(table(tmp_path, "path,expression,Usage", "{i}.png,{label}," + word))
    assert {record.split for record in records} == {split}


def test_rows_without_a_split_are_said(tmp_path):
    path = table(tmp_path, "path,expression,split", "{i}.png,{label},test")
    path.write_text(path.read_text() + "x.png,sad,\ny.png,sad,nan\nz.png,sad,holdout\n")
    listing, _, problems = faces(path)
    assert listing.notes == ("2 of 15 rows name no split: their images are trained on",)
    assert problems == [("list.csv:16", "bad row")]
    path.write_text(path.read_text().replace("y.png,sad,nan", "y.png,sad,test"))
    assert faces(path)[0].notes == ("1 of 15 rows names no split: its image is trained on",)


def test_one_rule_for_paths(tmp_path):
    """Below the CSV's folder, however it is written; each image once; nothing hidden."""
    root = tmp_path / "set"
    path = table(root, "path,expression", "im/{i}.png,{label}")
    extra = [
        f"{root}/im/abs.png",
        "im\\back.png",
        "./im//dots/../dots.png",
        "../outside.png",
        "/etc/passwd",
        "im/0.png",
    ]
    extra += ["im/./0.png", "im/._1.png", "__MACOSX/1.png", ".cache/1.png"]
    path.write_text(path.read_text() + "".join(f"{name},happy\n" for name in extra))
    _, records, problems = faces(path)
    assert [record.path.name for record in records[12:]] == ["abs.png", "back.png", "dots.png"]
    kinds = ["path escapes"] * 2 + ["duplicate row"] * 2 + ["hidden file"] * 3
    assert [kind for _, kind in problems] == kinds


def test_a_folder_for_images_elsewhere(tmp_path):
    for images, name in (("..", "../im/{i}.png"), ("..", "im/{i}.png"), (str(tmp_path), f"{tmp_path}/im/{{i}}.png")):
        path = table(tmp_path / "lists", "path,expression", name + ",{label}")
        listing, records, problems = faces(path, images=images)
        assert problems == []
        assert records[0].path == tmp_path / "im" / "0.png"
        assert listing.root == tmp_path
    with pytest.raises(UserError, match="is no folder"):
        faces(path, images="nowhere")
    with pytest.raises(UserError, match="--option images=FOLDER"):
        faces(table(tmp_path / "lists", "path,expression", "../im/{i}.png,{label}"))


def test_images_that_no_row_names_are_counted(tmp_path):
    path = table(tmp_path, "path,expression", "im/{i}.png,{label}")
    for i in range(20):
        picture(tmp_path / "im" / f"{i}.png")
    (tmp_path / "im" / "._3.png").write_bytes(b"\0\5\x16\7")
    assert faces(path)[0].remarks == ("images beside listed ones that no row names: 8 in im/",)


def test_a_list_in_another_encoding_is_refused(tmp_path):
    with pytest.raises(UserError, match="in UTF-16: save it in UTF-8"):
        faces(table(tmp_path, "path,expression", "{i}.png,{label}", encoding="utf-16"))
