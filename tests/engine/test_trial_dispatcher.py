"""Searches of several launches on one Optuna storage: real storages and samplers, no cluster."""

import math
import time
from types import SimpleNamespace

import pytest
from sqlalchemy.exc import OperationalError

from raysweep.config.experiment import Experiment
from raysweep.engine.search.optuna_study import STILL_SECONDS, UNSEEN_SECONDS, summary
from raysweep.pipeline import Sets
from raysweep.store.unusable import StoreUnusable
from raysweep.study import Choice, LogUniform, Search, Uniform
from tests.conftest import make_squares
from tests.engine.search_driver import EPOCHS, Launch, formula, make_arm

NUMBERS = {"train.learning_rate": LogUniform(1e-4, 1e-1), "labels.alpha": Uniform(0, 1)}
CONDITIONAL = {
    "train.learning_rate": LogUniform(1e-4, 1e-1),
    "labels.method": Choice(["one_hot", "euclidean", "gaussian"]),
    "labels.alpha": Uniform(0, 1).when("labels.method", ["euclidean", "gaussian"]),
}
TWO_POINTS = {"labels.method": Choice(["euclidean", "gaussian"])}


@pytest.fixture(autouse=True)
def small_sets(monkeypatch):
    sets = Sets(make_squares(40, 16))
    monkeypatch.setattr("raysweep.engine.search.trial_dispatcher.load_sets", lambda experiment, cache: sets)


@pytest.fixture
def launch(tmp_path):
    """Launches on one folder, or on others; closed at the end."""
    launches = []

    def begin(*arms, folder="a", **words):
        launches.append(Launch(tmp_path / folder, arms, **words))
        return launches[-1]

    yield begin
    for each in launches:
        each.close()


@pytest.mark.parametrize(
    ("search", "trials"),
    [
        (Search(space=CONDITIONAL), 13),
        (Search(space=CONDITIONAL, sampler="random", stopper="median"), 9),
        (Search(space=NUMBERS, sampler="nsga2", objectives=["macro_f1", "nll"], stopper=None), 7),
    ],
    ids=["tpe, asha", "random, median", "nsga2"],
)
def test_a_search_that_is_stopped_and_goes_on_finds_what_an_undisturbed_one_finds(search, trials, launch):
    whole = launch(make_arm(search), folder="whole", trials=trials).run()
    assert len(whole.counted()) == trials
    assert len({str(point) for _, point, _ in whole.counted()}) == trials

    first = launch(make_arm(search), trials=trials).run(until=3)
    trial, running = first.next()  # the fourth: its launch is killed on the way
    first.train(trial, running, epochs=0 if search.stopper else 3)
    second = launch(make_arm(search), name="two", trials=trials).run(until=2)
    second.next()
    second.dispatcher.close()  # Ctrl-C twice
    third = launch(make_arm(search), name="three", trials=trials).run()
    assert third.counted() == whole.counted()
    states = [state for state, _, _ in third.counted()]
    assert ("PRUNED" in states) == (search.stopper is not None)
    assert [word[2] for word in second.heard.of("stopped")] == [3, 6]  # 4 is 3 again, then 5


@pytest.mark.parametrize(("sampler", "trials"), [("cmaes", 6), ("gp", 11)])
def test_a_sequential_search_is_reproducible(sampler, trials, launch):
    search = Search(space=NUMBERS, sampler=sampler, stopper=None)
    points = [launch(make_arm(search), folder=name, trials=trials).run().counted() for name in ("a", "b")]
    assert points[0] == points[1]
    assert len({str(point) for _, point, _ in points[0]}) == trials


def test_what_a_living_launch_runs_is_left_alone(launch):
    search = Search(space=NUMBERS)
    first = launch(make_arm(search), name="first")
    trial, running = first.next()
    second = launch(make_arm(search), name="second", living=["first", "second"])
    other, beside = second.next()
    assert beside.trial.point != running.trial.point
    assert second.train(other, beside)
    assert first.train(trial, running)
    assert second.dispatcher.finished is False
    states = [trial.state.name for trial in first.trials()]
    assert states == ["COMPLETE", "COMPLETE"]


