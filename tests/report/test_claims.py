"""What a whole table may claim: on tables made by hand, and on simulated ones in which nothing differs."""

import csv
import io
import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy import stats

from bench.statistics.tables import SHAPES, _draw, false_claims, results_of
from raysweep.artifacts.declared_table import Table
from raysweep.artifacts.study_record import AxisRecord
from raysweep.report import Results, summarise
from raysweep.report.render.camera_ready import table_latex
from raysweep.report.render.csv_files import scores_csv
from raysweep.report.render.markdown import table_markdown
from raysweep.report.results.statistics import Comparison
from raysweep.report.tables.arms import compact_table, difference_words, results_table
from raysweep.report.tables.datasets import together_table
from raysweep.report.tables.declared import declared_tables
from raysweep.report.text.caption import caption, notes
from raysweep.report.text.findings import reading
from tests.report.conftest import table_html

ALPHA = {"alpha": ("0", "0.5", "0.9", "1")}


def table(values, axes=ALPHA, reference=None, keys=None, **other_scores):
    """A study's cells. `values`: arm's levels to its macro-F1 by replicate, None for a cell that failed."""
    cells = {where: [{"macro_f1": v} if v is not None else None for v in row] for where, row in values.items()}
    for score, rows in other_scores.items():
        for where, row in rows.items():
            cells[where] = [
                {**cell, score: value} if cell else None for cell, value in zip(cells[where], row, strict=True)
            ]
    return results_of(axes, reference or {"alpha": "1"}, cells, keys=keys)


BASE = (0.50, 0.52, 0.49, 0.53, 0.51)
WOBBLE = (0.003, -0.002, 0.001, -0.003, 0.002)


def shifted(by, wobble=WOBBLE):
    return tuple(b + by + w for b, w in zip(BASE, wobble, strict=True))


def verdicts(results, score="macro_f1"):
    found = {arm.name: arm.scores[score].comparison for arm in summarise(results).arms}
    return {name: c.verdict for name, c in found.items() if c}


def text(results):
    summary = summarise(results)
    return " ".join([*caption(summary), *(words for _, words in notes(summary)), *reading(summary)])


def without(results, *cells):
    """The results with cells (level, replicate) that are complete and have no finite score."""
    changed = (replace(c, scores={}) if (c.coordinates["alpha"], c.replicate) in cells else c for c in results.cells)
    return Results(results.study, tuple(changed))


class TestConstantDifferences:
    """Plus 0.100 in all five replicates: clear to the eye, and nothing that a t-test can judge."""

    RESULTS = table({"0": shifted(0.1, (0,) * 5), "0.5": shifted(0.001), "0.9": shifted(0.002), "1": BASE})

    def test_they_are_not_called_noise(self):
        words = reading(summarise(self.RESULTS))
        assert words[0].startswith("None of the 2 arms tested differs from alpha=1 in macro-F1 beyond noise")
        assert words[1] == (
            "No claim of alpha=0 (+0.100): the same difference in all 5 replicates: no noise to measure it by."
        )

    def test_a_table_of_them_alone_tests_nothing(self):
        results = table({"0": shifted(0.1, (0,) * 5), "0.5": shifted(-0.2, (0,) * 5), "0.9": BASE, "1": BASE})
        sentence = text(replace(results, cells=tuple(c for c in results.cells if c.coordinates["alpha"] != "0.9")))
        assert "No arm could be tested against alpha=1 in macro-F1." in sentence
        assert "beyond noise at" not in sentence

    def test_equal_cells_are_no_arm_that_was_tested(self):
        """alpha = 0.9 came to the reference's own cells: its difference is 0, and the family is one smaller."""
        keys = {"0.9": "1"}
        results = table({"0": shifted(0.1), "0.5": shifted(0.002), "0.9": BASE, "1": BASE}, keys=keys)
        assert summarise(results).family == 2
        assert verdicts(results)["alpha=0.9"] == "not distinguishable"
        words = reading(summarise(results))
        assert words[1] == "Not to be told from the reference: alpha=0.5."
        assert words[2] == "The reference's own cells, so not tested: alpha=0.9."

    def test_equal_cells_do_not_stand_in_for_an_arm_that_was_not_tested(self):
        """Two planned comparisons, one of them constant: the reference's own cells are not the second."""
        results = table({"0": shifted(0.1, (0,) * 5), "0.5": shifted(0.002), "0.9": BASE, "1": BASE}, keys={"0.9": "1"})
        words = reading(summarise(results))
        assert words[0].startswith("The one arm tested, alpha=0.5, does not differ from alpha=1 in macro-F1 beyond")
        assert words[1].startswith("No claim of alpha=0 (+0.100): the same difference in all 5 replicates")
        assert "No arm differs" not in text(results)

    def test_the_reference_s_own_cells_are_no_exploratory_test_either(self):
        """Holm's p of the two others: the smaller one twice, the larger one as it is or raised to that."""
        rows = {"0": shifted(0.004), "0.5": shifted(0.002), "0.9": BASE, "1": BASE}
        results = table(rows, keys={"0.9": "1"}, accuracy=rows)
        found = {arm.name: arm.scores["accuracy"].comparison for arm in summarise(results).arms}
        small, large = found["alpha=0"], found["alpha=0.5"]
        assert small.p_holm == pytest.approx(2 * small.p)
        assert large.p_holm == pytest.approx(max(2 * small.p, large.p))
        assert (found["alpha=0.9"].p_holm, found["alpha=0.9"].same_as) == (None, "alpha=1")


