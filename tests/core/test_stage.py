"""Stages: a key says what a product is computed from, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysweep.core.hashing import NUMERICS
from raysweep.pipeline.stage import Stage, ancestry


def chain(length, **last):
    stage = Stage("start", {"seed": 0})
    for _ in range(length):
        stage = Stage("fit", {"rate": 0.1}, {"before": stage})
    return Stage("evaluate", last, {"model": stage})


def test_equal_words_are_equal_stages():
    one, two = (Stage("fit", p, {"before": Stage("start", {})}) for p in ({"a": 1, "b": [2]}, {"b": [2], "a": 1}))
    assert one == two
    assert hash(one) == hash(two)
    assert {one: "x"}[two] == "x"
    assert one != "fit"


def test_what_lies_aside_plays_no_part():
    plain, told = Stage("data", {"fingerprint": "x"}), Stage("data", {"fingerprint": "x"}, aside={"data": object()})
    assert plain.key == told.key
    told.aside["cut"] = True
    assert plain == told
    assert "cut" not in plain.aside  # no shared default


@pytest.mark.parametrize(
    "other",
    [
        Stage("select", {"weights": "best"}, {"model": Stage("start", {"seed": 0})}),
        Stage("pseudo_va", {"weights": "swa"}, {"model": Stage("start", {"seed": 0})}),
        Stage("pseudo_va", {"weights": "best"}, {"model": Stage("start", {"seed": 1})}),
        Stage("pseudo_va", {"weights": "best"}, {"data": Stage("start", {"seed": 0})}),
        Stage("pseudo_va", {"weights": "best"}, {}),
    ],
)
def test_kind_params_inputs_and_their_roles_play_one(other):
    assert Stage("pseudo_va", {"weights": "best"}, {"model": Stage("start", {"seed": 0})}) != other


def test_a_bump_moves_the_kind_and_what_is_computed_from_it(monkeypatch):
    def keys():
        return {stage.kind: stage.key for stage in ancestry([chain(1)])}

    before = keys()
    monkeypatch.setitem(NUMERICS, "fit", NUMERICS["fit"] + 1)
    assert {kind for kind, key in keys().items() if key != before[kind]} == {"fit", "evaluate"}


def test_a_kind_without_a_numerics_version_is_refused():
    with pytest.raises(KeyError, match="fitt"):
        _ = Stage("fitt", {}).key


def test_a_training_may_be_longer_than_the_call_stack():
    """Three chains of 120 epochs, one from another, are a cell of the paper's preset."""
    final = chain(5000)
    assert len(final.key) == 64
    assert len(list(ancestry([final]))) == 5002


@given(st.lists(st.sets(st.integers(0, 100), max_size=4), min_size=1, max_size=25), st.randoms())
def test_ancestry_gives_inputs_first_and_each_once(sources, random):
    """A random graph: stage n has inputs among the stages before it."""
    stages = []
    for n, wanted in enumerate(sources):
        inputs = {f"input{i}": stages[i % n] for i in sorted(wanted)} if n else {}
        stages.append(Stage("labels", {"n": n}, inputs))
    roots = random.sample(stages, random.randint(1, len(stages)))
    seen = []
    for stage in ancestry(roots):
        assert all(source.key in seen for source in stage.inputs.values())
        seen.append(stage.key)
    assert len(seen) == len(set(seen))
    assert set(seen) == reachable(roots)


def reachable(stages):
    found, stack = set(), list(stages)
    while stack:
        stage = stack.pop()
        if stage.key not in found:
            found.add(stage.key)
            stack.extend(stage.inputs.values())
    return found
