"""An Optuna storage that is not this search's is refused in one line, and nothing is written to it."""

import sqlite3
from dataclasses import replace

import optuna
import pytest

from raysweep.core.errors import UserError
from raysweep.engine.cluster import ClusterOptions
from raysweep.engine.events import Listener
from raysweep.engine.search.optuna_study import ArmStudy
from raysweep.engine.search.run import run_search, search_so_far, trials_left
from raysweep.engine.search.storage import open_storage
from raysweep.pipeline import Sets
from raysweep.store.store import Store
from raysweep.study import Budget, Search, Uniform
from raysweep.study.search_plan import SearchPlan
from tests.conftest import make_squares
from tests.engine.search_driver import Launch, make_arm

SEARCH = Search(space={"labels.alpha": Uniform(0, 1)}, stopper=None)


@pytest.fixture(autouse=True)
def small_sets(monkeypatch):
    sets = Sets(make_squares(40, 16))
    monkeypatch.setattr("raysweep.engine.search.trial_dispatcher.load_sets", lambda experiment, cache: sets)


def asked(folder, arm, storage=None, trials=2):
    """What a launch with nothing left to try would do: look, and say what was found."""
    plan = SearchPlan("study", arm.search, Budget(trials), [arm])
    options = ClusterOptions(Store(folder), folder / "data")
    so_far = search_so_far(plan, options, storage)
    return run_search(plan, options, None, Listener(), "again", lambda launch: False, so_far, storage)


@pytest.fixture
def searched(tmp_path):
    launch = Launch(tmp_path, [make_arm(SEARCH)], trials=2).run()
    launch.close()
    return tmp_path


def test_a_finished_search_needs_no_cluster(searched):
    outcome = asked(searched, make_arm(SEARCH))
    assert outcome.found[""].counts == {"complete": 2, "pruned": 0, "failed": 0}
    assert outcome.points == {"": outcome.found[""].point}
    assert not outcome.failed
    plan = SearchPlan("study", SEARCH, Budget(5), [make_arm(SEARCH)])
    options = ClusterOptions(Store(searched), searched / "data")
    assert trials_left(plan, search_so_far(plan, options)) == 3
    assert trials_left(plan, {}) == 5
    assert trials_left(replace(plan, budget=Budget(2)), search_so_far(plan, options), retry_failed=True) == 0
    described = plan.describe(outcome.describe())
    assert described["arms"][""]["search"] == "study smoke"
    assert described["arms"][""]["trials"] == 2


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        (make_arm(Search(space={"labels.alpha": Uniform(0, 0.9)})), "labels.alpha was (kind uniform, low 0, high 1)"),
        (make_arm(Search(space={**SEARCH.space, "train.decay_factor": Uniform(0.1, 1)})), "was not searched there"),
        (make_arm(replace(SEARCH, objectives=["nll"])), "objectives nll was not searched there and is minimize here"),
        (make_arm(replace(SEARCH, replicate=1)), "replicate number was 0 there and is 1 here"),
        (replace(make_arm(SEARCH, changes={"train.epochs": 9}), name="study smoke"), "train.epochs was 4 there"),
        (make_arm(SEARCH, data=("other faces",)), "data 0 was squares there and is other faces here"),
    ],
)  # fmt: skip
def test_a_storage_of_another_search_is_refused(searched, arm, message):
    before = (searched / "optuna.db").read_bytes()
    with pytest.raises(UserError) as caught:
        asked(searched, arm)
    assert message in str(caught.value)
    assert "--study-name 'study smoke'" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert (searched / "optuna.db").read_bytes() == before


def test_another_search_that_came_after_the_plan_was_made_is_refused(searched):
    storage = open_storage(f"sqlite:///{searched}/optuna.db")
    with pytest.raises(UserError, match="objectives nll was not searched there"):
        ArmStudy(make_arm(replace(SEARCH, objectives=["nll"])), storage, "late", lambda launch: None)
    storage.engine.dispose()


def test_a_study_that_is_not_ours_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path}/optuna.db"
    storage = optuna.storages.RDBStorage(url)
    optuna.create_study(study_name="study smoke", storage=storage)
    storage.engine.dispose()
    with pytest.raises(UserError, match="has a study 'study smoke' that is not a search of raysweep"):
        asked(tmp_path, make_arm(SEARCH))


def test_what_is_no_optuna_storage_is_refused(tmp_path):
    (tmp_path / "poem.db").write_text("this is a poem, not a database\n" * 50)
    with pytest.raises(UserError, match=r"poem\.db cannot be used"):
        asked(tmp_path, make_arm(SEARCH), f"sqlite:///{tmp_path}/poem.db")
    connection = sqlite3.connect(tmp_path / "other.db")
    connection.execute("CREATE TABLE experiments (name TEXT)")
    connection.close()
    with pytest.raises(UserError, match=r"other\.db is not an Optuna storage"):
        asked(tmp_path, make_arm(SEARCH), f"sqlite:///{tmp_path}/other.db")
    for url in ("optuna.db", "nonsense://somewhere/db"):
        with pytest.raises(
            UserError, match=r"give sqlite:///FILE or postgresql|name sqlite:///FILE or a database's URL"
        ):
            asked(tmp_path, make_arm(SEARCH), url)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["other.db", "poem.db"]