class TestIntervals:
    """Every printed interval is Bonferroni's over the whole table, and says the same as the verdict beside it."""

    SHAPES = (
        ({"alpha": ("0", "0.5", "0.9", "1")}, {"alpha": "1"}),
        ({"noise": ("0", "0.3"), "method": ("hard", "soft", "votes")}, {"method": "hard"}),
        ({"noise": ("0", "0.1", "0.3"), "alpha": ("1", "0"), "size": ("10", "20")}, {"alpha": "1"}),
    )

    @pytest.mark.parametrize(("shape", "family"), [(0, 3), (1, 4), (2, 6)])
    @pytest.mark.parametrize("n", [5, 8])
    def test_they_are_scipy_s_at_the_table_s_level_each_with_its_own_variance(self, shape, family, n):
        axes, reference = self.SHAPES[shape]
        rng = np.random.default_rng(10 * shape + n)
        rows = {
            levels if len(axes) > 1 else levels[0]: rng.normal(0.5 + 0.02 * i, 0.01 * (1 + i % 4), n).tolist()
            for i, levels in enumerate(product(*axes.values()))
        }
        summary = summarise(table(rows, axes, reference))
        assert summary.family == family
        for arm in summary.arms:
            comparison = arm.scores["macro_f1"].comparison
            if comparison is None:
                continue
            theirs = summary.arm(summary.study.reference_of(arm.coordinates))
            test = stats.ttest_rel(*(list(a.scores["macro_f1"].values.values()) for a in (arm, theirs)))
            low, high = test.confidence_interval(1 - 0.05 / family)
            assert (comparison.low, comparison.high) == pytest.approx((low, high), rel=1e-6)
            assert comparison.verdict == ("better" if low > 0 else "worse" if high < 0 else "not distinguishable")

    @pytest.mark.parametrize(
        ("end", "words", "verdict"),
        [
            (0.0002, "+0.005 [+0.0002, +0.009]", "better"),
            (0.00000004, "+0.005 [+0.00000004, +0.009]", "better"),
            (-0.0002, "+0.004 [−0.0002, +0.009]", "not distinguishable"),
        ],
    )
    def test_a_printed_end_lies_on_the_side_of_0_that_the_verdict_says(self, end, words, verdict):
        """Rounded to 0.000, a claim's interval would hold 0."""
        half = stats.t.ppf(1 - 0.05 / 6, 4) * stats.sem(WOBBLE)
        summary = summarise(
            table({"0": shifted(half + end - np.mean(WOBBLE)), "0.5": BASE[::-1], "0.9": BASE[::-1], "1": BASE})
        )
        assert summary.arms[0].scores["macro_f1"].comparison.verdict == verdict
        assert results_table(summary).rows[0][-2].text == words

    def test_worse_is_printed_on_its_side_too_and_0_stays_0(self):
        assert difference_words(Comparison(5, -0.004, 0.001, -0.008, -0.00003)) == "−0.004 [−0.008, −0.00003]"
        assert difference_words(Comparison(5, 0.0, 0.0, 0.0, 0.0)) == "0.000 [0.000, 0.000]"

    @pytest.mark.parametrize(("p", "words"), [(0.0499, "0.0499"), (0.05004, "0.05004"), (0.05, "0.050")])
    def test_a_printed_p_lies_on_the_side_of_0_05_that_the_verdict_says(self, p, words):
        half = stats.t.ppf(1 - p / 6, 4) * stats.sem(WOBBLE)
        rows = {"0": shifted(half - np.mean(WOBBLE)), "0.5": BASE[::-1], "0.9": BASE[::-1], "1": BASE}
        row = results_table(summarise(table(rows))).rows[0]
        assert row[-1].text == words
        assert p == 0.05 or row[2].bold == (p < 0.05)


