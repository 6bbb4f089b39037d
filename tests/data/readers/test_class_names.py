"""Names of classes: which are one, which mean an expression, and which are asked about."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysweep.core.errors import UserError
from raysweep.data.expressions import EXPRESSIONS, SYNONYMS, canonical_expression, likely_expression, plain_name
from raysweep.data.readers.class_names import ClassNames
from raysweep.data.readers.values import in_canonical_order
from tests.data.readers.trees import photographs, picture, read


def read_labels(root: Path, *labels: str, **options: str):
    rows = [(f"{i}.png", label) for i, label in enumerate(labels)]
    return read("csv", photographs(root, *rows, header=("path", "label")), **options)


def test_one_class_however_it_is_written(tmp_path):
    composed, apart = "dégoût", unicodedata.normalize("NFD", "dégoût")
    listing, records, _ = read_labels(
        tmp_path, "happy", composed, apart, "DÉGOÛT", "very  calm", "Very calm ", "\ufeffcalm", "calm"
    )
    assert composed != apart
    assert listing.classes == ("happiness", "calm", "dégoût", "very calm")
    assert len(records) == 8


@pytest.mark.parametrize("numbers", [("0", "0.0", "00", "0."), ("7", "7.0", "07", "+7")])
def test_one_number_however_it_is_written(numbers):
    assert len({plain_name(number) for number in numbers}) == 1


@given(st.text(max_size=12))
def test_a_plain_name_is_plain(text):
    assert plain_name(plain_name(text)) == plain_name(text)
    assert plain_name(unicodedata.normalize("NFD", text)) == plain_name(unicodedata.normalize("NFC", text))


@pytest.mark.parametrize(
    ("words", "expression"),
    [
        ("joy joyful happy Happiness HAPPY joyous 1_happy 03-joy", "happiness"),
        ("scared afraid fearful Fear frightened", "fear"),
        ("surprised surprise astonished", "surprise"),
        ("angry anger Angered furious", "anger"),
        ("disgusted disgust disgusting", "disgust"),
        ("contemptuous contempt disdain", "contempt"),
        ("neutrality neutral neutral_face", "neutral"),
        ("sad sadness sorrow unhappy", "sadness"),
    ],
)
def test_words_for_expressions(words, expression):
    assert {canonical_expression(word) for word in words.split()} == {expression}


def test_a_synonym_stands_for_one_expression():
    parts = [word for parts in SYNONYMS.values() for word in parts]
    assert len(set(parts)) == len(parts)
    assert not set(parts) & set(EXPRESSIONS)


@pytest.mark.parametrize(
    "name", ["suprise", "hapiness", "sadnes", "feer", "digust", "angery", "neutal", "contemp", "Natural"]
)
def test_a_misspelt_name_is_asked_about(tmp_path, name):
    with pytest.raises(UserError, match=rf"label '{name}' \(1 images\) is no expression: did you mean "):
        read_labels(tmp_path, "happy", name)
    picture(tmp_path / "happy" / "a.png")
    picture(tmp_path / name / "a.png")
    with pytest.raises(UserError, match=rf"folder '{name}' \(1 images\) is no expression: did you mean "):
        read("folder", tmp_path)
    assert plain_name(name) in read("folder", tmp_path, names="keep")[0].classes
    meant = likely_expression(name)
    assert meant in read("folder", tmp_path, names=f"{name}:{meant}")[0].classes


@pytest.mark.parametrize("name", ["hap", "an", "happy_faces", "class sad", "happily surprised"])
def test_short_and_adorned_names_are_asked_about(name):
    assert likely_expression(name) in EXPRESSIONS


def test_other_states_are_not_taken_for_misspelt_expressions():
    text = "calm boredom pain pride shame guilt confusion excitement amusement contentment relief awe desire sleepy"
    assert {likely_expression(word) for word in text.split()} == {None}


def test_a_class_beside_expressions_is_said(tmp_path):
    listing, _, _ = read_labels(tmp_path, "happy", "sad", "calm", "bored")
    assert listing.notes == ("besides expressions, there are the classes bored and calm",)


def test_names_that_mean_the_same_are_said(tmp_path):
    listing, _, _ = read_labels(tmp_path, "happy", "joy", "HAPPY", "sad")
    assert listing.notes == ("happy and joy are read as happiness",)


@pytest.mark.parametrize(
    ("option", "first", "last"),
    [
        ("rafdb", "surprise", "neutral"),
        ("1:surprise,2:fear,3:disgust,4:joy,5:sad,6:angry,7:neutral", "surprise", "neutral"),
        ("surprise,fear,disgust,happy,sad,angry,neutral", "surprise", "neutral"),
    ],
)
def test_numbered_folders_get_names(tmp_path, option, first, last):
    for number in range(1, 8):
        picture(tmp_path / "train" / str(number) / "a.png")
    listing, records, _ = read("folder", tmp_path, names=option)
    assert listing.classes == EXPRESSIONS[:7]
    assert (records[0].expression, records[-1].expression) == (first, last)
    assert listing.options == {"names": option}


def test_numbered_folders_without_names_are_refused(tmp_path):
    for number in range(8):
        picture(tmp_path / str(number) / "a.png")
    with pytest.raises(UserError, match=r"every folder is a number .*names=affectnet for 0 neutral"):
        read("folder", tmp_path)
    assert read("folder", tmp_path, names="affectnet")[0].classes == EXPRESSIONS


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("happy,sad", "lists 2 names, but there are 3 numbered classes"),
        ("happy,1:sad", "must be keep"),
        ("happy,,sad", "must be keep"),
        ("suprise,sad,happy", "did you mean surprise"),
        ("rafbd", "lists 1 name, but"),
    ],
)
def test_names_that_do_not_fit_are_refused(tmp_path, option, words):
    with pytest.raises(UserError, match=words):
        read_labels(tmp_path, "0", "1", "2", names=option)


def test_ten_comes_after_two():
    names = [str(number) for number in range(12)]
    assert in_canonical_order(reversed(names)) == tuple(names)
    assert in_canonical_order(["level 10", "level 2", "fear"]) == ("fear", "level 2", "level 10")


def test_an_option_names_words_too():
    names = ClassNames("joie:happiness,Colère:anger")
    assert [names(word) for word in ("JOIE", "colère", "sad")] == ["happiness", "anger", "sadness"]
