"""Power, effect sizes, the best arms and intervals with new images, against scipy and calculations of other kinds."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from bench.statistics.coverage import WORLDS, count_held
from bench.statistics.tables import results_of
from raysweep.artifacts.predictions import ImagePredictions
from raysweep.core.errors import UserError
from raysweep.metrics.compute import all_scores
from raysweep.report import summarise
from raysweep.report.inference.best import standings
from raysweep.report.inference.crossed import crossed
from raysweep.report.inference.effect import improvement, standardised
from raysweep.report.inference.image_scores import has_image_scores, image_scores, pseudo_values
from raysweep.report.inference.power import detectable_effect, power, replicates_needed, upper_std
from raysweep.report.results.statistics import paired
from raysweep.report.text.findings import reading
from raysweep.report.text.inference import best_words, power_words

rows = st.integers(0, 1000).map(lambda seed: np.random.default_rng(seed))


def by_replicate(values):
    return dict(enumerate(values))


class TestPower:
    def test_it_is_the_share_of_claims_in_simulated_tests(self):
        rng, n, m, effect = np.random.default_rng(0), 6, 3, 1.7
        draws = rng.normal(effect, 1, (40_000, n))
        p = stats.ttest_1samp(draws, 0, axis=1).pvalue
        assert power(effect, n, m) == pytest.approx((p < 0.05 / m).mean(), abs=0.01)

    @pytest.mark.parametrize(("n", "m"), [(5, 1), (5, 8), (10, 8), (20, 300)])
    def test_detectable_means_80_percent(self, n, m):
        """By integration over the distribution of the standard deviation, without the noncentral t."""
        scale = stats.t.ppf(1 - 0.05 / m / 2, n - 1) / math.sqrt(n)
        std = stats.chi(n - 1, scale=1 / math.sqrt(n - 1))

        def beyond(effect):
            above = integrate.quad(lambda s: std.pdf(s) * stats.norm.sf((scale * s - effect) * math.sqrt(n)), 0, 6)[0]
            return (
                above
                + integrate.quad(lambda s: std.pdf(s) * stats.norm.sf((scale * s + effect) * math.sqrt(n)), 0, 6)[0]
            )

        assert beyond(detectable_effect(n, m)) == pytest.approx(0.8, abs=1e-5)

    @given(st.floats(0.1, 4), st.integers(1, 50))
    @settings(max_examples=25, deadline=None)
    def test_one_replicate_fewer_would_not_do(self, effect, m):
        n = replicates_needed(effect, m)
        assert power(effect, n, m) >= 0.8
        assert n == 5 or power(effect, n - 1, m) < 0.8

    def test_no_number_of_replicates_finds_nothing(self):
        assert replicates_needed(1e-5) is None

    def test_four_fifths_of_upper_limits_are_above_the_standard_deviation(self):
        stds = np.random.default_rng(0).normal(size=(20_000, 5)).std(1, ddof=1)
        assert np.mean([upper_std(s, 4) > 1 for s in stds]) == pytest.approx(0.8, abs=0.01)


class TestEffect:
    @given(rows, st.integers(2, 12), st.floats(-3, 3))
    @settings(max_examples=25, deadline=None)
    def test_its_interval_inverts_the_noncentral_t(self, rng, n, shift):
        reference, gain = rng.normal(size=n), rng.normal(shift, 1, n)
        found = standardised(paired(by_replicate(reference + gain), by_replicate(reference)))
        d = gain.mean() / gain.std(ddof=1)
        assert found.value == pytest.approx(d, rel=1e-6)
        for end, share in ((found.low, 0.975), (found.high, 0.025)):
            assert stats.nct.cdf(d * math.sqrt(n), n - 1, end * math.sqrt(n)) == pytest.approx(share, abs=1e-5)

    def test_it_covers_the_true_effect(self):
        rng = np.random.default_rng(1)
        zero = by_replicate([0.0] * 5)
        found = [standardised(paired(by_replicate(rng.normal(1.5, 1, 5)), zero)) for _ in range(1000)]
        assert np.mean([f.low <= 1.5 <= f.high for f in found]) == pytest.approx(0.95, abs=0.02)

    def test_differences_without_variance_have_none(self):
        same = by_replicate([0.5, 0.6])
        assert standardised(paired(same, same)) is None
        assert standardised(paired(by_replicate([0.6, 0.7]), same)) is None

    @pytest.mark.parametrize("wins", range(6))
    def test_improvement_has_the_exact_binomial_interval(self, wins):
        ours = [1.0] * wins + [0.0] * (5 - wins)
        found = improvement(by_replicate(ours), by_replicate([0.5] * 5), True)
        exact = stats.binomtest(wins, 5).proportion_ci(0.95, "exact")
        assert (found.share, found.low, found.high) == pytest.approx((wins / 5, exact.low, exact.high))

    def test_lower_may_be_better_and_ties_count_half(self):
        found = improvement(by_replicate([0.1, 0.2, 0.3]), by_replicate([0.2, 0.2, 0.2]), False)
        one, two = (stats.binomtest(count, 3).proportion_ci(0.95, "exact") for count in (1, 2))
        assert (found.share, found.low, found.high) == pytest.approx((0.5, one.low, two.high))
        assert improvement({0: 1.0}, {1: 1.0}, True) is None


class TestBest:
    def test_two_arms_have_one_sided_intervals(self):
        rng = np.random.default_rng(3)
        ours, theirs = rng.normal(0.52, 0.02, 8), rng.normal(0.5, 0.02, 8)
        first, second = standings([by_replicate(ours), by_replicate(theirs)], True)
        low = stats.ttest_rel(ours, theirs, alternative="greater").confidence_interval(0.95).low
        high = stats.ttest_rel(ours, theirs, alternative="less").confidence_interval(0.95).high
        assert (first.low, first.high) == pytest.approx((min(low, 0), max(high, 0)))
        assert (second.low, second.high) == pytest.approx((-max(high, 0), -min(low, 0)))

    def test_a_clear_winner_is_alone(self):
        rng = np.random.default_rng(4)
        arms = [by_replicate(mean + rng.normal(0, 0.01, 6)) for mean in (0.5, 0.501, 0.7)]
        found = standings(arms, True)
        assert [one.may_be_best for one in found] == [False, False, True]
        assert found[2].low == 0 < found[2].high
        assert [one.may_be_best for one in standings(arms, False)] == [True, True, False]

    def test_the_best_arm_is_rarely_excluded(self):
        """All alike but in variance: the first is as good as any, so it has to stay in 95 %."""
        rng, stds = np.random.default_rng(5), (1.0, 2.0, 0.5, 1.0)
        kept = 0
        for _ in range(1000):
            shared = rng.normal(0, 3, 5)
            found = standings([by_replicate(shared + rng.normal(0, s, 5)) for s in stds], True)
            kept += found[0].may_be_best
        assert kept >= 935

    def test_too_few_replicates_and_constant_differences_exclude_nobody(self):
        short = [by_replicate([0.1, 0.2, 0.1, 0.2]), by_replicate([0.9, 0.8, 0.9, 0.9])]
        constant = [by_replicate([0.1] * 5), by_replicate([0.9] * 5)]
        for arms in (short, constant):
            assert all(one.may_be_best for one in standings(arms, True))


def two_way(values):
    """Mean squares and the interval of Hillis's variance by sums over single cells."""
    n, m = values.shape
    grand = values.mean()
    rows = m * sum((values[i].mean() - grand) ** 2 for i in range(n)) / (n - 1)
    columns = n * sum((values[:, j].mean() - grand) ** 2 for j in range(m)) / (m - 1)
    both = sum(
        (values[i, j] - values[i].mean() - values[:, j].mean() + grand) ** 2 for i in range(n) for j in range(m)
    ) / ((n - 1) * (m - 1))
    images = max(columns - both, 0)
    freedom = (n - 1) * (1 + max(n - 3, 0) / (n - 1) * images / rows) ** 2
    return grand, math.sqrt((rows + images) / (n * m)), freedom


