"""Tables for a paper: they fit a column without being shrunk, as the compiled PDF says where a TeX engine is."""

import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from raysweep.report.render.camera_ready import (
    COLUMN,
    MOST_ROWS,
    arranged,
    paper_latex,
    short_caption,
    stacked,
    table_latex,
    text_width,
    width,
)
from raysweep.report.tables.declared import paper_tables
from raysweep.report.tables.table import Column, Entry, ReportTable
from raysweep.study import Axis, Study
from tests.report.planned import planned

STUDIES = ("ablation_noise_rate", "ablation_alpha", "ddaf_benchmark", "dcjt_pseudo_labels", "dcjt_mapping",
           "dcjt_methods", "dcjt_benchmark", "dcjt_finetune", "dcjt_extra_size", "weighted_l2")  # fmt: skip
WIDTHS = {"IEEE": 252, "CVPR": 237.1, "NeurIPS": 397.5}
LONG = [f"{i:02} a level with a name of 40 characters" for i in range(20)]


def long_study():
    axes = [Axis("method", {name: {"labels.alpha": i / 20} for i, name in enumerate(LONG)}),
            Axis.of("train.learning_rate", [1e-3, 2e-3, 3e-3])]  # fmt: skip
    return Study("Long names " * 20, axes, columns=("macro_f1", "accuracy", "ece"))


def tables():
    made = [table for name in STUDIES for table in paper_tables([planned(name, kind="rafdb", encoder="arm")])]
    return [*made, *(replace(table, label="long") for table in paper_tables([planned(long_study())]))]


class TestArrangement:
    def test_each_table_fits_the_narrowest_column(self):
        for table in tables():
            assert all(width(panel) <= COLUMN for panel in arranged(table)), table.label

    def test_no_number_is_lost(self):
        for table in tables():
            shown = [
                entry for panel in arranged(table) for row in panel.rows for entry in row if entry.value is not None
            ]
            assert len(shown) == sum(entry.value is not None for row in table.rows for entry in row), table.label

    def test_stacked_puts_the_paper_s_number_above_ours(self):
        columns = (Column("a", left=True), Column("paper", "f"), Column("ours", "f"))
        rows = ((Entry("x"), Entry("0.5"), Entry(value=0.4)), (Entry("y"), Entry("0.6"), Entry("n/r")))
        made = stacked(ReportTable("t", columns, rows, rules=frozenset({1})))
        assert [[entry.plain for entry in row] for row in made.rows] == [
            ["x", "paper", "0.5"], [" ", "ours", "0.400"], ["y", "paper", "0.6"], [" ", "ours", "n/r"]]  # fmt: skip
        assert made.rules == {2}

    def test_above_forty_rows_a_table_is_split(self):
        rows = tuple((Entry(str(i)), Entry(value=i / 100)) for i in range(2 * MOST_ROWS + 1))
        text = table_latex(ReportTable("t", (Column("a", left=True), Column("b")), rows, ("A table.",)))
        assert text.count(r"\begin{table}") == 3
        assert r"\caption{A table. (part 3 of 3)}" in text
        assert len(set(re.findall(r"\\label{(.*?)}", text))) == 3

    def test_captions_have_at_most_forty_words_and_nothing_is_shrunk(self):
        for table in tables():
            assert len(short_caption(table).split()) <= 36
            text = table_latex(table)
            assert "resizebox" not in text
            assert "table*" not in text
            assert all(run in text for run in table.runs)

    def test_widths_are_estimated_from_above(self):
        for text, points in {"0.612": 18.6, "Fusion (GMM)": 52.2}.items():  # measured at 7 pt: cmr7
            assert points <= text_width(text) <= 1.35 * points


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
@pytest.mark.parametrize("style", WIDTHS)
def test_the_pdf_has_text_of_seven_points_and_nothing_sticks_out(tmp_path, style):
    lines = [
        r"\pdfcompresslevel=0\pdfobjcompresslevel=0\documentclass[10pt]{article}",
        r"\usepackage[T1]{fontenc}\usepackage[utf8]{inputenc}\usepackage{times}\usepackage{booktabs,graphicx}",
        rf"\setlength{{\textwidth}}{{{WIDTHS[style]}pt}}\begin{{document}}\extrafloats{{100}}",
        r"\let\shown\usebox\renewcommand\usebox[1]{\ifdim\wd#1<50pt\errmessage{an empty table}\fi\shown{#1}}",
        r"\makeatletter\setlength{\columnwidth}{\textwidth}\hsize\textwidth\linewidth\textwidth",
        paper_latex(tables()),
        r"\end{document}",
    ]
    (tmp_path / "all.tex").write_text("\n".join(lines), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout, re.findall(r"Overfull.*", done.stdout)
    sizes = [
        float(size) * 72.27 / 72 for size in re.findall(rb"/F\d+ ([\d.]+) Tf", (tmp_path / "all.pdf").read_bytes())
    ]
    assert min(sizes) > 5.95
    assert {round(size) for size in sizes} >= {6, 7}
