"""Statistics against scipy, a hand computation and the properties they must have."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from raysweep.report.results.statistics import (
    MIN_REPLICATES,
    Comparison,
    confirmed,
    exact_interval,
    explored,
    holm,
    paired,
    spread,
)

VALUES = st.lists(st.floats(0, 1).map(lambda x: round(x, 6)), min_size=2, max_size=9)


def by_replicate(values):
    return dict(enumerate(values))


class TestPaired:
    @given(VALUES, st.integers(0, 1000))
    @settings(max_examples=60, deadline=None)
    def test_equals_scipy(self, reference, seed):
        ours = np.asarray(reference) + np.random.default_rng(seed).normal(0.02, 0.05, len(reference))
        found = paired(by_replicate(ours), by_replicate(reference))
        test = stats.ttest_rel(ours, reference)
        low, high = test.confidence_interval(0.95)
        assert found.p == pytest.approx(test.pvalue, rel=1e-6, abs=1e-12)
        assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6, abs=1e-9)
        assert found.n == len(reference)

    def test_uses_shared_replicates_only(self):
        found = paired({0: 0.5, 1: 0.6, 2: 0.9}, {1: 0.5, 2: 0.7, 3: 0.1})
        assert found.n == 2
        assert found.difference == pytest.approx(0.15)

    def test_no_shared_replicate_is_no_comparison(self):
        assert paired({0: 0.5}, {1: 0.5}) is None

    def test_one_replicate_has_no_interval(self):
        assert paired({0: 0.5}, {0: 0.4}) == Comparison(1, pytest.approx(0.1))

    def test_equal_values_differ_by_exactly_nothing(self):
        same = {0: 0.5, 1: 0.7}
        assert paired(same, same) == Comparison(2, 0.0, 0.0, 0.0, 0.0, 1.0)

    def test_a_constant_difference_measures_no_noise(self):
        """Without the guard, rounding would give t = 1e15 and a claim out of nothing."""
        reference = {i: 0.1 * i + 0.03 for i in range(6)}
        found = paired({i: value + 0.1 for i, value in reference.items()}, reference)
        assert found.difference == pytest.approx(0.1)
        assert (found.low, found.high, found.p) == (None, None, None)
        assert confirmed(found, 1, True).verdict == "no claim"
        assert confirmed(found, 1, True).why.startswith(f"the same difference in all {found.n} replicates")

    @pytest.mark.parametrize(("count", "images"), [(2, 96), (2, 3068), (3, 200), (5, 96)])
    def test_equal_gains_in_float32_measure_no_noise(self, count, images):
        """Accuracies as they are computed: one image more in every replicate."""
        right = [images // 2 + 7 * i for i in range(count)]
        ours, theirs = ({i: float(np.float32(n + more) / np.float32(images)) for i, n in enumerate(right)}
                        for more in (1, 0))  # fmt: skip
        found = paired(ours, theirs)
        assert (found.low, found.high, found.p) == (None, None, None)
        assert found.difference == pytest.approx(1 / images, rel=1e-3)
        assert confirmed(found, 1, True).verdict == "no claim"
        assert confirmed(found, 1, True).why.startswith(f"the same difference in all {found.n} replicates")

    def test_small_differences_that_vary_are_measured(self):
        found = paired({0: 0.50010, 1: 0.60020}, {0: 0.5, 1: 0.6})
        assert found.p is not None
        assert found.low < found.difference < found.high

    def test_interval_covers_95_percent_at_five_replicates(self):
        """The design's reason to use t: a percentile bootstrap covers 75-84 % here."""
        generator = np.random.default_rng(0)
        draws = generator.normal(0.03, 0.02, (4000, 5))
        zeros = by_replicate([0.0] * 5)
        found = [paired(by_replicate(draw), zeros) for draw in draws.tolist()]
        coverage = np.mean([c.low <= 0.03 <= c.high for c in found])
        assert 0.94 < coverage < 0.96


class TestSpread:
    @given(VALUES)
    @settings(max_examples=60, deadline=None)
    def test_equals_scipy(self, values):
        found = spread(values)
        assert (found.mean, found.std) == pytest.approx((np.mean(values), np.std(values, ddof=1)), abs=1e-12)
        low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values) or 1e-300)
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)

    def test_one_value_has_no_spread(self):
        found = spread([0.5])
        assert (found.n, found.mean, found.std, found.low) == (1, 0.5, None, None)

    def test_no_value_is_none(self):
        assert spread([]) is None


