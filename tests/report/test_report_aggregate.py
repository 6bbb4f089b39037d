"""From cells to arms: nothing is averaged over silently."""

from dataclasses import replace

import pytest

from raysweep.report import Results, summarise
from raysweep.report.text.caption import caption, notes
from raysweep.report.text.findings import reading


@pytest.fixture
def whole(shared):
    return shared.load("ablation_alpha")


@pytest.fixture
def gaps(shared):
    return shared.load("ablation_noise_rate")


def change(results, name, **changes):
    """The results with one cell changed."""
    cells = tuple(replace(c, **changes) if c.name == name else c for c in results.cells)
    return Results(results.study, cells)


def text_of(results):
    summary = summarise(results)
    return " ".join([*caption(summary), *(text for _, text in notes(summary)), *reading(summary)])


class TestArms:
    def test_means_are_over_complete_cells(self, gaps):
        summary = summarise(gaps)
        arm = summary.arm({"noise": "0.3", "method": "one-hot"})
        cells = [cell for cell in gaps.of(arm.coordinates) if cell.complete]
        mean = sum(cell.scores["macro_f1"] for cell in cells) / 4
        assert (arm.complete, arm.planned, arm.absent) == (4, 5, {"failed": 1})
        assert arm.scores["macro_f1"].spread.mean == pytest.approx(mean)
        assert arm.scores["macro_f1"].runs == tuple(cell.run_id for cell in cells)

    def test_degenerate_cells_are_kept_and_counted(self, gaps):
        arm = summarise(gaps).arm({"noise": "0.3", "method": "one-hot"})
        assert arm.degenerate == 1
        assert 1 in arm.scores["macro_f1"].values
        assert "the means keep it" in text_of(gaps)

    def test_failed_scores_are_never_read(self, gaps):
        """A failed cell may have logged scores before it failed."""
        name = "noise=0.3, method=one-hot #4"
        spoilt = summarise(change(gaps, name, scores={"macro_f1": 99.0})).arm({"noise": "0.3", "method": "one-hot"})
        assert spoilt.scores["macro_f1"].spread.mean < 1

    def test_comparison_is_with_the_arm_that_is_equal_elsewhere(self, gaps):
        summary = summarise(gaps)
        arm, reference = ({"noise": "0.2", "method": m} for m in ("Euclidean", "one-hot"))
        ours, theirs = (summary.arm(where).scores["macro_f1"] for where in (arm, reference))
        assert ours.comparison.difference == pytest.approx(ours.spread.mean - theirs.spread.mean)
        assert theirs.comparison is None
        assert summary.arm(reference).is_reference

    def test_comparison_uses_shared_replicates(self, gaps):
        arm = summarise(gaps).arm({"noise": "0.3", "method": "Gaussian"})
        assert arm.complete == 4
        assert arm.scores["macro_f1"].comparison.n == 3  # replicate 3 is missing here, 4 in the reference
        assert arm.scores["macro_f1"].comparison.verdict == "no claim"

    def test_the_family_is_the_table(self, gaps):
        """Two arms at each of four noise levels: eight comparisons, whatever became of their cells."""
        summary = summarise(gaps)
        assert summary.family == 8
        found = [c for arm in summary.arms if (c := arm.scores["macro_f1"].comparison)]
        assert len(found) == 8
        assert [c.p_adjusted for c in found] == pytest.approx([min(1, 8 * c.p) for c in found])

    def test_holm_is_over_an_exploratory_score(self, gaps):
        found = [c for arm in summarise(gaps).arms if (c := arm.scores["ece"].comparison)]
        ranked = sorted(found, key=lambda c: c.p)
        assert ranked[0].p_holm == pytest.approx(min(1, 8 * ranked[0].p))
        assert ranked[1].p_holm == pytest.approx(max(ranked[0].p_holm, min(1, 7 * ranked[1].p)))
        assert {c.verdict for c in found} == {"exploratory"}

    def test_no_reference_no_comparison(self, whole):
        free = Results(replace(whole.study, reference={}), whole.cells)
        summary = summarise(free)
        assert all(score.comparison is None for arm in summary.arms for score in arm.scores.values())
        assert "names no reference" in text_of(free)


