"""Two sets with other classes: what B lacks, what is dropped, and what counts as another, set by set."""

import pytest
import torch

from raysweep.cli.run import main
from raysweep.core.errors import UserError
from raysweep.data.dataset import TRAIN
from raysweep.pipeline import build, load_sets, run_cell
from raysweep.store.store import Store
from tests.own_sets import write_set
from tests.pipeline.small_joint import key_of, small_joint

FOUR = ("neutral", "happiness", "surprise", "fear")


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    root = tmp_path_factory.mktemp("own")
    for seed, (name, classes) in enumerate(
        {
            "A": FOUR,
            "C": (*FOUR, "contempt"),
            "five": (*FOUR, "contempt"),
            "merged": ("happiness", "neutral", "surprise"),
            "four": FOUR,
        }.items()
    ):
        parts = {"train": dict.fromkeys(classes, 20), "test": dict.fromkeys(classes, 6)}
        write_set(root, name, parts, seed=seed, va=name not in "AC")
    return root


def experiment(own, extra, target="A", **changes):
    names = tuple(str(own / f"{name}.csv") for name in extra.split("+"))
    fields = {"data__source": str(own / f"{target}.csv"), "data__image_size": 32, "joint__extra": names}
    return small_joint(**{**fields, **changes})


def sets_of(own, *names, **changes):
    made = experiment(own, *names, **changes)
    sets = load_sets(made)
    build(made, sets)
    return sets


def test_b_may_lack_classes_of_a(own):
    (b,) = sets_of(own, "merged").extras
    assert b.classes == FOUR
    assert b.labels[b.rows(TRAIN)].bincount(minlength=4).tolist() == [20, 20, 20, 0]
    assert "it has no training image of fear, which A has" in b.notes


def test_b_with_more_is_refused_with_the_fields_to_set(own):
    with pytest.raises(UserError) as error:
        sets_of(own, "five")
    assert "--set joint.drop=contempt leaves them out, --set joint.map=contempt:NAME counts them" in str(error.value)


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({"joint__classes": 7}, [20, 20, 20, 20]),
        ({"joint__drop": "contempt"}, [20, 20, 20, 20]),
        ({"joint__drop": "Contemptuous"}, [20, 20, 20, 20]),
        ({"joint__map": "contempt:neutral"}, [40, 20, 20, 20]),
        ({"joint__map": "contempt:fear,fear:surprise"}, [20, 20, 40, 20]),
        ({"data__classes": 7}, [20, 20, 20, 20]),  # said of A, B follows
    ],
)
def test_classes_of_b_changed(own, changes, counts):
    (b,) = sets_of(own, "five", **changes).extras
    assert b.labels[b.rows(TRAIN)].bincount(minlength=4).tolist() == counts
    assert any("contempt (26)" in note for note in b.notes)


def test_what_is_said_of_a_holds_for_all(own):
    sets = sets_of(own, "five", target="C", data__drop="contempt", data__map="fear:surprise")
    assert sets.target.classes == sets.extras[0].classes == ("neutral", "happiness", "surprise")
    assert len(sets.target.rows(TRAIN)) == 80
    third = sets_of(own, "four", data__map="fear:surprise", joint__finetune=str(own / "C.csv"))
    assert third.finetune.classes == ("neutral", "happiness", "surprise", "contempt")


def test_what_is_said_of_b_goes_before_what_is_said_of_a(own):
    sets = sets_of(own, "four", data__map="fear:surprise", joint__drop="fear")
    (b,) = sets.extras
    assert b.labels[b.rows(TRAIN)].bincount(minlength=3).tolist() == [20, 20, 20]


def test_one_value_a_set(own):
    five, four = sets_of(own, "five+four", joint__drop="contempt+fear").extras
    assert len(five.rows(TRAIN)) == 80
    assert len(four.rows(TRAIN)) == 60
    with pytest.raises(UserError, match=r"unknown class in joint\.drop: 'contempt'"):
        sets_of(own, "five+four", joint__drop="contempt+contempt")


def test_one_value_for_all_must_be_a_class_of_some(own):
    assert len(sets_of(own, "five+four", joint__drop="contempt").extras) == 2
    with pytest.raises(UserError, match=r"unknown class in joint.map: 'anger': choose one of .*\(of the extra sets\)"):
        sets_of(own, "five+four", joint__drop="contempt", joint__map="anger:fear")


def test_changed_classes_have_another_key(own):
    made = [experiment(own, "five", **{f"joint__{k}": v}) for k, v in (("drop", "contempt"), ("map", "contempt:fear"))]
    keys = {key_of(one, load_sets(one)) for one in made}
    assert len(keys) == 2
    assert key_of(made[0], load_sets(made[0])) == key_of(experiment(own, "five", joint__classes=7),
                                                         sets_of(own, "five", joint__classes=7))  # fmt: skip


@pytest.mark.parametrize("method", ["extra", "combine", "dcjt"])
def test_training_with_a_set_that_lacks_a_class(own, method, tmp_path):
    made = experiment(own, "merged", joint__method=method, train__epochs=2, joint__warm_up=0.0, joint__frequency=1.0)
    result = run_cell(made, load_sets(made), Store(tmp_path))
    assert torch.isfinite(torch.from_numpy(result.predictions.probs)).all()
    assert result.facts["classes"] == list(FOUR)


@pytest.mark.parametrize(
    ("study", "words"),
    [
        ("ablation_alpha", "data.drop=contempt"),
        ("ablation_votes", "data.map=contempt:disgust"),
        ("dcjt_finetune", "data.classes=7"),
        ("dcjt_mapping", "data.drop=contempt"),
        ("search_dcjt", "data.map=contempt:disgust"),
    ],
)
def test_from_the_command_line(study, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([study, "--preset", "smoke", "--plan", "--set", words]) == 0
    said = capsys.readouterr().out
    assert ", 7 expressions, " in said
    assert "contempt (" in said