class TestCrossed:
    @given(rows, st.integers(2, 6), st.integers(2, 12))
    @settings(max_examples=30, deadline=None)
    def test_equals_sums_by_hand(self, rng, n, m):
        values = rng.normal(size=(n, 1)) + rng.normal(size=m) + rng.normal(size=(n, m))
        mean, error, freedom = two_way(values)
        found = crossed(values)
        assert (found.mean, found.error, found.freedom) == pytest.approx((mean, error, freedom))
        reach = stats.t.ppf(0.975, freedom) * error
        assert (found.low, found.high) == pytest.approx((mean - reach, mean + reach))

    def test_is_students_interval_where_images_do_not_matter(self):
        values = np.array([[0.0, 1.0], [1.0, 0.5], [0.2, 0.1], [0.9, 1.0]])  # columns differ less than chance
        found, over = crossed(values), values.mean(1)
        interval = stats.t.interval(0.95, 3, over.mean(), stats.sem(over))
        assert (found.low, found.high) == pytest.approx(interval)

    def test_one_replicate_or_equal_ones_have_none(self):
        assert crossed(np.zeros((1, 9))) is None
        assert crossed(np.tile(np.arange(4.0), (3, 1))) is None

    def test_coverage_for_new_images(self):
        """The short form of `python -m bench.statistics --only coverage`; two fifths of a second a hundred studies."""
        held = count_held(WORLDS["accuracy varies by 1 point"], 5, 300, seed=7, images=400)
        for what, count in held.items():
            assert 0.91 <= count.both / 300 <= 0.985, what
            assert count.replicates < count.both, what

    @pytest.mark.full
    @pytest.mark.parametrize("n", [5, 10])
    @pytest.mark.parametrize("world", WORLDS)
    def test_coverage_is_that_of_the_log(self, world, n):
        held = count_held(WORLDS[world], n, 2000, seed=8)
        for what, count in held.items():
            assert 0.935 <= count.both / 2000 <= 0.965, what


