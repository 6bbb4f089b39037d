"""Every reader by name: what is recognised, which options there are, and what is said about the wrong folder."""

from pathlib import Path

import pytest

from raysweep.core.errors import UserError
from raysweep.data.expressions import EXPRESSIONS
from raysweep.data.listing import SPLITS
from raysweep.data.readers import READERS, read_listing, recognise
from tests.data.readers.trees import (
    TREES,
    affectnet_csv,
    affectnet_npy,
    caers,
    ferplus,
    picture,
    rafdb,
    read,
    votes_row,
)

NAMED = {"caers": "CAER-S", "morphset": "MorphSet"}


def tree(name, tmp_path):
    root = tmp_path / NAMED.get(name, "set")
    root.mkdir()
    made = TREES[name](root)
    return made if name == "csv" else root


@pytest.mark.parametrize("name", READERS)
def test_every_official_layout_is_recognised_and_read(name, tmp_path):
    root = tree(name, tmp_path)
    assert recognise(root) == name
    listing, records, problems = read(name, root)
    assert records
    assert not [problem for problem in problems if problem.fatal]
    assert {record.expression for record in records} <= {*listing.classes}
    assert (
        tuple(e for e in EXPRESSIONS if e in listing.classes)
        == listing.classes[: len(set(EXPRESSIONS) & {*listing.classes})]
    )
    assert {record.split for record in records} <= {*SPLITS, ""}
    assert all(file.is_file() for file in listing.files)
    assert listing.options.items() <= READERS[name].defaults().items()
    assert listing.total in (None, len(records))
    assert listing.counts.keys() <= {*listing.classes}


def test_the_newer_affectnet_is_recognised(tmp_path):
    assert recognise(affectnet_npy(tmp_path)) == "affectnet"


@pytest.mark.parametrize("name", READERS)
def test_an_empty_folder_is_refused_with_what_was_looked_for(name, tmp_path):
    with pytest.raises(UserError, match=r"needs .*, but the folder holds nothing"):
        read_listing(name, tmp_path, {})


@pytest.mark.parametrize("name", READERS)
def test_another_release_is_refused_with_what_is_there(name, tmp_path):
    picture(tmp_path / "somewhere" / "else" / "ünïcode.png")
    (tmp_path / "notes.txt").write_text("no list")
    with pytest.raises(UserError) as error:
        read_listing(name, tmp_path, {})
    assert ("the folders are somewhere" if name == "folder" else "notes.txt, somewhere/") in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("name", READERS)
def test_a_file_of_another_kind_is_refused(name, tmp_path):
    (tmp_path / "a.txt").write_text("no list")
    with pytest.raises(UserError):
        read_listing(name, tmp_path / "a.txt", {})


@pytest.mark.parametrize("name", [n for n in READERS if n != "folder"])
@pytest.mark.parametrize("content", [b"", b"\n\n", b"\x89PNG\r\n\x1a\n\0\0\xff", "path,expression\n".encode("utf-16")])
def test_lists_that_are_no_lists_are_refused(name, content, tmp_path):
    root = tree(name, tmp_path)
    lists = read_listing(name, root, {}).files
    for file in lists if name != "affwild" else ():
        file.write_bytes(content)
    if lists and name != "affwild":
        with pytest.raises(UserError) as error:
            read_listing(name, root, {})
        assert len(str(error.value).splitlines()) <= 2


def test_nothing_there(tmp_path):
    assert recognise(tmp_path / "missing") is None
    assert recognise(tmp_path) is None
    with pytest.raises(UserError, match="no such file or folder; RAF-DB"):
        read_listing("rafdb", tmp_path / "missing", {})


def test_an_archive_is_to_be_unpacked(tmp_path):
    (tmp_path / "rafdb.ZIP").write_bytes(b"PK")
    with pytest.raises(UserError, match="unpack it"):
        read_listing("rafdb", tmp_path / "rafdb.ZIP", {})


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("rafbd", {}, "did you mean 'rafdb'"),
        ("affectnet", {"clases": "7"}, "did you mean 'classes'"),
        ("affectnet", {"classes": "9"}, "`classes` must be one of 8, 7, but got '9'"),
        ("caers", {"classes": "7"}, "caers has no options, but got classes=7"),
        ("rafdb", {"images": "algned"}, "`images` must be one of auto, aligned, original, but got 'algned'"),
    ],
)
def test_mistyped_names(name, options, words, tmp_path):
    with pytest.raises(UserError) as error:
        read_listing(name, tmp_path, options)
    assert words in str(error.value)


def test_the_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    rafdb(tmp_path / "raf")
    assert recognise(Path("~/raf")) == "rafdb"
    assert len(read("rafdb", Path("~/raf"))[1]) == 14


def test_a_folder_that_is_deep_and_not_in_ascii(tmp_path):
    root = tmp_path.joinpath(*["gesichter-ÄÖÜ-顔" * 4] * 6)
    row = ["ünïcode/顔 1.jpg", 1, 1, 9, 9, "", 2, 0.1, 0.2]
    _, (first, _), _ = read("affectnet", affectnet_csv(root, row))
    assert first.path == root / "Manually_Annotated_Images" / "ünïcode" / "顔 1.jpg"
    picture(first.path)  # and such a file can be


def test_listings_can_be_dropped_unread(tmp_path):
    """Nothing stays open: an unclosed file would be an error here."""
    for make, name in ((rafdb, "rafdb"), (ferplus, "ferplus"), (caers, "caers"), (affectnet_csv, "affectnet")):
        next(iter(read_listing(name, make(tmp_path / name), {}).entries))


def test_a_list_whose_rows_all_fail_is_another_release(tmp_path):
    rows = [votes_row(f"fer{i}.png", usage="Trainig", fear=9) for i in range(5)]
    with pytest.raises(
        UserError, match=r"none of the first 5 rows .* fer2013new.csv:2: bad row: Usage must be Training"
    ):
        read_listing("ferplus", ferplus(tmp_path, *rows), {})
