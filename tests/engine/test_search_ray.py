"""A search on real Ray: killed with SIGKILL on the way, then the same again; the last trial is ended early."""

import json
import subprocess
import sys

import pytest

from raysweep.pipeline import load_sets, run_validation
from raysweep.store.store import Store
from raysweep.study import search_cells
from tests.engine.search_launch import RATE, study


def launched(folder, *words):
    command = [sys.executable, "-m", "tests.engine.search_launch", str(folder), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.full
def test_a_killed_search_goes_on_and_ends_hopeless_trials(tmp_path):
    assert launched(tmp_path, 8).returncode == -9  # in the third epoch of the second trial
    again = launched(tmp_path)
    assert again.returncode == 0, again.stderr[-3000:]
    told = json.loads(again.stdout.splitlines()[-1])
    ends = {number: state for number, state, *_ in told["ends"]}
    scores = {number: scores for number, _, scores, _ in told["ends"]}
    assert ends == {1: "stopped", 2: "complete", 3: "pruned"}  # 2 is 1 again
    assert told["counts"] == {"complete": 2, "pruned": 1, "failed": 0}
    assert told["epochs"] == {"2": [1, 2, 3, 4, 5], "3": [1]}
    assert told["groups"] == []  # nothing of a trial that was ended early stays behind
    assert told["point"] == {RATE: 2e-3}

    (cell,) = search_cells(study, "smoke", {})
    undisturbed = run_validation(cell.experiment, load_sets(cell.experiment, tmp_path / "data"), Store(tmp_path / "b"))
    assert scores[2]["validation/nll"] == pytest.approx(undisturbed.scores["validation/nll"], rel=1e-4)
