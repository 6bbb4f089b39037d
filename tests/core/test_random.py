"""Addressed random numbers: known bits, uniformity, independence of order."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from raysweep.core.keyed_random import derive_key, normal, permutation, random_bits, uniform


def test_bits_are_splitmix64():
    # the first outputs of the reference implementation for seed 0 (Vigna, splitmix64.c)
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert [bits & (2**64 - 1) for bits in random_bits(0, torch.tensor([1, 2, 3])).tolist()] == expected


def test_uniform_is_uniform_and_open():
    draws = uniform(derive_key(7, "test"), torch.arange(200_000)).numpy()
    assert stats.kstest(draws, "uniform").pvalue > 0.001
    assert draws.min() > 0
    assert draws.max() < 1


def test_normal_is_normal():
    assert stats.kstest(normal(derive_key(7, "test"), torch.arange(200_000)).numpy(), "norm").pvalue > 0.001


def test_neighbouring_keys_are_uncorrelated():
    a, b = (uniform(derive_key(seed, "x"), torch.arange(50_000)).numpy() for seed in (1, 2))
    assert abs(stats.pearsonr(a, b).statistic) < 0.02


@given(st.permutations(list(range(30))), st.integers(0, 2**31))
def test_a_draw_depends_on_its_id_alone(order, seed):
    key = derive_key(seed, "draw")
    ids = torch.tensor(order)
    assert torch.equal(uniform(key, ids), uniform(key, torch.arange(30))[ids])


@given(st.integers(0, 2**31), st.integers(1, 200))
def test_permutation_permutes(seed, count):
    order = permutation(derive_key(seed), torch.arange(count))
    assert sorted(order.tolist()) == list(range(count))


def test_key_separates_its_parts():
    assert derive_key("ab", "c") != derive_key("a", "bc")
    assert derive_key(1, "x") != derive_key("1", "x")