class TestFewReplicates:
    def test_few_are_shared_though_every_arm_has_enough(self):
        """Of seven, 0 to 4 are there in the arms and 2 to 6 in the reference."""
        rows = {level: (*shifted(0.1), None, None) for level in ("0", "0.5", "0.9")}
        words = reading(summarise(table({**rows, "1": (None, None, *BASE)})))
        assert words[0] == (
            "3 replicates with macro-F1 in an arm and its reference: fewer than 5 allow no claim about any arm."
        )

    def test_few_are_shared_since_the_reference_lacks_the_score_in_one(self):
        results = table({"0": shifted(0.1), "0.5": shifted(0.1), "0.9": shifted(0.1), "1": BASE})
        sentence = text(without(results, ("1", 0)))
        assert "4 replicates with macro-F1 in an arm and its reference: fewer than 5 allow no claim" in sentence
        assert "5 replicates: fewer than 5" not in sentence

    def test_an_arm_that_has_no_score_at_all_is_named_beside_those_that_were_tested(self):
        results = table({"0": shifted(0.1), "0.5": shifted(0.002), "0.9": BASE[::-1], "1": BASE})
        words = reading(summarise(without(results, *(("0.5", replicate) for replicate in range(5)))))
        assert "No claim of alpha=0.5: no replicate has macro-F1 both there and in the reference." in words
        assert words[0].startswith("alpha=0 is better")

    def test_no_score_in_the_reference_is_no_comparison(self):
        results = table({"0": shifted(0.1), "0.5": shifted(0.1), "0.9": shifted(0.1), "1": BASE})
        words = reading(summarise(without(results, *(("1", replicate) for replicate in range(5)))))
        assert words[1].startswith("No arm shares a replicate that has macro-F1 with its reference")

    def test_an_arm_below_five_is_named_and_the_others_are_tested(self):
        few = (*shifted(0.2)[:3], None, None)
        results = table({"0": few, "0.5": shifted(0.05), "0.9": shifted(0.001), "1": BASE})
        words = reading(summarise(results))
        assert words[0].startswith("alpha=0.5 is better than alpha=1 by +0.050 [")
        assert "No claim of alpha=0: 2 failed of 5 cells." in words
        assert "Not to be told from the reference: alpha=0.9." in words


SHARE, EXACT = "Share of cells that fail", "with its exact 95 % interval (Clopper-Pearson)"
GIVEN = "Scores of this arm are those of the trainings that do not, and no claim is made of it."
GIVEN_OF_MANY = "Scores of these arms are those of the trainings that do not, and no claim is made of them."


def rate(count, of):
    """By scipy: for example "1 of 6 (17 % [0.4, 64.1])"."""
    found = stats.binomtest(count, of).proportion_ci(0.95, method="exact")
    return f"{count} of {of} ({100 * count / of:.0f} % [{100 * found.low:.1f}, {100 * found.high:.1f}])"


