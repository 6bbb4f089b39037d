"""Values as people type them: as many levels as different values, and every name says its value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysweep.config.experiment import Experiment
from raysweep.config.values import Word, field_value, level_name, level_names, read_value, split_values
from raysweep.core.errors import UserError
from raysweep.core.formatting import arm_name
from raysweep.core.parsing import parse_value


def texts(text):
    return [word.text for word in split_values("--axis x", text)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0,0.5,1", ["0", "0.5", "1"]),
        ("[0, 0.5, 1]", ["0", "0.5", "1"]),
        (" a , b ", ["a", "b"]),
        ("'/data/a,b.csv',c.csv", ["/data/a,b.csv", "c.csv"]),
        ('"a, b" , "c"', ["a, b", "c"]),
        ("o'brien.csv,it's", ["o'brien.csv", "it's"]),
        ("'10 %','50 %'", ["10 %", "50 %"]),
        ('"[x]",y', ["[x]", "y"]),
    ],
)
def test_values_between_commas(text, words):
    assert texts(text) == words


@pytest.mark.parametrize("text", ["0,,1", ",1", "0,1,", "", "[]", "[0,]", "'a,b", "'a'b,c", '"a" "b"'])
def test_what_is_no_list_is_refused(text):
    with pytest.raises(UserError, match=r"a value is missing|a quote must close"):
        split_values("--axis x", text)


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("labels.alpha", ".5", 0.5),
        ("labels.alpha", "1.", 1.0),
        ("labels.alpha", "+5e-1", 0.5),
        ("labels.alpha", "-0.0", 0.0),
        ("train.epochs", "5.0", 5),
        ("train.epochs", "1e1", 10),
        ("joint.warm_up", "3", 3.0),
        ("joint.relabel", "True", True),
        ("data.train_images", "none", None),
        ("objective.class_weights", "none", "none"),
        ("model.weights", "none", None),
        ("data.source", "2024", "2024"),
        ("data.source", "true", "true"),
        ("data.source", "none", "none"),
        ("data.source", "1e-3", "1e-3"),
        ("joint.finetune", "007", "007"),
    ],
)
def test_a_word_becomes_what_the_field_holds(path, text, value):
    held = read_value(path, Word(text))
    assert (held, type(held)) == (value, type(value))
    assert str(held) != "-0.0"


def test_quoted_words_are_text():
    assert read_value("model.weights", Word("none", quoted=True)) == "none"
    assert read_value("joint.finetune", Word("NULL", quoted=True)) == "NULL"


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("labels.alpha", "inf", "`labels.alpha`"),
        ("labels.alpha", "nan", "`labels.alpha`"),
        ("labels.alpha", "1.5", "`labels.alpha <= 1` must hold, but got 1.5"),
        ("train.epochs", "2.5", "`train.epochs`"),
        ("train.epochs", "9e999", "`train.epochs`"),
        ("labels.alpha", "0,5", "`labels.alpha`"),
        ("labels.method", "gausian", "`labels.method` must be one of"),
        ("labels.alhpa", "1", "did you mean 'labels.alpha'?"),
        ("labels.alpha", "0:1:0.25", "write labels.alpha=0,0.25,0.5,0.75,1"),
        ("train.epochs", "1:3", "write train.epochs=1,2,3"),
        ("labels.alpha", "0:1:0", "write labels.alpha=V,V,..."),
        ("labels.alpha", "1:0:0.1", "write labels.alpha=V,V,..."),
        ("labels.alpha", "0:1:1e-9", "write labels.alpha=V,V,..."),
    ],
)
def test_what_a_field_cannot_hold_is_refused(path, text, message):
    with pytest.raises(UserError) as caught:
        read_value(path, Word(text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_many_digits_are_many_levels():
    assert list(level_names("train.learning_rate", [0.1234567, 0.1234568])) == ["0.1234567", "0.1234568"]
    assert list(level_names("data.train_images", [1000001, 1000002])) == ["1000001", "1000002"]
    assert list(level_names("objective.weight_va", [1e15, 1e15 + 1, 1e16])) == [
        "1000000000000000",
        "1000000000000001",
        "1e+16",
    ]
    assert list(level_names("model.weights", [None, "none", "None", "5"])) == ["none", '"none"', '"None"', "5"]
    assert list(level_names("joint.extra", [("a", "b"), ("a+b",), (), ("none",)])) == ["a+b", '"a+b"', "none", '"none"']


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("labels.alpha", [0.5, 0.50]),
        ("labels.alpha", [0, 0.5, -0.0]),
        ("labels.alpha", [1, True]),
        ("train.learning_rate", [1e-3, 0.001]),
        ("train.epochs", [5, 5.0]),
        ("train.epochs", ["5", 5]),
        ("joint.relabel", [True, 1]),
        ("objective.class_weights", [None, "none"]),
        ("data.train_images", [None, None]),
        ("joint.extra", [("a", "b"), "a+b"]),
    ],
)
def test_one_value_written_twice_is_refused(path, values):
    with pytest.raises(UserError, match="is named twice"):
        level_names(path, values)


@given(st.lists(st.floats(1e-12, 1e12, allow_nan=False), min_size=1, max_size=8, unique=True))
def test_as_many_names_as_numbers(values):
    names = level_names("objective.weight_va", values)
    assert list(names.values()) == values
    assert [float(name) for name in names] == values


@given(st.lists(st.integers(16, 10**18), min_size=1, max_size=8, unique=True))
def test_as_many_names_as_counts(values):
    assert [int(name) for name in level_names("data.train_images", values)] == values


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_name_reads_back_as_its_number(value):
    assert parse_value(level_name(value)) == value


WORDS = st.text(st.sampled_from("ab,\\= "), min_size=1, max_size=6)


@given(st.lists(st.dictionaries(WORDS, WORDS, min_size=1, max_size=3), min_size=2, max_size=2))
def test_no_two_arms_have_one_name(arms):
    ours, theirs = ([*arm.items()] for arm in arms)
    assert (arm_name(arms[0]) == arm_name(arms[1])) == (ours == theirs) or "=" in "".join(map(str, [ours, theirs]))


def test_commas_and_backslashes_in_levels():
    one, two = {"x": "1, y=2", "y": "3"}, {"x": "1", "y": "2, y=3"}
    assert arm_name(one) != arm_name(two)
    assert arm_name({"x": "a\\", "y": "b"}) != arm_name({"x": "a, y=b"})


def test_a_value_is_checked_alone():
    """`scale_min` may exceed the default of `scale_max` in an arm that changes both."""
    assert field_value("augment.scale_min", 2.0) == 2.0
    with pytest.raises(UserError, match="scale_min <= scale_max"):
        Experiment().with_changes({"augment.scale_min": 2.0})
