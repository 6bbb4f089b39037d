"""Numbers, codes and paths of rows, and rows of files."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raysweep.data.listing import Problem
from raysweep.data.readers.reader import held_out
from raysweep.data.readers.rows import MAX_LINE, count_rows, open_table, read_lines
from raysweep.data.readers.values import Rejected, Seen, inside, read_affect, read_code, read_va
from tests.data.readers.trees import write_lines


@pytest.mark.parametrize("text", ["", "nan", "NaN", "-2", "-2.0", "-5", "-5.000"])
def test_missing_affect(text):
    assert math.isnan(read_affect("valence", text))
    assert all(map(math.isnan, read_va("0.5", text)))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        *((text, "VA out of range") for text in ("1.01", "-3", "inf", "1e999")),
        *((text, "bad row") for text in ("x", "0,5", "0_1", "1 2")),
    ],
)
def test_affect_that_cannot_be(text, kind):
    with pytest.raises(Rejected, match=r"`-1 <= valence <= 1` must hold \(or -2 for missing\), but got") as error:
        read_affect("valence", text)
    assert error.value.kind == kind


def test_codes():
    assert read_code("1.0", {1: "fear"}) == "fear"
    for text, kind in (("2", "label out of range"), ("1.5", "label out of range"), ("nan", "label out of range")):
        with pytest.raises(Rejected) as error:
            read_code(text, {1: "fear"})
        assert error.value.kind == kind
    with pytest.raises(Rejected, match="is no number"):
        read_code("fear", {1: "fear"})


@pytest.mark.parametrize(
    "text",
    [
        "../a.jpg",
        "/etc/passwd",
        "a/../../b.jpg",
        "..",
        "..\\a.jpg",
        "a\\..\\..\\b",
        "C:\\a.jpg",
        "c:a.jpg",
        "\\\\host\\a",
    ],
)
def test_paths_that_lead_out(tmp_path, text):
    with pytest.raises(Rejected) as error:
        inside(tmp_path, text)
    assert error.value.kind == "path escapes"


@given(st.text(st.sampled_from("./\\a:C~ü\0"), max_size=12))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_path_leads_out(tmp_path, text):
    try:
        path = inside(tmp_path, text)
    except Rejected:
        return
    assert path.resolve().is_relative_to(tmp_path.resolve())
    assert path.resolve() != tmp_path.resolve()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("a\0.jpg", "bad row"),
        *((text, "no image name") for text in ("", ".", "a/..")),
        *((text, "image missing") for text in ("x" * 256, "ü" * 128, "x/" * 3000 + "a")),
    ],
)
def test_names_that_no_file_has(tmp_path, text, kind):
    with pytest.raises(Rejected) as error:
        inside(tmp_path, text)
    assert error.value.kind == kind
    assert len(error.value.detail) < 200


def test_long_names_that_files_have(tmp_path):
    path = inside(tmp_path, "/".join(["ü" * 100] * 4))
    path.parent.mkdir(parents=True)
    path.touch()
    assert inside(tmp_path, "a\\./b//c.jpg") == tmp_path / "a" / "b" / "c.jpg"


def test_what_was_seen(tmp_path):
    seen = Seen()
    seen.add("ü.jpg")
    seen.add(tmp_path)
    assert not seen.is_new(tmp_path)
    with pytest.raises(Rejected, match="listed before"):
        seen.add("ü.jpg")


def test_lines_of_any_file(tmp_path):
    long = b"x" * (3 * MAX_LINE + 5)
    (tmp_path / "list").write_bytes(b"\xef\xbb\xbfone\r\n\n" + long + b"\nd\xe9\n" + b"\xe2\x80\xa8five\x00\n" + long)
    found = list(read_lines(tmp_path / "list", "list"))
    assert [where for where, _ in found] == [f"list:{i}" for i in range(1, 7)]
    assert [text.detail if isinstance(text, Problem) else text for _, text in found] == [
        "one",
        "",
        "the row is longer than 131,072 bytes",
        "byte 1 of the row is not in UTF-8",
        "\u2028five\0",
        "the row is longer than 131,072 bytes",
    ]
    assert count_rows(tmp_path / "list") == 5


def test_a_stray_quote_costs_one_row(tmp_path):
    file = write_lines(tmp_path / "a.csv", "one,two", 'a,"b', "c,d", '"e, f",g')
    rows = list(open_table(file, tmp_path, ("one", "two")).rows())
    assert [row for _, row in rows] == [{"one": "a", "two": "b"}, {"one": "c", "two": "d"}, {"one": "e, f", "two": "g"}]


@given(st.sets(st.text(max_size=5), max_size=40))
@settings(max_examples=50, deadline=None)
def test_a_fifth_is_held_out(names):
    test = held_out(names)
    assert test <= names
    assert test == held_out(set(names))
    assert len(test) == max(round(len(names) / 5), len(names) > 1)
