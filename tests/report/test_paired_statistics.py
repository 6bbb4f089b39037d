"""Statistics against scipy, a hand computation and the properties they must have."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from raysweep.report.statistics import MIN_REPLICATES, Comparison, holm, judged, paired, spread

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
        assert paired({0: 0.5}, {0: 0.4}) == Comparison(1, pytest.approx(0.1), None, None, None)

    def test_equal_values_differ_by_exactly_nothing(self):
        same = {0: 0.5, 1: 0.7}
        assert paired(same, same) == Comparison(2, 0.0, 0.0, 0.0, 1.0)

    def test_a_constant_difference_measures_no_noise(self):
        """Without the guard, rounding would give t = 1e15 and a claim out of nothing."""
        reference = {i: 0.1 * i + 0.03 for i in range(6)}
        found = paired({i: value + 0.1 for i, value in reference.items()}, reference)
        assert found.difference == pytest.approx(0.1)
        assert (found.low, found.high, found.p) == (None, None, None)
        assert judged({"arm": found}, True)["arm"].verdict == "no claim"

    @pytest.mark.parametrize(("count", "images"), [(2, 96), (2, 3068), (3, 200), (5, 96)])
    def test_equal_gains_in_float32_measure_no_noise(self, count, images):
        """Accuracies as they are computed: one image more in every replicate."""
        right = [images // 2 + 7 * i for i in range(count)]
        ours, theirs = ({i: float(np.float32(n + more) / np.float32(images)) for i, n in enumerate(right)}
                        for more in (1, 0))  # fmt: skip
        found = paired(ours, theirs)
        assert (found.low, found.high, found.p) == (None, None, None)
        assert found.difference == pytest.approx(1 / images, rel=1e-3)
        assert judged({"arm": found}, True)["arm"].verdict == "no claim"

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
    def family(self, shift, n=5, noise=0.004):
        generator = np.random.default_rng(1)
        reference = by_replicate(generator.normal(0.5, 0.02, n))
        arm = {r: value + shift + generator.normal(0, noise) for r, value in reference.items()}
        return {"arm": paired(arm, reference)}

    @pytest.mark.parametrize(
        ("shift", "higher", "verdict"),
        [(0.05, True, "better"), (-0.05, True, "worse"), (0.05, False, "worse"), (-0.05, False, "better")],
    )
    def test_direction(self, shift, higher, verdict):
        assert judged(self.family(shift), higher)["arm"].verdict == verdict

    def test_within_noise(self):
        assert judged(self.family(0.001, noise=0.02), True)["arm"].verdict == "not distinguishable"

    def test_no_claim_below_five_replicates_however_clear(self):
        found = judged(self.family(0.5, n=MIN_REPLICATES - 1), True)["arm"]
        assert found.p_holm < 0.001
        assert found.verdict == "no claim"

    def test_correction_takes_a_claim_back(self):
        alone = {"a": Comparison(5, 0.1, 0.0, 0.2, 0.03)}
        many = alone | {name: Comparison(5, 0.1, 0.0, 0.2, 0.5) for name in "bcd"}
        assert judged(alone, True)["a"].verdict == "better"
        assert judged(many, True)["a"].verdict == "not distinguishable"
        assert judged(many, True)["a"].p_holm == pytest.approx(0.12)

    def test_untestable_arms_do_not_count_in_the_correction(self):
        family = {"a": Comparison(5, 0.1, 0.0, 0.2, 0.03), "b": Comparison(1, 0.1, None, None, None)}
        assert judged(family, True)["a"].p_holm == 0.03