class TestRemarks:
    def test_alike_cells_need_none(self, whole):
        assert summarise(whole).remarks == ()

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"code_version": "0.2.0"}, "2 versions of the code: 0.1.0+1a2b3c4 (24 cells), 0.2.0 (1 cell)"),
            ({"device": "NVIDIA H100"}, "2 kinds of device: NVIDIA H100 (1 cell), x86_64 (24 cells)"),
            ({"data_fingerprint": "other"}, "other data than the launch describes"),
            ({"code_version": "0.1.0+1a2b3c4.dirty"}, "uncommitted changes"),
            ({"scores": {"macro_f1": 0.5}}, "1 complete cell has no finite ece"),
        ],
    )
    def test_a_cell_that_differs_is_named(self, whole, changes, words):
        assert words in " ".join(summarise(change(whole, "alpha=0.5 #2", **changes)).remarks)

    def test_scores_nobody_has_are_not_columns(self, whole):
        cells = tuple(replace(c, scores={"macro_f1": c.scores["macro_f1"]}) for c in whole.cells)
        summary = summarise(Results(whole.study, cells))
        assert summary.columns == ("macro_f1",)
        assert summary.unavailable == ("rmse_valence", "rmse_arousal", "accuracy", "ece")
        assert "Not shown, because no cell has them with these data: RMSE V" in text_of(Results(whole.study, cells))


class TestWords:
    def test_claims_are_the_verdicts(self, whole):
        words = reading(summarise(whole))
        assert words[0].startswith("alpha=0.3 is better than alpha=1 by +0.0")
        assert any(w.startswith("Not to be told from the reference: alpha=0") for w in words)

    def test_no_difference(self, whole):
        same = {cell.replicate: cell.scores for cell in whole.cells if cell.arm == "alpha=1"}
        wobble = {"0": 1e-3, "0.3": -2e-3, "0.5": 2e-3, "0.7": 1e-3, "1": 0.0}
        cells = tuple(
            replace(
                c,
                scores={
                    n: v + wobble[c.coordinates["alpha"]] * (-1) ** c.replicate for n, v in same[c.replicate].items()
                },
            )
            for c in whole.cells
        )
        words = reading(summarise(Results(whole.study, cells)))
        assert (
            words[0] == "No arm differs from alpha=1 in macro-F1 beyond noise at 5 replicates "
            "(paired t, Bonferroni over 4 comparisons)."
        )
        assert "what the data leave open" in words[1]

    def test_few_replicates_allow_no_claim(self, whole):
        few = Results(whole.study, tuple(c for c in whole.cells if c.replicate < 3))
        summary = summarise(few)
        assert reading(summary)[0] == "3 replicates: fewer than 5 allow no claim about any arm."
        assert "Fewer than 5 shared replicates allow no claim, so nothing is bold." in " ".join(caption(summary))
        assert not any(
            s.comparison.verdict in ("better", "worse") for a in summary.arms for s in a.scores.values() if s.comparison
        )

    def test_nothing_complete(self, whole):
        empty = Results(whole.study, tuple(replace(c, state="missing", scores={}, run_id=None) for c in whole.cells))
        assert reading(summarise(empty))[0].startswith("No cell is complete yet")

    def test_lower_is_better_is_said(self, whole):
        turned = Results(replace(whole.study, metric="rmse_valence"), whole.cells)
        assert "alpha=0.5 is better than alpha=1 by −0.0" in reading(summarise(turned))[1]
        assert "lower is better" in reading(summarise(turned))[1]

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"protocol": "best_on_test", "weights": "best"}, "BEST ON TEST"),
            ({"protocol": "select_then_retrain"}, "the model is retrained on all training images"),
            ({"protocol": "last"}, "3,000 training and 800 test images"),
            ({"recipe": {"labels.statistics": "noisy"}}, "come from the noisy labels, which is what a user has"),
            ({"published": "nowhere"}, "No published numbers are known under the name 'nowhere'"),
            ({"notes": ("a study's own note",)}, "a study's own note."),
        ],
    )
    def test_caption_says_how_numbers_came_about(self, whole, changes, words):
        recipe = {**whole.study.recipe, **changes.get("recipe", {})}
        study = replace(whole.study, **{**changes, "recipe": recipe})
        assert words in text_of(Results(study, whole.cells))

    def test_caption_holds_data_notes_and_counts(self, gaps):
        text = " ".join(caption(summarise(gaps)))
        assert "faces, 4 expressions; 3,000 training (15 % of them held out for validation) and 800 test images" in text
        assert "Data note: derived VA, no claim." in text
        assert "clean labels" in text
