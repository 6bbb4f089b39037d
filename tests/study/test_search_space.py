"""The space of a search, what it refuses in one line, and the study that its table is made of."""

import sys
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysweep.cli.run import main
from raysweep.config.experiment import Experiment, field_paths
from raysweep.core.errors import UserError
from raysweep.study import (
    PRESETS,
    Axis,
    Choice,
    IntUniform,
    LogUniform,
    Search,
    Study,
    Uniform,
    find_study,
    fresh_replicates,
    make_cells,
    search_budget,
    search_cells,
)
from raysweep.study.search import own_value

VALIDATED = {"selection.protocol": "validation"}
RATE = {"train.learning_rate": LogUniform(1e-4, 1e-2)}
METHODS = Choice(["one_hot", "euclidean", "gaussian"])
FUSED = {
    "labels.alpha": Uniform(0, 1).when("labels.method", ["euclidean", "gaussian"]),
    "labels.method": METHODS,
}
NOISE = Axis.of("labels.noise_rate", [0.0, 0.3], name="noise")


def study_of(space, axes=(), base=VALIDATED, **words):
    return Study(title="Searched", axes=axes, base=base, search=Search(space=space, **words))


def cells_of(space, axes=(), base=VALIDATED, changes=None, preset="smoke", **words):
    return search_cells(study_of(space, axes, base, **words), preset, changes or {})


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: cells_of({"labels.alpha": Uniform(1, 0.5)}), "labels.alpha: `low < high` must hold, but got 1 >= 0.5"),
        (lambda: cells_of({"labels.alpha": Uniform(0.5, 0.5)}), "but got 0.5 >= 0.5"),
        (lambda: cells_of({"labels.alpha": Uniform(0, float("nan"))}), "both ends must be finite"),
        (lambda: cells_of({"train.learning_rate": LogUniform(0, 1)}), "above zero: `low > 0` must hold, but got 0"),
        (lambda: cells_of({"train.learning_rate": LogUniform(-1, 1)}), "`low > 0` must hold, but got -1"),
        (lambda: cells_of({"train.epochs": IntUniform(0, 9, log=True)}), "`low >= 1` must hold, but got 0"),
        (lambda: cells_of({"train.epochs": IntUniform(1, 2.5)}), "both ends must be whole numbers, but got 2.5"),
        (lambda: cells_of({"labels.method": Choice(["one_hot"])}), "two or more different values"),
        (lambda: cells_of({"labels.method": Choice(["one_hot", "one_hot"])}), "two or more different values"),
        (lambda: cells_of({"train.batch_size": Choice([32, 64, 32.0])}), "two or more different values"),
        (lambda: cells_of({"joint.extra": Choice([("a",), ("b",)])}), "a choice is a number, a name"),
        (lambda: cells_of({}), "at least one field"),
        (lambda: cells_of({"labels.alhpa": Uniform(0, 1)}), "field 'labels.alhpa': did you mean 'labels.alpha'?"),
        (lambda: cells_of({"labels.method": Choice(["one_hot", "gausian"])}), "`labels.method` must be one of"),
        (lambda: cells_of({"labels.alpha": Uniform(0, 1.5)}), "`labels.alpha <= 1` must hold, but got 1.5"),
        (lambda: cells_of({"train.batch_size": Uniform(8, 64)}, start=()), "`train.batch_size`: input should be"),
        (lambda: cells_of({"train.swa_start": Choice([0.5, None])}), "`selection.weights=swa` needs `train.swa_start`"),
        (lambda: cells_of({"seeds.init": IntUniform(0, 9)}), "the replicate sets the seeds"),
        (lambda: cells_of({"data.image_size": Choice([32, 48])}), "data.image_size cannot be searched"),
        (lambda: cells_of({"selection.protocol": Choice(["last", "validation"])}), "selects on validation images"),
        (lambda: cells_of({"selection.validation_share": Uniform(0.1, 0.2)}), "on the same validation images"),
        (lambda: cells_of({"labels.noise_rate": Uniform(0, 0.3)}, [NOISE]), "so no axis can sweep it"),
        (lambda: cells_of(RATE, changes={"train.learning_rate": 1e-3}), "the study searches this field"),
        (lambda: cells_of(RATE, base={"selection.protocol": "last"}), "add --set selection.protocol=validation"),
        (lambda: cells_of(RATE, [NOISE], {}, preset="paper"), "noise=0: a search selects on validation images"),
        (lambda: cells_of(RATE, start=[{"train.learning_rate": 1.0}]), "in [0.0001, 0.01], but got 1.0"),
        (lambda: cells_of({"train.learning_rate": LogUniform(0.1, 1)}), "which a start point does not change"),
        (lambda: cells_of(RATE, start=[{"labels.alpha": 1.0}]), "field in a start point 'labels.alpha'"),
        (lambda: cells_of({"labels.alpha": Uniform(0, 1).when("labels.mehtod", ["x"])}), "mean 'labels.method'"),
        (lambda: cells_of({**FUSED, "labels.alpha": Uniform(0, 1).when("labels.method", ["uniform"])}),
         "labels.alpha is searched when labels.method is 'uniform', but that is searched among one_hot"),
        (lambda: cells_of({"labels.alpha": Uniform(0, 1).when("labels.method", ["gausian"])}), "mean 'gaussian'"),
        (lambda: cells_of({"labels.alpha": Uniform(0, 1).when("objective.cosine", [True]),
                           "objective.cosine": Choice([True, False]).when("labels.alpha", [0.5])}), "are circular"),
        (lambda: Search(space=RATE, sampler="tep"), "unknown sampler 'tep': did you mean 'tpe'?"),
        (lambda: Search(space=FUSED, sampler="gp"), "sampler 'gp' cannot search conditional fields"),
        (lambda: Search(space={**RATE, "labels.method": METHODS}, sampler="cmaes"), "but labels.method is a choice"),
        (lambda: Search(space=RATE, sampler="cmaes"), "needs two fields or more"),
        (lambda: Search(space=RATE, sampler="nsga2"), "'nsga2' is for several objectives"),
        (lambda: Search(space=RATE, objectives=["macro_f1", "nll"]), "compares one score, but there are 2 objectives"),
        (lambda: Search(space=RATE, objectives=["macro_f"]), "unknown objective 'macro_f': did you mean 'macro_f1'?"),
        (lambda: Search(space=RATE, objectives=["kept_right"]), "unknown objective 'kept_right'"),
        (lambda: Search(space=RATE, stopper="hyperband"), "unknown stopper 'hyperband'"),
        (lambda: Search(space=RATE, trials=0), "`trials > 0` must hold"),
        (lambda: Study(title="Nothing"), "a study needs an axis, or a search"),
        (lambda: study_of(RATE, [Axis("tuning", {"a": {}})]), "an axis cannot be called 'tuning'"),
        (lambda: fresh_replicates(study_of(RATE), "demo", range(3)), "replicate 0 is searched on"),
        (lambda: search_budget(study_of(RATE), "demo", trials=-1), "`trials > 0` must hold, but got -1"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_one_line(ask, message):
    with pytest.raises(UserError) as caught:
        ask()
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("raysweep.study.search.find_spec", lambda name: None)
    with pytest.raises(UserError, match="sampler 'cmaes' needs the package cmaes: pip install cmaes"):
        Search(space={**RATE, "labels.alpha": Uniform(0, 1)}, sampler="cmaes")


def test_a_mistake_in_a_study_file_ends_with_exit_code_2(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (tmp_path / "mine.py").write_text(
        "from raysweep.study import Search, Study, Uniform\n"
        "study = Study(title='Mine', search=Search(space={'labels.alpha': Uniform(1, 0)}))\n"
    )
    assert main(["mine.py", "--plan"]) == 2
    said = capsys.readouterr().err.strip()
    assert said == "raysweep: mine.py: search range of labels.alpha: `low < high` must hold, but got 1 >= 0"
    assert [file.name for file in tmp_path.iterdir()] == ["mine.py"]


@given(st.integers())
def test_points_lie_in_the_space_and_respect_conditions(seed):
    space = {**FUSED, "labels.squared": Choice([True, False]).when("labels.method", ["euclidean"]), **RATE}
    search, draws = Search(space=space), Random(seed)
    point = search.point(Experiment(), lambda path, values: draws.choice(values.probes()))
    assert all(space[path].holds(value) for path, value in point.items())
    assert ("labels.alpha" in point) == (point["labels.method"] != "one_hot")
    assert ("labels.squared" in point) == (point["labels.method"] == "euclidean")
    Experiment().with_changes(point)


def test_a_condition_may_name_a_fixed_field():
    space = {"labels.statistics": Choice(["clean", "noisy"]).when("labels.noise_rate", [0.3]), **RATE}
    clean, noisy = cells_of(space, [NOISE])
    points = [Search(space=space).point(cell.experiment, lambda path, values: path) for cell in (clean, noisy)]
    assert [sorted(point) for point in points] == [sorted(RATE), sorted(space)]


def test_start_points_take_the_arms_own_values():
    start = [{"labels.method": "one_hot"}, {}, {"labels.alpha": 0.5}]
    (cell,) = cells_of({**FUSED, **RATE}, start=start)
    assert Search(space={**FUSED, **RATE}, start=start).start_points(cell.experiment) == [
        {"labels.method": "one_hot", "train.learning_rate": 2e-3},
        {"labels.method": "euclidean", "labels.alpha": 0.5, "train.learning_rate": 2e-3},  # {} and alpha=0.5 alike
    ]


def test_a_schedule_in_epochs_starts_a_search_in_shares():
    experiment = Experiment().with_changes({"train.epochs": 120, "joint.warm_up": 30, "joint.frequency": None})
    search = Search(space={"joint.warm_up": Uniform(0, 0.8)})
    assert search.start_points(experiment) == [{"joint.warm_up": 0.25}]
    with pytest.raises(UserError, match=r"joint.frequency is searched in \[0.1, 0.5\], but got None"):
        Search(space={"joint.frequency": Uniform(0.1, 0.5)}).start_points(experiment)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", ["search_ddaf", "search_dcjt"])
def test_the_papers_searches_fit_every_preset_and_start_with_the_arm_as_it_is(name, preset):
    study = find_study(name)[1]
    for cell in search_cells(study, preset, {}):
        first = study.search.start_points(cell.experiment)[0]
        at_first = cell.experiment.with_changes(first)
        epochs = range(1, cell.experiment.train.epochs + 1)
        for path in set(field_paths()) - {"joint.warm_up", "joint.frequency"}:
            assert own_value(at_first, path) == own_value(cell.experiment, path), path
        own, shares = cell.experiment.joint, at_first.joint
        assert [own.joins(e, len(epochs)) for e in epochs] == [shares.joins(e, len(epochs)) for e in epochs]


@given(st.floats(0, 0.84), st.floats(0.01, 0.16), st.sampled_from([10, 16, 50, 120]))
def test_every_schedule_of_search_dcjt_lets_b_join(warm_up, frequency, epochs):
    joint = Experiment().joint.model_copy(update={"warm_up": warm_up, "frequency": frequency})
    assert any(joint.joins(epoch, epochs) for epoch in range(1, epochs + 1))


def test_the_tuned_study_compares_every_arm_as_it_is_with_its_best_point():
    study = replace(study_of(RATE, [NOISE]), reference={"noise": "0"})
    found = {"noise=0": {"train.learning_rate": 5e-4}, "noise=0.3": {"train.learning_rate": 7e-3}}
    tuned = study.tuned(found)
    assert [axis.name for axis in tuned.axes] == ["noise", "tuning"]
    assert tuned.reference == {"noise": "0", "tuning": "default"}
    cells = make_cells(tuned, "smoke", fresh_replicates(study, "smoke"), {})
    rates = {(c.arm.name, c.replicate): c.experiment.train.learning_rate for c in cells}
    assert rates == {
        (f"noise={noise}, tuning={level}", replicate): rate
        for replicate in (1, 2)
        for noise, level, rate in (
            ("0", "default", 2e-3), ("0", "searched", 5e-4), ("0.3", "default", 2e-3), ("0.3", "searched", 7e-3)
        )
    }  # fmt: skip
    with pytest.raises(UserError, match=r"use --seeds 1:3"):
        make_cells(tuned, "smoke", range(2), {})


def test_an_arm_whose_search_found_nothing_stands_as_it_is():
    tuned = study_of(RATE, [NOISE]).tuned({"noise=0": {"train.learning_rate": 5e-4}})
    assert [arm.name for arm in tuned.arms()] == [
        "noise=0, tuning=default", "noise=0, tuning=searched", "noise=0.3, tuning=default"
    ]  # fmt: skip


def test_a_study_without_axes_is_searched_as_one_arm():
    study = study_of(RATE)
    assert [cell.arm.name for cell in search_cells(study, "smoke", {})] == [""]
    tuned = study.tuned({"": {"train.learning_rate": 5e-4}})
    assert [arm.name for arm in tuned.arms()] == ["tuning=default", "tuning=searched"]


def test_budget_and_replicates_come_from_the_preset_unless_asked():
    study = study_of(RATE, device_hours=2.0)
    assert search_budget(study_of(RATE), "demo").trials == 24
    assert search_budget(study, "demo") == search_budget(study_of(RATE), "demo", device_hours=2.0)
    assert search_budget(study, "demo", trials=3).device_hours is None
    assert list(fresh_replicates(study, "demo")) == [1, 2, 3, 4, 5]
    assert list(fresh_replicates(study_of(RATE, replicate=7), "smoke")) == [8, 9]
    assert study.search.describe(search_budget(study, "demo"))["space"] == {
        "train.learning_rate": {"kind": "log", "low": 1e-4, "high": 1e-2, "when": None}
    }
