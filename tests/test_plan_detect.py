"""`--plan --detect`: replicates needed, from the scores that the store holds."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from raysweep.artifacts.cell_result import CellResult
from raysweep.cli.run import main
from raysweep.core.errors import UserError
from raysweep.launch.detection import detection
from raysweep.report.inference.power import replicates_needed
from raysweep.store.store import Store
from raysweep.study import find_study
from raysweep.study.plan import make_plan
from raysweep.study.request import make_request
from tests.conftest import NO_PREDICTIONS

PARTS = ["ablation_alpha", "--preset", "smoke", "--axis", "labels.alpha=0,0.5,1", "--plan", "--detect"]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def plan_of(store, replicates=5):
    study = find_study("ablation_alpha")[1].at("smoke")
    request = make_request("ablation_alpha", study, "smoke", {}, range(replicates))
    return make_plan("ablation_alpha", request.study, "smoke", request.cells, store, store.local / "data")


def filled(store, replicates=5, std=0.02):
    """The plan with all cells in the store, and their macro-F1 by arm."""
    rng, scores = np.random.default_rng(0), {}
    for cell in plan_of(store, replicates).cells:
        score = float(0.5 + rng.normal(0, std * (3 if cell.arm.name == "alpha=0" else 1)))
        scores.setdefault(cell.arm.name, []).append(score)
        store.put(cell.key, CellResult({"test/macro_f1": score}, {}, [], NO_PREDICTIONS).write, {})
    return plan_of(store, replicates), scores


def test_it_plans_with_the_upper_limit_of_the_pooled_deviation(tmp_path):
    store = Store(tmp_path / "store")
    plan, scores = filled(store)
    found = detection(plan, store, 0.05)
    reference = np.array(scores["alpha=1"])
    stds = {arm: (np.array(row) - reference).std(ddof=1) for arm, row in scores.items() if arm != "alpha=1"}
    pooled = math.sqrt(np.mean(np.square(list(stds.values()))))
    assert found.family == len(stds) == 4
    assert found.pooled.std == pytest.approx(pooled)
    assert found.pooled.upper_std == pytest.approx(pooled * math.sqrt(4 / stats.chi2.ppf(0.2, 4)))
    assert found.pooled.replicates == replicates_needed(0.05 / found.pooled.upper_std, 4)
    assert (found.arm, found.noisiest.std) == ("alpha=0", pytest.approx(max(stds.values())))
    assert found.noisiest.replicates > found.pooled.replicates
    assert f"{found.pooled.replicates} replicates" in found.text
    assert "the noisiest arm, alpha=0" in found.text
    assert found.json()["replicates"] == found.pooled.replicates


def test_a_difference_out_of_reach_is_said(tmp_path):
    store = Store(tmp_path / "store")
    found = detection(filled(store)[0], store, 1e-7)
    assert found.pooled.replicates is None
    assert "more than 100,000 replicates" in found.text


def test_cells_that_are_not_finished_do_not_count(tmp_path):
    store = Store(tmp_path / "store")
    filled(store, replicates=3)
    assert detection(plan_of(store, 5), store, 0.05).n == 3


def test_nothing_measured_says_what_to_do_and_is_no_success(capsys):
    assert main([*PARTS, "0.01"]) == 1
    said = capsys.readouterr().out
    assert "detect   0.01 in macro-F1: not known" in said
    assert "run the same command without --plan and --detect, with --seeds 5" in said
    assert "m = 2 comparisons find, in standard deviations of paired differences, 2.1 with n = 5" in said
    assert main([*PARTS, "0.01", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["detect"]["replicates"] is None
    assert found["cells"] > 0


@pytest.mark.parametrize(("words", "why"), [(["-1"], "positive"), (["nan"], "positive"), (["0"], "positive")])
def test_no_difference_is_refused(words, why, capsys):
    assert main([*PARTS, *words]) == 2
    assert why in capsys.readouterr().err


def test_it_needs_a_plan_and_a_reference(capsys, tmp_path):
    assert main(["ablation_alpha", "--detect", "0.1"]) == 2
    assert "add --plan" in capsys.readouterr().err
    with pytest.raises(UserError, match="search first"):
        detection(None, Store(tmp_path), 0.1)
    assert main(["ablation_alpha", "--preset", "smoke", "--axis", "labels.alpha=1", "--plan", "--detect", "0.1"]) == 2
    assert "nothing is tested" in capsys.readouterr().err