class TestIncompleteArms:
    @pytest.mark.parametrize("broken", ["0", "1"])
    def test_no_claim_of_an_arm_or_against_a_reference_whose_cells_failed(self, broken):
        rows = {"0": shifted(0.2), "0.5": shifted(0.2), "0.9": shifted(0.2), "1": BASE}
        six = {where: (*row, row[0] + 0.004 + 0.001 * i) for i, (where, row) in enumerate(rows.items())}
        six[broken] = (*six[broken][:5], None)
        results = table(six)
        expected = {
            f"alpha={level}": "no claim" if broken in (level, "1") else "better" for level in ("0", "0.5", "0.9")
        }
        assert verdicts(results) == expected
        marked = {row[0].text: row[2].bold for row in results_table(summarise(results)).rows}
        assert marked == {level: expected.get(f"alpha={level}") == "better" for level in six}
        assert f"alpha={broken} 1 of 6 (17 % [0.4, 64.1])" in text(results)

    @pytest.mark.parametrize(("first", "second"), [(1, 2), (3, 6), (6, 0)])
    def test_every_arm_whose_cells_failed_has_its_rate_and_no_mark(self, first, second):
        rows = {
            level: (*row, row[0] + 0.004)[: 6 - failed] + (None,) * failed
            for level, row, failed in (("0", shifted(0.2), first), ("0.5", shifted(-0.2), second))
        }
        results = table({**rows, "0.9": (*shifted(0.2), 0.71), "1": (*BASE, 0.51)})
        rates = "; ".join(f"alpha={a} {rate(n, 6)}" for a, n in (("0", first), ("0.5", second)) if n)
        given = GIVEN_OF_MANY if ";" in rates else GIVEN
        assert f"{SHARE}, {EXACT}: {rates}. {given}" in text(results)
        for made in (results_table(summarise(results)), compact_table(summarise(results))):
            bold = {row[0].text: (row[2].bold, row[2].marks) for row in made.rows}
            assert bold["0"] == (False, "")
            assert bold["0.5"] == ((False, "") if second else (False, "⁻"))
            assert bold["0.9"] == (True, "⁺")

    def test_an_exact_rate_by_hand(self):
        """None of 5: 1 - 0.025^(1/5) is the upper limit; 5 of 5: 0.025^(1/5) the lower one."""
        results = table({"0": (None,) * 5, "0.5": shifted(0.1), "0.9": BASE[::-1], "1": BASE})
        assert f"alpha=0 5 of 5 (100 % [{100 * 0.025 ** (1 / 5):.1f}, 100.0])" in text(results)

    @pytest.mark.parametrize("which", [("0",), ("0", "1"), ("0.5", "0.9")])
    def test_degenerate_cells_stay_and_claims_stay_but_their_rate_and_the_others_mean_are_said(self, which):
        results = table({"0": shifted(0.2), "0.5": shifted(-0.2), "0.9": shifted(0.2), "1": BASE})
        ill = {(level, replicate) for level in which for replicate in (1, 3)}
        cells = tuple(replace(c, degenerate=(c.coordinates["alpha"], c.replicate) in ill) for c in results.cells)
        summary = summarise(Results(results.study, cells))
        assert verdicts(results) == verdicts(Results(results.study, cells))
        assert [row[2] for row in results_table(summary).rows] == [
            row[2] for row in results_table(summarise(results)).rows
        ]
        for level in which:
            values = [c.scores["macro_f1"] for c in cells if c.coordinates["alpha"] == level and not c.degenerate]
            assert f"alpha={level}: {rate(2, 5)}, macro-F1 of the others {np.mean(values):.3f}" in text(
                Results(results.study, cells)
            )
        claimed = [words for words in reading(summary) if "degenerate cells among them" in words]
        assert len(claimed) == (3 if "1" in which else len(which))

    def test_where_every_cell_is_degenerate_there_are_no_others(self):
        results = table({"0": shifted(-0.4, (0.001, 0, 0, 0, 0)), "0.5": BASE[::-1], "0.9": BASE[::-1], "1": BASE})
        cells = tuple(replace(c, degenerate=c.coordinates["alpha"] == "0") for c in results.cells)
        assert f"alpha=0: {rate(5, 5)}. Kept in the means." in text(Results(results.study, cells))

    @pytest.mark.parametrize("state", ["missing", "running", "stopped"])
    def test_a_cell_that_is_not_there_yet_is_no_failure_but_no_claim_is_made_without_it(self, state):
        rows = {"0": (*shifted(0.2), None), "0.5": (*BASE, 0.5), "0.9": (*BASE, 0.5), "1": (*BASE, 0.5)}
        results = table(rows)
        cells = tuple(replace(c, state=state, cause="") if c.state == "failed" else c for c in results.cells)
        results = Results(results.study, cells)
        assert "Share of cells that fail" not in text(results)
        assert f"No claim of alpha=0: 1 {state} of 6 cells." in text(results)
        row = results_table(summarise(results)).rows[0]
        assert (row[1].plain, row[1].marks, row[2].bold, row[2].marks) == ("5 of 6", "†", False, "")

    def test_a_score_that_one_cell_lacks_has_its_own_n_and_no_claim(self):
        results = table(
            {"0": (*shifted(0.2), 0.7), "0.5": (*shifted(0.2), 0.71), "0.9": (*BASE, 0.5), "1": (*BASE, 0.5)}
        )
        cells = tuple(
            replace(c, scores={}) if (c.coordinates["alpha"], c.replicate) == ("0", 5) else c for c in results.cells
        )
        summary = summarise(Results(results.study, cells))
        row = results_table(summary).rows[0]
        assert row[1].text == "6"  # complete cells
        assert row[2].plain == "0.710 ± 0.014 (n = 5)"
        assert not row[2].bold
        assert "No claim of alpha=0: 1 without a finite macro_f1 of 6 cells." in " ".join(reading(summary))
        said = " ".join(words for _, words in notes(summary))
        assert f"{SHARE} or end without a finite macro-F1, {EXACT}: alpha=0 1 of 6 (17 % [0.4, 64.1]). {GIVEN}" in said
        assert "(n = 5)" in compact_table(summary).rows[0][2].plain

    SIX = {"0": (*shifted(0.2), 0.7), "0.5": (*shifted(0.2), 0.71), "0.9": (*shifted(-0.2), 0.31), "1": (*BASE, 0.5)}  # noqa: RUF012

    def test_a_reference_that_lacks_a_score_has_its_rate_and_no_arm_has_a_claim(self):
        results = without(table(self.SIX), ("1", 3))
        assert set(verdicts(results).values()) == {"no claim"}
        rows = {row[0].plain: row for row in results_table(summarise(results)).rows}
        assert all(not row[2].bold and not row[2].marks for row in rows.values())
        assert (rows["1"][1].plain, rows["1"][2].plain) == (
            "6",
            f"{np.mean(np.delete(self.SIX['1'], 3)):.3f} ± 0.011 (n = 5)",
        )
        assert f"end without a finite macro-F1, {EXACT}: alpha=1 1 of 6 (17 % [0.4, 64.1]). {GIVEN}" in text(results)
        assert " is better than " not in text(results)
        assert " is worse than " not in text(results)

    def test_a_cell_that_failed_and_one_without_a_score_are_two_of_one_rate(self):
        results = without(table({**self.SIX, "0": (*shifted(0.2)[:4], None, 0.7)}), ("0", 0))
        assert verdicts(results) == {"alpha=0": "no claim", "alpha=0.5": "better", "alpha=0.9": "worse"}
        assert f"end without a finite macro-F1, {EXACT}: alpha=0 2 of 6 (33 % [4.3, 77.7]). {GIVEN}" in text(results)
        assert "No claim of alpha=0: 1 failed and 1 without a finite macro_f1 of 6 cells." in text(results)
        row = results_table(summarise(results)).rows[0]
        assert (row[1].plain, row[2].bold, row[2].marks) == ("5 of 6", False, "")
        assert row[2].plain.endswith("(n = 4)")