def test_a_launch_waits_for_the_last_trial_of_another_and_takes_it_over_when_that_dies(launch):
    search, living = Search(space=NUMBERS, stopper=None), {"first", "second"}
    first = launch(make_arm(search), trials=2, name="first")
    trial, running = first.next()
    first.train(trial, running, epochs=2)
    second = launch(make_arm(search), trials=2, name="second", living=living)
    second.train(*second.next())
    assert second.next()[1] is None
    assert not second.dispatcher.finished
    living.discard("first")
    last, taken = second.next()
    assert taken.trial.point == running.trial.point
    assert taken.trial.key == running.trial.key
    second.train(last, taken)
    assert second.next()[1] is None
    assert second.dispatcher.finished
    assert second.heard.of("stopped") == [("stopped", "", 0)]
    assert not first.train(trial, running, epochs=3)  # it was only frozen: its trial is not its own any more
    assert first.heard.of("stopped") == [("stopped", "", 0)]
    assert [state for state, *_ in second.counted()] == ["COMPLETE", "COMPLETE"]


def test_the_budget_counts_what_is_there(launch):
    search = Search(space=NUMBERS)
    assert launch(make_arm(search), trials=4).run().count == 5  # the fifth time there is nothing
    assert launch(make_arm(search), trials=4, name="again").run().count == 1
    more = launch(make_arm(search), trials=6, name="more").run()
    assert len(more.heard.of("started")) == 2
    found = summary(more.studies[0].study)
    assert found.trials == 6
    assert sum(found.counts.values()) == 6


def test_a_budget_in_device_hours_counts_every_device(launch):
    search = Search(space=NUMBERS, stopper=None)  # four seconds a trial, on two devices
    ended = launch(make_arm(search), trials=None, device_hours=20 / 3600, devices=2).run()
    assert len(ended.counted()) == 3
    assert summary(ended.studies[0].study).device_seconds == 24.0


def test_a_search_limited_by_hours_alone_ends_when_nothing_new_is_left(launch, monkeypatch):
    monkeypatch.setattr("raysweep.engine.search.optuna_study.IDLE", 12)  # a hundred proposals take half a minute
    ended = launch(make_arm(Search(space=TWO_POINTS)), trials=None, device_hours=1.0)
    trial, running = ended.next()
    other, beside = ended.next()
    assert ended.next()[1] is None  # both points run: what is proposed now waits for them, and not for ever
    ended.train(trial, running)
    ended.train(other, beside)
    assert ended.run().dispatcher.finished
    found = summary(ended.studies[0].study)
    assert found.device_seconds == 8.0
    assert found.is_spent(ended.dispatcher.plan.budget)


def test_a_failed_trial_costs_its_seconds(launch):
    ended = launch(make_arm(Search(space=NUMBERS)), trials=1, devices=2)
    trial, _ = ended.next()
    ended.dispatcher.failed(trial.trial_id, "no memory", seconds=5.0)
    ended.dispatcher.give_back(trial.trial_id)
    found = summary(ended.studies[0].study)
    assert (found.device_seconds, found.first_cause) == (10.0, "no memory")


def test_failed_points_are_tried_again_when_asked(launch):
    search = Search(space=NUMBERS, stopper=None)
    failed = launch(make_arm(search), trials=3)
    for trial, _ in [failed.next() for _ in range(3)]:
        failed.dispatcher.failed(trial.trial_id, "no memory", seconds=1.0)
        failed.dispatcher.give_back(trial.trial_id)
    assert launch(make_arm(search), trials=3, name="as before").run().count == 1  # nothing left to try
    again = launch(make_arm(search), trials=3, name="again")
    assert again.studies[0].retry() == 3
    assert again.studies[0].retry() == 0
    again.run()
    points = [trial.params for trial in again.trials()]
    assert points[:3] == points[3:]
    assert [state for state, *_ in again.counted()] == ["COMPLETE"] * 3