class TestHolm:
    def test_by_hand(self):
        """m = 4: 0.005*4, 0.01*3, 0.03*2, 0.04*1 -> 0.02, 0.03, 0.06, then 0.04 is raised to 0.06."""
        assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])

    def test_never_above_one(self):
        assert holm([0.9, 0.8, 0.7]) == [1.0, 1.0, 1.0]

    def test_nothing_to_correct(self):
        assert holm([]) == []
        assert holm([0.03]) == [0.03]

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
    def test_properties(self, p_values):
        """Not below p, not above Bonferroni, in the same order, independent of the order given."""
        adjusted = holm(p_values)
        m = len(p_values)
        assert all(p <= a <= min(1, m * p) + 1e-12 for p, a in zip(p_values, adjusted, strict=True))
        order = np.argsort(p_values, kind="stable")
        assert (np.diff(np.asarray(adjusted)[order]) >= 0).all()
        assert holm(p_values[::-1]) == adjusted[::-1] or len(set(p_values)) < m


class TestVerdict:
    def compared(self, shift, n=5, noise=0.004):
        generator = np.random.default_rng(1)
        reference = by_replicate(generator.normal(0.5, 0.02, n))
        return paired({r: value + shift + generator.normal(0, noise) for r, value in reference.items()}, reference)

    @pytest.mark.parametrize(
        ("shift", "higher", "verdict"),
        [(0.05, True, "better"), (-0.05, True, "worse"), (0.05, False, "worse"), (-0.05, False, "better")],
    )
    def test_direction(self, shift, higher, verdict):
        assert confirmed(self.compared(shift), 4, higher).verdict == verdict

    def test_within_noise(self):
        assert confirmed(self.compared(0.001, noise=0.02), 1, True).verdict == "not distinguishable"

    def test_no_claim_below_five_replicates_however_clear(self):
        found = confirmed(self.compared(0.5, n=MIN_REPLICATES - 1), 1, True)
        assert found.p_adjusted < 0.001
        assert (found.verdict, found.why) == ("no claim", "n = 4")

    def test_no_claim_of_what_is_unfit(self):
        found = confirmed(self.compared(0.5), 1, True, "1 failed of 6 cells")
        assert (found.verdict, found.why) == ("no claim", "1 failed of 6 cells")
        assert found.low > 0

    @given(st.floats(-0.03, 0.03), st.integers(5, 20), st.integers(1, 40), st.integers(0, 1000))
    @settings(max_examples=100)
    def test_interval_p_and_verdict_agree_and_equal_scipy(self, shift, n, family, seed):
        """By scipy, at Bonferroni's level: a claim is an interval without 0 and an adjusted p below 0.05."""
        generator = np.random.default_rng(seed)
        reference = generator.normal(0.5, 0.02, n)
        ours = reference + shift + generator.normal(0, 0.01, n)
        found = confirmed(paired(by_replicate(ours), by_replicate(reference)), family, True)
        test = stats.ttest_rel(ours, reference)
        assert (found.low, found.high) == pytest.approx(tuple(test.confidence_interval(1 - 0.05 / family)), rel=1e-6)
        assert found.p_adjusted == pytest.approx(min(1, family * test.pvalue), rel=1e-6)
        assert found.claims == (found.low > 0 or found.high < 0) == (found.p_adjusted < 0.05)

    def test_a_larger_table_takes_a_claim_back(self):
        alone = paired({0: 0.1, 1: 0.2, 2: 0.15, 3: 0.05, 4: 0.02}, by_replicate([0.0] * 5))
        assert alone.p == pytest.approx(stats.ttest_1samp([0.1, 0.2, 0.15, 0.05, 0.02], 0).pvalue)
        assert confirmed(alone, 1, True).verdict == "better"
        assert confirmed(alone, 4, True).verdict == "not distinguishable"

    def test_exploratory_scores_have_no_verdict_and_untestable_ones_do_not_count(self):
        found = explored({"a": Comparison(5, 0.1, 0.03, 0.0, 0.2, 0.03), "b": Comparison(1, 0.1)})
        assert (found["a"].p_holm, found["b"].p_holm) == (0.03, None)
        assert {c.verdict for c in found.values()} == {"exploratory"}

    @given(st.integers(1, 30).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
    def test_rates_have_clopper_and_pearson_s_interval(self, pair):
        count, of = pair
        theirs = stats.binomtest(count, of).proportion_ci(0.95, method="exact")
        assert exact_interval(count, of) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