class TestScoresThatSomeCellsLack:
    """Of six complete cells of alpha = 0, four have macro-F1, five accuracy, all ECE."""

    def results(self):
        rows = {level: (*shifted(0.1 * i), 0.6) for i, level in enumerate(ALPHA["alpha"])}
        whole = table(rows, accuracy=rows, ece=rows)
        lacking = {0: ("macro_f1", "accuracy"), 1: ("macro_f1",)}
        cells = (
            replace(c, scores={n: v for n, v in c.scores.items() if n not in lacking.get(c.replicate, ())})
            if c.coordinates["alpha"] == "0" else c
            for c in whole.cells
        )  # fmt: skip
        return Results(whole.study, tuple(cells))

    EXPECTED = {"macro_f1": 4, "accuracy": 5, "ece": 6}  # noqa: RUF012

    def test_means_are_over_those_that_have_it(self):
        arm = summarise(self.results()).arms[0]
        values = (*shifted(0.0), 0.6)
        for score, n in self.EXPECTED.items():
            assert arm.scores[score].spread.n == n
            assert arm.scores[score].spread.mean == pytest.approx(sum(values[6 - n :]) / n)

    def test_every_format_has_each_its_own(self):
        summary = summarise(self.results())
        rows = csv.DictReader(io.StringIO(scores_csv(summary)))
        assert {row["score"]: int(row["n"]) for row in rows if row["alpha"] == "0"} == self.EXPECTED
        shown = results_table(summary)
        for text in (table_markdown(shown), table_latex(shown), table_html(shown)):
            (line,) = (words for words in re.split(r"\n|</tr>", text) if "(n = " in words)
            assert [int(n) for n in re.findall(r"\(n = (\d)\)", line)] == [4, 5]

    def test_so_beside_published_methods_and_in_a_pivot(self):
        results = self.results()
        layout = Table(rows=["alpha"], metrics=["accuracy"], methods=True)
        study = replace(results.study, published="dcjt_benchmark", tables=(layout,))
        (peers,) = declared_tables([summarise(replace(results, study=study))])
        assert "(n = 5)" in table_markdown(peers)
        axes = (*results.study.axes, AxisRecord("kind", ("a",)))
        cells = tuple(replace(c, coordinates={**c.coordinates, "kind": "a"}) for c in results.cells)
        (pivot,) = declared_tables([summarise(Results(replace(results.study, axes=axes), cells))])
        assert [entry.count for entry in pivot.rows[0]][2:] == [4, None, None, None]