def test_a_trial_of_a_launch_on_another_store_is_left_alone_until_it_is_silent(launch, monkeypatch):
    search = Search(space=NUMBERS)
    first = launch(make_arm(search), name="elsewhere", trials=1)
    first.next()
    second = launch(make_arm(search), name="here", trials=1, alive=lambda launch: None)
    assert second.next()[1] is None
    assert not second.dispatcher.finished
    start = time.monotonic()
    for hours, seconds, taken in [
        (2, 0, False),
        (2, 60, False),
        (0, STILL_SECONDS + 1, False),
        (2, STILL_SECONDS + 1, True),
    ]:
        later = time.time() + hours * UNSEEN_SECONDS  # by the clock of a machine that may be wrong
        with monkeypatch.context() as patch:
            patch.setattr("raysweep.engine.search.optuna_study.time", SimpleNamespace(
                time=lambda later=later: later, monotonic=lambda seconds=seconds: start + seconds
            ))  # fmt: skip
            assert (second.next()[1] is not None) is taken


def test_a_score_that_is_missing_fails_the_trial(launch):
    ended = launch(make_arm(Search(space=NUMBERS)), trials=1)
    trial, running = ended.next()
    ended.dispatcher.done(trial.trial_id, running.trial.key, 1.0, {"validation/accuracy": 0.5})
    ended.dispatcher.give_back(trial.trial_id)
    assert summary(ended.studies[0].study).first_cause == "validation/macro_f1 is not to be had"


def test_a_storage_that_cannot_be_used_stops_the_launch_and_says_so(launch):
    ended = launch(make_arm(Search(space=NUMBERS)))
    for error in (OperationalError("SELECT 1", {}, Exception("disk I/O error")), StoreUnusable("second")):
        with ended.dispatcher.stops_when_unusable():
            raise error
    assert ended.next()[1] is None
    assert ended.dispatcher.finished
    assert ended.dispatcher.outcome.stopped.startswith("the Optuna storage cannot be used: ")
    with pytest.raises(KeyError), ended.dispatcher.stops_when_unusable():
        raise KeyError("a fault of ours")


def test_the_start_points_come_first_and_every_arm_has_its_turn(launch):
    search = Search(space=CONDITIONAL, start=[{}, {"labels.method": "gaussian", "labels.alpha": 0.25}])
    arms = [make_arm(search, "a"), make_arm(search, "b", {"labels.noise_rate": 0.3})]
    ended = launch(*arms, trials=3).run()
    assert [word[1:] for word in ended.heard.of("started")] == [
        ("arm=a", 0), ("arm=b", 0), ("arm=a", 1), ("arm=b", 1), ("arm=a", 2), ("arm=b", 2)
    ]  # fmt: skip
    for number in (0, 1):
        points = [point for _, point, _ in ended.counted(number)]
        assert points[0] == {"train.learning_rate": 2.5e-4, "labels.method": "euclidean", "labels.alpha": 0.5}
        assert points[1] == {"train.learning_rate": 2.5e-4, "labels.method": "gaussian", "labels.alpha": 0.25}
    assert ended.counted(0)[2][1] != ended.counted(1)[2][1]
    new = Search(space=CONDITIONAL, start=[{}, {"labels.method": "one_hot"}])
    more = launch(make_arm(new, "a"), name="more", trials=4).run()
    assert more.counted()[3][1] == {"train.learning_rate": 2.5e-4, "labels.method": "one_hot"}


def test_a_point_that_was_had_before_is_answered_at_once(launch):
    ended = launch(make_arm(Search(space=TWO_POINTS)), trials=6).run()
    assert ended.count == 3  # two were trained
    assert [state for state, *_ in ended.counted()] == ["COMPLETE"] * 6
    values = {point["labels.method"]: values for _, point, values in ended.counted()}
    assert all(values[point["labels.method"]] == value for _, point, value in ended.counted())
    told = ended.heard.of("epoch")
    assert [sum(word[2] == number for word in told) for number in range(6)] == [EPOCHS] * 6  # a whole curve for each
    assert summary(ended.studies[0].study).device_seconds == 8.0


def test_a_twin_of_a_running_trial_waits_for_it(launch):
    ended = launch(make_arm(Search(space=TWO_POINTS)), trials=6)
    first, second = ended.next(), ended.next()
    assert second[1] is not None
    assert ended.next()[1] is None  # whatever Optuna proposes runs already
    ended.train(*first)
    ended.train(*second)
    assert ended.next()[1] is None
    assert ended.dispatcher.finished
    assert [state for state, *_ in ended.counted()] == ["COMPLETE"] * 6


