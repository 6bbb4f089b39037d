"""Tables: what stands in them, and that each format says it correctly."""

import csv
import io
import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from raysweep.report import Results, summarise
from raysweep.report.render.camera_ready import table_latex
from raysweep.report.render.csv_files import cells_csv, scores_csv
from raysweep.report.render.latex import escape as latex_escape
from raysweep.report.render.markdown import table_markdown
from raysweep.report.tables.arms import compact_table, results_table
from raysweep.report.tables.declared import declared_tables
from raysweep.report.tables.table import Column, Entry, ReportTable
from tests.report.test_escapers import document

NASTY = r"50% of $a_b & #1 {x} ~^\ <script> | `c` 表 “q” Δ *b* ] (u)"


@pytest.fixture
def alpha_summary(shared):
    return summarise(shared.load("ablation_alpha"))


@pytest.fixture
def noise_results(shared):
    return shared.load("ablation_noise_rate")


@pytest.fixture
def noise_summary(noise_results):
    return summarise(noise_results)


def column(table, title, group=""):
    index = [(c.title, c.group) for c in table.columns].index((title, group))
    return [row[index] for row in table.rows]


class TestContent:
    def test_bold_is_better_beyond_noise_and_nothing_else(self, alpha_summary):
        table = results_table(alpha_summary)
        for score in alpha_summary.columns:
            index = 2 + alpha_summary.columns.index(score)
            for arm, row in zip(alpha_summary.arms, table.rows, strict=True):
                comparison = arm.scores[score].comparison
                assert row[index].bold == (comparison is not None and comparison.verdict == "better")
        assert any(entry.bold for row in table.rows for entry in row)

    def test_worse_has_a_mark_of_its_own(self, alpha_summary):
        turned = replace(alpha_summary.study, reference={"alpha": "0.5"})
        cells = tuple(cell for arm in alpha_summary.arms for cell in arm.cells)
        table = results_table(summarise(Results(turned, cells)))
        marks = {row[0].text: (row[5].marks, row[5].bold) for row in table.rows}
        assert marks["0"] == marks["1"] == ("⁻", False)
        assert marks["0.5"] == marks["0.7"] == ("", False)
        assert {entry.marks for row in table.rows for entry in row[2:5]} == {""}
        assert "⁻: worse than the reference" in " ".join(table.caption)

    def test_few_replicates_give_no_bold(self, shared):
        results = shared.load("ablation_alpha")
        few = Results(results.study, tuple(c for c in results.cells if c.replicate < 4))
        assert not any(entry.bold for row in results_table(summarise(few)).rows for entry in row)

    def test_every_number_has_its_runs(self, noise_results, noise_summary):
        complete = {cell.run_id for cell in noise_results.cells if cell.complete}
        table = results_table(noise_summary)
        assert set(table.runs) == complete
        assert all(entry.runs for row in table.rows for entry in row if entry.value is not None)

    def test_published_values_stand_beside_ours(self, alpha_summary):
        table = results_table(alpha_summary)
        assert [e.text for e in column(table, "macro-F1", "paper, AffectNet")] == [
            "0.5643",
            "0.5950",
            "0.6066",
            "0.6040",
            "0.5843",
        ]
        assert [e.text for e in column(table, "RMSE V", "paper, MorphSet")] == [
            "0.063",
            "0.063",
            "0.060",
            "0.063",
            "0.071",
        ]
        notes = " ".join(text for _, text in table.notes)
        assert "0.6017" in notes
        assert "not comparable with ours" in notes

    def test_incomplete_and_degenerate_arms_are_marked(self, noise_summary):
        table = results_table(noise_summary)
        counts = {(row[0].text, row[1].text): (row[2].plain, row[2].marks) for row in table.rows}
        assert counts[("0.3", "one-hot")] == ("4 of 5", "†‡")
        assert counts[("0.3", "Gaussian")] == ("4 of 5", "†")
        assert counts[("0.2", "one-hot")] == ("5", "")
        assert [mark for mark, _ in table.notes[:3]] == ["†", "", "‡"]
        assert "noise=0.3, method=one-hot 1 of 5 (20 % [0.5, 71.6])" in table.notes[1][1]
        assert "noise=0.3, method=one-hot: 1 of 4 (25 % [0.6, 80.6]), macro-F1 of the others 0.5" in table.notes[2][1]
        assert "the loss became nan" in table.notes[0][1]

    def test_an_arm_without_complete_cells_is_a_dash(self, shared):
        results = shared.load("ablation_alpha")
        cells = tuple(
            replace(c, state="failed", cause="out of memory") if c.arm == "alpha=0.5" else c for c in results.cells
        )
        table = results_table(summarise(Results(results.study, cells)))
        assert [entry.plain for entry in table.rows[2][1:7]] == ["0 of 5", *"–––––"]
        assert "alpha=0.5: 5 failed (out of memory)" in table.notes[0][1]