class TestOneNumberOneTest:
    AXES = {"shift": ("none", "moderate", "strong"), "method": ("target", "scn", "joint")}  # noqa: RUF012

    def results(self):
        rows = {}
        for number, shift in enumerate(self.AXES["shift"]):
            rows[(shift, "target")], rows[(shift, "scn")] = BASE, shifted(0.05)
            rows[(shift, "joint")] = tuple(v + 0.0005 * number * i for i, v in enumerate(shifted(0.0)))
        keys = {(shift, method): ("none", method) for shift in self.AXES["shift"] for method in ("target", "scn")}
        return table(rows, self.AXES, {"method": "target"}, keys)

    def test_equal_cells_are_compared_once(self):
        assert summarise(self.results()).family == 4  # SCN once, joint three times

    def test_and_claimed_once(self):
        words = reading(summarise(self.results()))
        assert [w for w in words if "scn is better" in w] == [words[0]]
        assert words[0].startswith("method=scn is better than method=target at shift=none by +0.050 [")
        assert words[0].endswith(
            "5 replicates, the same cells as shift=moderate, method=scn; shift=strong, method=scn)."
        )

    def test_the_table_marks_the_number_wherever_it_stands(self):
        (pivot,) = declared_tables([summarise(self.results())])
        assert [row[3].bold for row in pivot.rows] == [True] * 3

    @pytest.mark.parametrize(
        ("pair", "family", "said"),
        [
            (shifted(-0.05), 2, "alpha=0 is worse than alpha=1 by −0.050 ["),
            (shifted(0.0), 2, "No arm differs from alpha=1 in macro-F1 beyond noise at 5 replicates"),
            ((*shifted(0.2)[:4], None), 2, "No claim of alpha=0: 1 failed of 5 cells."),
            (shifted(0.1, (0,) * 5), 2, "No claim of alpha=0 (+0.100): the same difference in all 5 replicates"),
        ],
    )
    def test_one_sentence_for_two_arms_of_the_same_cells(self, pair, family, said):
        results = table({"0": pair, "0.5": pair, "0.9": BASE[::-1], "1": BASE}, keys={"0.5": "0"})
        summary = summarise(results)
        assert summary.family == family
        assert sum(words.startswith(said) for words in reading(summary)) == 1
        named = [words for words in reading(summary) if "alpha=0.5" in words and not words.startswith("The table is")]
        assert [words for words in named if "the same cells as alpha=0.5" not in words] == []

    def test_in_another_score_they_are_one_of_holm_s_tests(self):
        """Two tests, not four: alpha = 0.5 is alpha = 0, and alpha = 0.9 is the reference."""
        rows = {"0": shifted(0.01), "0.5": shifted(0.01), "0.9": BASE, "1": BASE, "2": BASE[::-1]}
        axes = {"alpha": tuple(rows)}
        scores = {"0": shifted(0.003), "0.5": shifted(0.003), "0.9": BASE, "1": BASE, "2": BASE[::-1]}
        results = table(rows, axes, keys={"0.5": "0", "0.9": "1"}, accuracy=scores)
        found = {a.coordinates["alpha"]: a.scores["accuracy"].comparison for a in summarise(results).arms}
        p = stats.ttest_rel(scores["0"], BASE).pvalue
        assert found["0"].p_holm == found["0.5"].p_holm == pytest.approx(2 * p)
        assert (found["0.9"].p_holm, found["0.9"].same_as) == (None, "alpha=1")

    def test_arms_that_share_some_cells_are_two(self):
        results = table({"0": shifted(0.1), "0.5": shifted(0.1), "0.9": BASE[::-1], "1": BASE})
        shared = {("0.5", replicate): f"0 {replicate}" for replicate in range(4)}
        cells = tuple(replace(c, key=shared.get((c.coordinates["alpha"], c.replicate), c.key)) for c in results.cells)
        assert summarise(Results(results.study, cells)).family == 3

    def test_a_table_of_the_reference_s_cells_alone_tests_nothing(self):
        results = table(dict.fromkeys(ALPHA["alpha"], BASE), keys=dict.fromkeys(("0", "0.5", "0.9"), "1"))
        summary = summarise(results)
        assert summary.family == 0
        assert reading(summary)[:2] == [
            "No arm could be tested against alpha=1 in macro-F1.",
            "The reference's own cells, so not tested: alpha=0; alpha=0.5; alpha=0.9.",
        ]


