"""Stages: a key says what a product is computed from, and nothing else."""

from pkgutil import resolve_name

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysweep.config.experiment import Experiment
from raysweep.core.hashing import canonical_json
from raysweep.pipeline.stage import Attached, Stage, ancestry, stage_key
from raysweep.pipeline.stage_kinds import NUMERICS, STAGE_KINDS


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


def test_what_is_attached_plays_no_part():
    plain = Stage("fit", {"rate": 0.1})
    told = Stage("fit", {"rate": 0.1}, attached=Attached(Experiment(), title="M_A", epoch=3))
    assert plain.key == told.key
    assert plain == told
    assert (plain.attached.title, told.attached.title, told.experiment) == ("", "M_A", Experiment())
    with pytest.raises(AssertionError, match="fit has no experiment"):
        _ = plain.experiment


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


def test_keys_ignore_order_and_tell_values_apart():
    assert canonical_json({"b": 1, "a": [None, True]}) == '{"a":[null,true],"b":1}'
    key = stage_key("fit", {"a": 1, "b": 2.0}, {"before": "x", "data": "y"})
    assert key == stage_key("fit", {"b": 2.0, "a": 1}, {"data": "y", "before": "x"})
    others = [
        stage_key("select", {"a": 1, "b": 2.0}, {"before": "x", "data": "y"}),
        stage_key("fit", {"a": 1, "b": 2.5}, {"before": "x", "data": "y"}),
        stage_key("fit", {"a": 1}, {"before": "x", "data": "y"}),
        stage_key("fit", {"a": 1, "b": 2.0}, {"before": "y", "data": "x"}),
        stage_key("fit", {"a": 1, "b": 2.0}, {"before": "x", "labels": "y"}),
    ]
    assert len({key, *others}) == 6
    assert len(key) == 64
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"a": float("nan")})


def test_a_bumped_number_moves_the_keys_of_its_kind_alone(monkeypatch):
    fit, select = (stage_key(kind, {}, {}) for kind in ("fit", "select"))
    monkeypatch.setitem(NUMERICS, "fit", NUMERICS["fit"] + 1)
    assert stage_key("fit", {}, {}) != fit
    assert stage_key("select", {}, {}) == select


def test_every_function_and_product_file_that_an_entry_names_exists():
    for kind in STAGE_KINDS.values():
        assert (kind.name == "step") == (not kind.run)
        if kind.run:
            assert callable(resolve_name(f"raysweep.pipeline.stages.{kind.run}"))
        if kind.is_stored:
            assert callable(kind.files.read)
            assert callable(kind.files.write)