def some_predictions(seed=0, count=40, classes=4):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(classes), count)
    labels = rng.integers(0, classes, count)
    probs[np.arange(count), labels] += 0.4
    affect = rng.normal(size=(count, 2))
    va = 0.5 * affect + rng.normal(0, 0.3, (count, 2))
    va[:3], labels[3:5] = np.nan, -1
    return ImagePredictions(np.arange(count), probs / probs.sum(1, keepdims=True), affect, labels, va)


def scores_of(predictions, keep):
    parts = (predictions.probs, predictions.affect, predictions.labels, predictions.va)
    probs, affect, labels, va = (torch.from_numpy(part[keep]) for part in parts)
    return all_scores(probs, affect, labels, va, torch.full(probs.shape, torch.nan))


@pytest.mark.parametrize(
    "score", ["accuracy", "macro_f1", "nll", "brier", "rmse_valence", "rmse_arousal", "ccc_valence", "ccc_arousal"]
)
def test_image_scores_are_the_jackknife_of_the_score(score):
    """Against every score computed anew without each image."""
    for seed in range(3):
        predictions = some_predictions(seed)
        has = np.isfinite(predictions.va).all(1) if "_" in score and score != "macro_f1" else predictions.labels >= 0
        used = np.flatnonzero(has)
        without = np.array([scores_of(predictions, np.setdiff1d(used, [one]))[score] for one in used])
        whole = scores_of(predictions, used)[score]
        found = image_scores(predictions, score)
        assert found.mean() == pytest.approx(whole, abs=1e-6)
        assert found == pytest.approx(pseudo_values(whole, without), abs=2e-5)


def test_scores_without_values_of_images_have_none():
    for score in ("ece", "kl_votes", "kept_share"):
        assert not has_image_scores(score)
        assert image_scores(some_predictions(), score) is None


def study(predictions, gains=(0.0, 0.1), reference=None):
    """Two arms; `predictions(arm, replicate)` of a cell, from which its scores are."""
    arms = [str(number) for number in range(len(gains))]
    cells = {arm: [{"accuracy": 0.0}] * 6 for arm in arms}
    results = results_of({"arm": arms}, {"arm": "0"} if reference is None else reference, cells)
    full = []
    for cell in results.cells:
        made = predictions(int(cell.coordinates["arm"]), cell.replicate)
        accuracy = float((made.probs.argmax(1) == made.labels).mean())
        full.append(replace(cell, scores={"accuracy": accuracy}, predictions=lambda made=made: made, again=True))
    return replace(results, cells=tuple(full))


def classified(arm, replicate, images=200, gain=0.2, rows=None):
    """Predictions that are right in more images in later arms; images are as hard in all."""
    hard = np.random.default_rng(0).normal(size=images)
    rng = np.random.default_rng([arm, replicate])
    right = hard + rng.normal(0, 0.5, images) + 0.3 * arm + gain > 0
    probs = np.eye(2)[np.where(right, 0, 1)]
    nothing = np.full((images, 2), np.nan)
    rows = np.arange(images) if rows is None else rows
    return ImagePredictions(rows, probs, nothing, np.zeros(images, np.int64), nothing)


def inference(results, arm="arm=1"):
    found = next(one for one in summarise(results).arms if one.name == arm)
    return found.scores["accuracy"].inference