class TestMarks:
    """One arm is better, one worse; the others are not to be told from the reference."""

    ROWS = {"0": shifted(0.2), "0.5": shifted(-0.2), "0.9": shifted(0.0005), "1": BASE}  # noqa: RUF012

    def test_better_and_worse_have_a_mark_each_and_better_is_bold(self):
        row = {r[0].text: (r[2].marks, r[2].bold) for r in results_table(summarise(table(self.ROWS))).rows}
        assert row == {"0": ("⁺", True), "0.5": ("⁻", False), "0.9": ("", False), "1": ("", False)}

    def test_where_lower_is_better_a_smaller_mean_is(self):
        results = table(self.ROWS)
        cells = tuple(replace(c, scores={"nll": c.scores["macro_f1"]}) for c in results.cells)
        summary = summarise(Results(replace(results.study, metric="nll", columns=("nll",)), cells))
        row = {r[0].text: (r[2].marks, r[2].bold) for r in results_table(summary).rows}
        assert row == {"0": ("⁻", False), "0.5": ("⁺", True), "0.9": ("", False), "1": ("", False)}

    def test_every_table_has_them(self):
        axes = {"noise": ("0", "0.3"), "method": ("hard", "soft", "votes")}
        rows = {("0", "hard"): BASE, ("0", "soft"): shifted(0.2), ("0", "votes"): shifted(-0.2)}
        rows |= {("0.3", "hard"): BASE, ("0.3", "soft"): shifted(-0.2), ("0.3", "votes"): shifted(0.0005)}
        summary = summarise(table(rows, axes, {"method": "hard"}))
        expected = ["", "⁺", "⁻", "", "⁻", ""]
        for made in (results_table(summary), compact_table(summary)):
            assert [row[3].marks for row in made.rows] == expected
        assert [row[4].marks for row in together_table([summary]).rows] == expected
        (pivot,) = declared_tables([summary])
        assert [entry.marks for row in pivot.rows for entry in row[2:]] == expected

    @pytest.mark.parametrize(
        ("render", "better", "worse"),
        [
            (table_markdown, "**0.710 ± 0.014** ⁺", " 0.310 ± 0.014 ⁻"),
            (table_html, "<b>0.710 ± 0.014</b> <span class=marks>⁺<", ">0.310 ± 0.014 <span class=marks>⁻<"),
            (
                table_latex,
                r"\textbf{0.710}\,{\raysweepstd$\pm$0.014}\raisebox{.4ex}{$+$}",
                r" 0.310\,{\raysweepstd$\pm$0.014}\raisebox{.4ex}{$-$}",
            ),
        ],
    )
    def test_every_format_shows_them(self, render, better, worse):
        page = render(results_table(summarise(table(self.ROWS))))
        assert page.count(better) == page.count(worse) == 1

    def test_the_csv_file_says_them_in_words(self):
        lines = [line.split(",") for line in scores_csv(summarise(table(self.ROWS))).splitlines()]
        verdict = lines[0].index("verdict")
        assert [line[verdict] for line in lines[1:]] == ["better", "worse", "not distinguishable", ""]


