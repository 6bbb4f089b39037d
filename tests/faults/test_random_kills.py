"""Some of the kills that `python -m tests.faults.random_kills` goes on with for as long as one likes."""

import pytest

from tests.faults import random_kills

pytestmark = [
    pytest.mark.full,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.timeout(3600),
]


def test_random_kills_change_no_number(tmp_path, reference):
    log = tmp_path / "kills.log"
    summary = random_kills.drill(tmp_path / "kills", reference, kills=12, seed=1, log=log)
    assert summary["different"] == 0, log.read_text()
    assert summary["kills"] >= 12
    assert summary["compared"] >= 1