class TestSummary:
    def test_the_difference_is_that_of_single_images(self):
        results = study(classified, gains=(0, 1, 2))
        values = np.array([classified(1, r).probs[:, 0] - classified(0, r).probs[:, 0] for r in range(6)])
        assert inference(results).new_images == crossed(values, level=0.05 / 2)
        own = np.array([classified(0, r).probs[:, 0] for r in range(6)])
        assert inference(results, "arm=0").mean_new_images == crossed(own)

    def test_a_claim_says_whether_it_holds_for_new_images(self):
        words = " ".join(reading(summarise(study(classified))))
        assert "For new test images as well (replicates and the 50 test images both random" in words
        assert "these claims hold: arm=1" in words

    @pytest.mark.parametrize(
        ("predictions", "why"),
        [
            (lambda arm, r: classified(arm, r, rows=np.arange(200) + r), "different test images"),
            (lambda arm, r: classified(arm, r, rows=np.arange(200) + arm), "an arm and its reference|reference are"),
        ],
    )
    def test_other_images_have_no_interval(self, predictions, why):
        found = inference(study(predictions))
        assert found.new_images is None
        assert "different test images" in found.why
        assert "intervals for new ones are not available" in " ".join(reading(summarise(study(predictions))))

    def test_predictions_that_contradict_mlflow_have_none(self):
        results = study(classified)
        cells = tuple(replace(c, scores={"accuracy": c.scores["accuracy"] + 0.01}) for c in results.cells)
        assert "give another score than MLflow" in inference(replace(results, cells=cells)).why

    def test_absent_or_unreachable_predictions_are_said(self):
        def unreachable():
            raise UserError("away")

        for read in (lambda: None, unreachable):
            results = study(classified)
            results = replace(results, cells=tuple(replace(c, predictions=read) for c in results.cells))
            assert inference(results).why == "there are no predictions of arm=1 #0"

    def test_predictions_are_read_once_until_the_run_changes(self, own_cache):
        read = []

        def counted(cell, again=False, **changes):
            return replace(
                cell, again=again, predictions=lambda: read.append(cell.name) or cell.predictions(), **changes
            )

        plain = study(classified)
        results = replace(plain, cells=tuple(counted(cell) for cell in plain.cells))
        first = inference(results)
        assert sorted(read) == sorted(cell.name for cell in plain.cells)
        read.clear()
        assert inference(results) == first
        assert read == []
        checked = replace(plain, cells=tuple(counted(cell, again=True) for cell in plain.cells))
        assert inference(checked) == first
        assert len(read) == 12
        read.clear()
        changed = replace(plain, cells=(counted(plain.cells[0], scores={"accuracy": 0.5}), *results.cells[1:]))
        assert "another score than MLflow" in inference(changed).why
        for file in own_cache.rglob("*.json"):
            file.write_text("{}x")
        assert inference(results) == first


AXES = {"noise": ("0", "0.3"), "method": ("a", "b", "c")}


def best_study(means, reference=None):
    rng = np.random.default_rng(0)
    cells = {arm: [{"macro_f1": mean + x} for x in rng.normal(0, 0.01, 6)] for arm, mean in means.items()}
    return results_of(AXES, {"method": "a"} if reference is None else reference, cells)


MEANS = {("0", "a"): 0.5, ("0", "b"): 0.7, ("0", "c"): 0.7, ("0.3", "a"): 0.1, ("0.3", "b"): 0.3, ("0.3", "c"): 0.1}


class TestWords:
    def test_arms_are_compared_within_a_level_of_other_axes(self):
        summary = summarise(best_study(MEANS))
        assert [group.may_be_best for group in summary.best] == [
            ("noise=0, method=b", "noise=0, method=c"),
            ("noise=0.3, method=b",),
        ]
        assert best_words(summary)[0] == (
            "With 95 % confidence in all of these statements together, the best mean macro-F1 is at noise=0 one of "
            "method=b, method=c; at noise=0.3 method=b (Hsu's multiple comparisons with the best, by paired t-limits "
            "with Bonferroni; a guarantee apart from that of the comparisons with the reference)."
        )

    def test_without_a_reference_all_arms_are_compared(self):
        summary = summarise(best_study(MEANS, reference={}))
        (group,) = summary.best
        assert group.may_be_best == ("noise=0, method=b", "noise=0, method=c")
        assert len(group.excluded) == 4

    def test_arms_with_failed_cells_are_not_judged(self):
        failed = {("0.3", "b"): [None, *({"macro_f1": 0.9} for _ in range(5))]}
        cells = {arm: [{"macro_f1": m + x} for x in (0, 0.01, -0.01, 0.02, 0.01)] for arm, m in MEANS.items()}
        summary = summarise(results_of(AXES, {"method": "a"}, {**cells, **failed}))
        assert summary.best[1].unjudged == ("noise=0.3, method=b",)
        assert "Not judged there: noise=0.3, method=b" in best_words(summary)[1]

    def test_power_names_more_replicates_than_there_are(self):
        words = power_words(summarise(best_study(MEANS)))
        assert words.startswith("Power: with m = 4 comparisons and n = 6 replicates a difference of 2.0 standard dev")
        assert "; n = 10: " in words
        assert "; n = 20: " in words
        assert words.endswith("For claims 10 replicates are advised.")

    def test_power_without_a_measured_variance(self):
        results = results_of(AXES, {"method": "a"}, {arm: [{"macro_f1": m}] for arm, m in MEANS.items()})
        words = power_words(summarise(results))
        assert words.startswith("Power: with m = 4 comparisons and n = 5 replicates a difference of")
        assert "here" not in words
        assert power_words(summarise(best_study(MEANS, reference={}))) == ""