class TestOtherScores:
    RESULTS = table(
        {"0": BASE, "0.5": shifted(0.001), "0.9": shifted(-0.001), "1": BASE[::-1]},
        accuracy={"0": shifted(0.3), "0.5": shifted(-0.3), "0.9": shifted(0.3), "1": BASE},
    )

    def test_they_are_exploratory(self):
        assert set(verdicts(self.RESULTS, "accuracy").values()) == {"exploratory"}
        rows = results_table(summarise(self.RESULTS)).rows
        assert not any(entry.bold or entry.marks for row in rows for entry in row)
        assert "Exploratory, without claims: accuracy" in text(self.RESULTS)
        assert "Scores other than macro-F1 are exploratory" in text(self.RESULTS)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("replicates", [5, 10])
def test_few_tables_in_which_nothing_differs_hold_a_claim(shape, replicates):
    """At most 5 % in the long run; 400 tables may show 8.25 % of them (33) once in a thousand times."""
    assert false_claims(shape, replicates, tables=400, seed=2).claims <= 33


@pytest.mark.parametrize("shape", SHAPES)
def test_a_difference_that_is_there_is_claimed(shape):
    """The check above could not fail if nothing were ever claimed."""
    assert false_claims(shape, 5, tables=20, seed=2, shift=0.2).claims == 20


@pytest.mark.parametrize(("shape", "family"), [("noise", 8), ("alpha", 4), ("methods", 16)])
@pytest.mark.parametrize("replicates", [5, 10])
def test_claims_of_simulated_tables_are_those_that_scipy_counts(shape, family, replicates):
    """The same tables, judged a second time: arms that differ in their cells from the reference, each pair once."""
    form, rng, tables = SHAPES[shape], np.random.default_rng([4, replicates, list(SHAPES).index(shape)]), 60
    arms = [levels if len(levels) > 1 else levels[0] for levels in product(*form.axes.values())]
    drawn = [_draw(form, arms, replicates, rng, shift=0.015) for _ in range(tables)]
    pairs = set()
    for arm in arms:
        at = dict(zip(form.axes, (arm,) if isinstance(arm, str) else arm, strict=True)) | form.reference
        reference = tuple(at.values()) if len(at) > 1 else next(iter(at.values()))
        pairs.add(tuple(form.same.get(one, one) for one in (arm, reference)))
    pairs = [(arm, reference) for arm, reference in pairs if arm != reference]
    assert len(pairs) == family
    f1 = {arm: np.array([[cell["macro_f1"] for cell in one[arm]] for one in drawn]) for arm in arms}
    p = np.array([stats.ttest_rel(f1[arm], f1[reference], axis=1).pvalue for arm, reference in pairs])
    expected = int((family * p < 0.05).any(0).sum())
    assert 0 < expected < tables
    assert false_claims(shape, replicates, tables, seed=4, shift=0.015).claims == expected


def test_seeds_of_the_simulation_are_its_own():
    tables = [false_claims("alpha", 5, tables=50, seed=seed) for seed in (1, 1, 3)]
    assert tables[0] == tables[1]
    assert np.isfinite([t.share for t in tables]).all()