def test_failures_are_recorded_and_the_search_goes_on(launch):
    def score(experiment):
        return math.nan if experiment.labels.method == "gaussian" else formula(experiment)

    ended = launch(make_arm(Search(space=TWO_POINTS, start=[{}, {"labels.method": "gaussian"}])), trials=4, score=score)
    ended.run()
    states = {point["labels.method"]: state for state, point, _ in ended.counted()}
    assert states == {"euclidean": "COMPLETE", "gaussian": "FAIL"}
    causes = [trial.user_attrs.get("raysweep.cause") for trial in ended.trials() if trial.state.name == "FAIL"]
    assert causes[0] == "validation/macro_f1 is nan"
    assert causes[0] in ended.heard.causes
    assert summary(ended.studies[0].study).point == {"labels.method": "euclidean"}


def test_a_point_that_no_experiment_can_be_fails_with_the_reason(launch):
    space = {"train.swa_start": Choice([0.5, None]), "selection.weights": Choice(["swa", "last"])}
    ended = launch(make_arm(Search(space=space, start=[])), trials=12).run()
    failed = [trial for trial in ended.trials() if trial.state.name == "FAIL"]
    assert failed
    for trial in failed:
        assert trial.params == {"train.swa_start": None, "selection.weights": "swa"}
        assert trial.user_attrs["raysweep.cause"] == "`selection.weights=swa` needs `train.swa_start`, but it is none"
    assert summary(ended.studies[0].study).number is not None


def test_a_search_where_everything_fails_says_why(launch):
    ended = launch(make_arm(Search(space=NUMBERS)), trials=3, score=lambda experiment: math.inf).run()
    found = summary(ended.studies[0].study)
    assert (found.number, found.counts["failed"]) == (None, 3)
    assert found.first_cause == "validation/macro_f1 is inf"


def test_a_process_that_died_costs_its_seconds_too(launch):
    ended = launch(make_arm(Search(space=NUMBERS, stopper=None)), trials=1)
    trial, running = ended.next()
    ended.train(trial, running, epochs=3)
    ended.dispatcher.started(trial.trial_id, running.trial.key)  # Tune starts it again
    ended.train(trial, running)
    assert summary(ended.studies[0].study).device_seconds == 7.0
    assert len(ended.heard.of("started")) == 1
    assert [word[3] for word in ended.heard.of("epoch")] == [1, 2, 3, *range(1, EPOCHS + 1)]


def test_of_several_objectives_the_best_in_the_first_on_the_front_is_found(launch):
    search = Search(space=NUMBERS, objectives=["nll", "macro_f1"], sampler="nsga2", stopper=None)
    ended = launch(make_arm(search), trials=8).run()
    values = [values for _, _, values in ended.counted()]
    assert summary(ended.studies[0].study).values == tuple(min(values, key=lambda value: value[0]))


@pytest.mark.parametrize("stopper", ["asha", "median"])
def test_arms_are_not_compared_with_each_other_when_trials_are_ended_early(stopper, launch):
    search = Search(space=NUMBERS, stopper=stopper, sampler="random", start=[])
    arms = [make_arm(search, "good"), make_arm(search, "bad", {"train.epochs": 5})]

    def score(experiment: Experiment):  # every trial of the bad arm is worse than any of the good one
        return formula(experiment) - 100 * (experiment.train.epochs == 5)

    both = launch(*arms, trials=10, score=score, folder="both").run()
    alone = launch(arms[1], trials=10, score=score, folder="alone").run()
    assert both.counted(1) == alone.counted()
    states = [[state for state, *_ in both.counted(arm)] for arm in (0, 1)]
    assert all(set(of_arm) == {"COMPLETE", "PRUNED"} for of_arm in states)
    ends = [t.last_step for t in both.trials(0) if t.state.name == "PRUNED"]
    assert all(1 <= step < EPOCHS for step in ends)
    best = max(formula(arms[0].at(t.params)) for t in both.trials(0))
    assert summary(both.studies[0].study).values == (best,)  # the best is never ended early
