"""Classes that are kept, dropped, renamed and merged, and an extra set's brought in the target's order."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raysweep.config.class_changes import drop_words, map_words, pairs_of, read_map_file
from raysweep.config.experiment import Experiment
from raysweep.config.sections import Data
from raysweep.core.errors import UserError
from raysweep.data.classes import ClassChanges, canonical_order, changed_classes, in_order_of
from raysweep.data.dataset import TRAIN, DatasetInfo, FaceData
from raysweep.data.expressions import EXPRESSIONS
from raysweep.data.load import load_data
from tests.conftest import make_squares


def eight(count=64) -> FaceData:
    data = make_squares(count, 8, 8)
    votes = torch.rand(count, 8, generator=torch.Generator().manual_seed(3)) * (torch.arange(8) != 5)
    votes = votes / votes.sum(1, keepdim=True)
    votes[7] = torch.eye(8)[7]
    votes[9] = math.nan
    return replace(data, votes=votes, info=DatasetInfo(target_probs=votes.nan_to_num(0.125), problems=("one",)))


def changed(data, number=None, drop=None, pairs=None, strict=True):
    return changed_classes(data, ClassChanges.of("data", number, drop, pairs, strict))


def test_a_dropped_class_leaves_with_its_images():
    data = eight()
    seven = changed(data, drop="contempt")
    assert seven.classes == EXPRESSIONS[:7]
    assert len(seven) == 56
    assert torch.equal(seven.images[:], data.images[data.labels != 7])
    assert torch.equal(seven.labels, data.labels[data.labels != 7])
    assert seven.notes == ("images of classes that were dropped: contempt (8)",)
    assert seven.fingerprint.split(" ")[0] == data.fingerprint.split(" ")[0]
    assert seven.fingerprint == changed(data, number=7).fingerprint
    assert seven.info.problems == ("one",)
    assert changed(changed(data, drop="contempt"), number=7).fingerprint == seven.fingerprint  # nothing more to do


def test_votes_of_merged_classes_are_added_and_the_rest_renormalised():
    data = eight()
    merged = changed(data, drop="contempt", pairs="fear:surprise")
    kept = data.labels != 7
    given_votes = data.votes[kept].numpy().astype(np.float64)
    expected = np.delete(given_votes, [4, 7], axis=1)
    expected[:, 3] += given_votes[:, 4]
    total = expected.sum(1, keepdims=True)
    expected = np.divide(expected, total, out=np.full_like(expected, np.nan), where=total > 0)
    assert merged.classes == ("neutral", "happiness", "sadness", "surprise", "disgust", "anger")
    assert np.allclose(merged.votes.numpy(), expected, atol=1e-6, equal_nan=True)
    assert np.allclose(merged.info.target_probs.sum(1), 1, atol=1e-6)
    names = [merged.classes[k] for k in merged.labels]
    before = [EXPRESSIONS[k].replace("fear", "surprise") for k in data.labels[kept]]
    assert names == before
    assert "fear (8) as surprise" in merged.notes[-1]


def test_votes_for_dropped_classes_alone_are_no_votes():
    data = eight()
    assert changed(data, pairs="contempt:disgust").votes[7].tolist() == [0, 0, 0, 0, 0, 1, 0]
    assert changed(replace(data, labels=torch.zeros(64, dtype=torch.int64)), drop="contempt").votes[7].isnan().all()


@given(st.permutations(range(8)), st.integers(2, 8), st.data())
@settings(max_examples=40, deadline=None)
def test_any_merging_keeps_every_image_and_every_vote(order, groups, data):
    """Into `groups` new classes, named after one of each."""
    faces = eight()
    into = {EXPRESSIONS[k]: EXPRESSIONS[order[i % groups]] for i, k in enumerate(order)}
    made = changed(faces, pairs=",".join(f"{old}:{new}" for old, new in into.items()))
    assert len(made) == len(faces)
    assert set(made.classes) == set(into.values())
    assert made.classes == canonical_order(made.classes)
    row = data.draw(st.integers(0, 63))
    assert made.classes[made.labels[row]] == into[EXPRESSIONS[faces.labels[row]]]
    if bool(faces.votes[row].isfinite().all()):
        for k, name in enumerate(made.classes):
            mine = sum(float(faces.votes[row, EXPRESSIONS.index(old)]) for old, new in into.items() if new == name)
            assert float(made.votes[row, k]) == pytest.approx(mine, abs=1e-5)


def test_new_names_and_swapped_ones():
    data = eight()
    three = changed(data, drop="surprise", pairs="happiness:positive," + ",".join(
        f"{name}:negative" for name in ("sadness", "fear", "disgust", "anger", "contempt")))  # fmt: skip
    assert three.classes == ("neutral", "negative", "positive")
    swapped = changed(data, pairs="fear:surprise,surprise:fear")
    assert swapped.classes == data.classes
    assert torch.equal(swapped.labels == 3, data.labels == 4)
    assert swapped.fingerprint != data.fingerprint


@pytest.mark.parametrize("pairs", ["Happy:joyful", "fear:fear", "afraid:Fear"])
def test_what_changes_nothing_changes_no_key(pairs):
    data = eight()
    made = changed(data, pairs=pairs, strict=pairs != "Happy:joyful")
    if made.classes == data.classes:
        assert made.fingerprint == data.fingerprint


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ({"drop": "contmpt"}, "unknown class in data.drop: 'contmpt': did you mean 'contempt'? (squares)"),
        ({"pairs": "feer:surprise"}, "unknown class in data.map: 'feer': did you mean 'fear'?"),
        ({"pairs": "fear:suprise"}, "unknown class in data.map: 'suprise': did you mean 'surprise'?"),
        ({"drop": "fear", "pairs": "fear:surprise"}, "data.drop and data.map both name fear"),
        ({"drop": ",".join(EXPRESSIONS[1:])}, "at least two classes are needed, but data.* leaves neutral"),
        ({"number": 7, "pairs": "fear:calm"}, "data.classes=7 allows neutral, "),
        ({"number": 8, "pairs": "fear:calm"}, "data.map=calm:NAME or data.drop=calm"),
    ],
)
def test_changes_that_make_no_sense(words, rule):
    with pytest.raises(UserError) as error:
        changed(eight(), **words)
    assert rule in str(error.value)
    assert "\n" not in str(error.value)


def test_names_said_of_another_set_need_not_be_there():
    four = make_squares(16, 8, 4)
    assert changed(four, drop="contempt", pairs="fear:surprise", strict=False) is four


def test_an_extra_set_in_the_target_s_order():
    four = make_squares(40, 8, 4)
    mixed = replace(four, classes=("surprise", "neutral", "sadness", "happiness"))
    made = in_order_of(mixed, EXPRESSIONS[:5], "A")
    assert made.classes == EXPRESSIONS[:5]
    assert [made.classes[k] for k in made.labels] == [mixed.classes[k] for k in mixed.labels]
    assert torch.equal(made.votes[:, EXPRESSIONS.index("surprise")], mixed.votes[:, 0])
    assert torch.equal(made.votes[:, 4], torch.zeros(40))
    assert made.notes == ("it has no training image of fear, which A has",)
    assert made.fingerprint != mixed.fingerprint
    other = in_order_of(mixed, EXPRESSIONS[:6], "A")
    assert other.fingerprint != made.fingerprint  # fewer labels stand for more
    assert in_order_of(four, four.classes, "A") is four
    assert in_order_of(four, EXPRESSIONS[:3], "A") is four  # refused elsewhere


def test_a_class_in_the_test_part_alone_is_told():
    four = make_squares(40, 8, 4)
    splits = torch.where(four.labels == 2, 2, four.splits)
    made = in_order_of(four.with_splits(splits), four.classes, "A")
    assert made.notes == ("it has no training image of sadness, which A has",)


def test_an_experiment_says_it_for_built_in_faces():
    few = Data(source="faces", image_size=32, train_images=64, test_images=32)
    plain, seven = (load_data(few.model_copy(update={"classes": number})) for number in (None, 7))
    assert plain.num_classes == 8
    assert seven.num_classes == 7
    assert len(seven) == int((plain.labels != 7).sum())
    assert len(seven.rows(TRAIN)) < 64


@pytest.mark.parametrize(
    ("path", "value", "kept"),
    [
        ("data.map", "fear:surprise", "fear:surprise"),
        ("data.map", " fear -> surprise ; joy=happiness", "fear:surprise,joy:happiness"),
        ("data.map", {"fear": "surprise"}, "fear:surprise"),
        ("data.drop", "contempt+disgust", "contempt,disgust"),
        ("data.drop", ("contempt", "contempt"), "contempt"),
        ("data.drop", 7, "7"),
        ("data.drop", None, None),
        ("data.classes", "7", 7),
        ("joint.classes", "7+none", (7, None)),
        ("joint.drop", "contempt,disgust+none", ("contempt,disgust", None)),
        ("joint.map", "fear:surprise,joy:happiness+none", ("fear:surprise,joy:happiness", None)),
        ("joint.map", "fear:surprise", "fear:surprise"),
    ],
)
def test_how_people_write_it(path, value, kept):
    section, name = path.split(".")
    extra = {"joint.extra": "B+D", "joint.method": "combine"}
    made = Experiment().with_changes({**extra, path: value})
    assert getattr(getattr(made, section), name) == kept
    assert Experiment.model_validate(made.model_dump()) == made


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        (
            "data.map",
            "fear",
            "`data.map` must be a file, or pairs such as fear:surprise joined by commas, but got 'fear'",
        ),
        ("data.map", "fear:surprise:joy", "must be a file, or pairs"),
        ("data.map", "fear:surprise,fear:joy", "`data.map`: fear cannot become both surprise and joy"),
        ("data.drop", "contempt,,fear", "`data.drop` must be names of classes joined by commas"),
        ("data.classes", 6, "`data.classes` must be 7 (without contempt), 8 or none, but got 6"),
        ("joint.drop", "a+b+c", "`joint.drop` needs one value, or one for each of 2 extra sets, but got 3: a+b+c"),
    ],
)
def test_words_that_make_no_sense(path, value, rule):
    with pytest.raises(UserError) as error:
        Experiment().with_changes({"joint.extra": "B+D", "joint.method": "combine", path: value})
    assert rule in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "fear:surprise\njoy:happiness\n",
        "from,to\nfear,surprise\n\n# a remark\njoy,happiness  # and another\n",
        "fear\tsurprise\r\njoy\thappiness\r\n",
        "\ufefffear -> surprise\njoy -> happiness",
        '{"fear": "surprise", "joy": "happiness"}',
    ],
)
def test_a_file_of_pairs(text, tmp_path):
    (tmp_path / "map.txt").write_text(text, encoding="utf-8")
    assert read_map_file("data.map", str(tmp_path / "map.txt")) == "fear:surprise,joy:happiness"


@pytest.mark.parametrize(
    "text", ["fear\n", "fear:surprise:joy\n", "a,b,c\n", "fear:\n", "fear:a\nfear:b\n", "{nonsense"]
)
def test_a_file_that_is_no_mapping(text, tmp_path):
    (tmp_path / "map.txt").write_text(text)
    with pytest.raises(UserError, match="must hold a pair of classes a line"):
        read_map_file("data.map", str(tmp_path / "map.txt"))


def test_neither_file_nor_pairs():
    with pytest.raises(UserError, match="no such file"):
        read_map_file("data.map", "map.txt")
    assert read_map_file("data.map", "fear:surprise") == "fear:surprise"
    assert read_map_file("data.map", None) is None
    assert pairs_of(map_words("data.map", "a:b")) == {"a": "b"}
    assert drop_words("data.drop", ()) is None