class TestMarkdown:
    def test_every_line_has_the_same_columns(self, noise_summary):
        text = table_markdown(results_table(noise_summary))
        lines = [line for line in text.splitlines() if line.startswith("|")]
        assert len(lines) == 2 + 12
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1

    def test_foreign_words_have_no_effect(self):
        table = ReportTable("t", (Column("x", left=True), Column("y")), ((Entry(NASTY), Entry(value=0.5, std=0.1)),))
        line = table_markdown(table).splitlines()[2]
        assert len(re.findall(r"(?<!\\)\|", line)) == 3
        assert "<script" not in line.replace("\\<script", "")
        assert "0.500 ± 0.100" in line

    def test_short_table_is_for_a_terminal(self, noise_summary):
        text = table_markdown(compact_table(noise_summary))
        assert "paper" not in text
        assert "† Not complete" in text


class TestLatex:
    def check(self, text):
        """Braces balance, and every row of the tabular has as many cells as its columns."""
        bare = re.sub(r"\\[{}\\%&#_$]", "", re.sub(r"(?<!\\)%.*", "", text))
        assert bare.count("{") == bare.count("}")
        spec = re.search(r"\\begin{tabular}{@{}((?:[lrc]|p{\d+pt})+)@{}}", text).group(1)
        body = text[text.index("\\toprule") : text.index("\\bottomrule")]
        for line in body.splitlines():
            if r"\\" in line and not line.startswith("\\addl"):
                spans = sum(int(n) - 1 for n in re.findall(r"\\multicolumn{(\d+)}", line))
                assert len(re.findall(r"(?<!\\)&", line)) + 1 + spans == len(re.sub(r"p{\d+pt}", "p", spec)), line

    def test_structure(self, alpha_summary, noise_summary):
        for table in (results_table(alpha_summary), results_table(noise_summary), declared_tables([noise_summary])[0]):
            self.check(table_latex(table))

    def test_run_ids_stand_behind_rows(self, alpha_summary):
        table = results_table(alpha_summary)
        text = table_latex(table)
        assert all(run in text for run in table.runs)

    def test_escape(self):
        words = latex_escape(NASTY)
        assert r"50\% of \$a\_b \& \#1 \{x\}" in words
        assert "[U+8868]" in words

    @pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
    def test_compiles(self, alpha_summary, noise_summary, tmp_path):
        """Both studies, and one whose every word is hostile; nothing sticks out of the page."""
        hostile = ReportTable(
            "x", (Column(NASTY, left=True), Column("y", NASTY)), ((Entry(NASTY), Entry(value=-0.5, bold=True)),)
        )
        hostile = replace(hostile, caption=(NASTY,), notes=(("†", NASTY),))
        tables = [*declared_tables([alpha_summary]), *declared_tables([noise_summary]), hostile]
        for table in tables:
            (tmp_path / f"{table.label}.tex").write_text(table_latex(table), encoding="utf-8")
        (tmp_path / "all.tex").write_text(document(*(table.label for table in tables)), encoding="utf-8")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120)
        assert done.returncode == 0, done.stdout[-2000:]
        assert (tmp_path / "all.pdf").stat().st_size > 10_000


class TestCsv:
    def test_long_format(self, noise_summary):
        rows = list(csv.DictReader(io.StringIO(scores_csv(noise_summary))))
        assert len(rows) == 12 * 3
        found = next(r for r in rows if (r["noise"], r["method"], r["score"]) == ("0.2", "Euclidean", "macro_f1"))
        comparison = noise_summary.arm({"noise": "0.2", "method": "Euclidean"}).scores["macro_f1"].comparison
        assert float(found["difference"]) == pytest.approx(comparison.difference, rel=1e-4)
        assert float(found["p_adjusted"]) == pytest.approx(comparison.p_adjusted, rel=1e-4)
        assert found["p_holm"] == found["why"] == found["same_cells_as"] == ""
        assert (found["verdict"], found["reference"], found["shared"]) == ("better", "noise=0.2, method=one-hot", "5")
        assert found["published AffectNet"] == "0.5890"
        assert len(found["runs"].split()) == 5

    def test_cells(self, noise_results):
        rows = list(csv.DictReader(io.StringIO(cells_csv(noise_results))))
        assert len(rows) == 60
        assert {row["state"] for row in rows} == {"complete", "failed", "missing"}
        failed = next(row for row in rows if row["state"] == "failed")
        assert failed["cause"] == "DegenerateLoss: the loss became nan in epoch 3"
        assert sum(row["degenerate"] == "yes" for row in rows) == 1


@pytest.mark.parametrize("level", ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0"])
def test_no_cell_of_a_report_s_sheets_is_a_formula(tracking, fabricate, level):
    """Levels and causes are words of others; numbers below zero stay numbers."""
    study = fabricate(
        "sheets", {"level": (level, "plain")}, {"level": "plain"}, lambda where: 0.5, replicates=2, epochs=1
    )
    study.failed = {(f"level={level}", 1): "=HYPERLINK(1)"}
    results = tracking.write(study).load("sheets")
    for sheet in (scores_csv(summarise(results)), cells_csv(results)):
        rows = list(csv.reader(io.StringIO(sheet)))
        assert not [word for row in rows for word in row if word.startswith(("=", "@", "+"))]
        assert any(f"'{level}" in row for row in rows)
