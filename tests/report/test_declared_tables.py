"""Tables in the layout that a study declares: the papers' own, ours beside the printed numbers, in every format."""

import csv
import io
from dataclasses import replace

import pytest

from raysweep.artifacts.study_record import StudyRecord
from raysweep.core.errors import UserError
from raysweep.report.render.camera_ready import table_latex
from raysweep.report.render.csv_files import tables_csv
from raysweep.report.render.markdown import table_markdown
from raysweep.report.tables.declared import declared_tables
from raysweep.study import Axis, Study, Table, find_study
from raysweep.study.identity import study_content
from tests.report.conftest import table_html
from tests.report.planned import planned

AXES = [Axis.of("labels.alpha", [0, 0.5, 1]), Axis.of("train.learning_rate", [1e-3, 2e-3])]


def declared(*tables, **how):
    return Study("Mine", AXES, reference={"alpha": "1"}, columns=("macro_f1", "accuracy"), tables=tables, **how)


def texts(table, skip=0):
    return [[entry.plain for entry in row[skip:]] for row in table.rows]


class TestDeclaration:
    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"rows": ["alhpa"]}, "unknown axis in rows of the study's table: 'alhpa': did you mean 'alpha'?"),
            ({"rows": "alpha", "columns": ["rate"]}, "did you mean 'learning_rate'?"),
            ({"rows": "alpha", "blocks": ["dta"]}, "unknown axis in blocks .* did you mean 'data'?"),
            ({"rows": "alpha", "metrics": ["acuracy"]}, "unknown metric .* did you mean 'accuracy'?"),
            ({"rows": "alpha", "metrics": ["ece"]}, "columns are macro_f1, accuracy: add it to columns"),
            ({"rows": "alpha", "groups": {"a": ["f1"]}}, "did you mean 'macro_f1'?"),
            ({"rows": "alpha", "columns": "alpha"}, "has 'alpha' twice"),
            ({"rows": "alpha", "ticks": ["learning_rate"]}, "unknown axis in ticks"),
            ({"rows": "alpha", "levels": {"alpha": ["0.4"]}}, "unknown level of axis 'alpha'"),
            ({"rows": []}, "at least one axis in rows"),
            ({"rows": 3}, "rows must be a list of names"),
            ({"rows": "alpha", "words": ["a"]}, "words must be a mapping"),
        ],
    )
    def test_what_is_misspelt_is_said_in_one_sentence(self, tmp_path, given, words):
        file = tmp_path / "mine.py"
        file.write_text(
            "from raysweep.study import Axis, Study, Table\n"
            'study = Study("Mine", [Axis.of("labels.alpha", [0, 0.5]), Axis.of("train.learning_rate", [1e-3, 2e-3])],\n'
            f"  columns=('macro_f1', 'accuracy'), tables=[Table(**{given!r})])\n"
        )
        with pytest.raises(UserError, match=words) as error:
            find_study(str(file))
        assert "\n" not in str(error.value)

    def test_a_layout_is_no_part_of_what_a_study_is(self):
        assert study_content(declared()) == study_content(declared(Table(rows="alpha")))

    def test_the_plan_holds_it(self):
        summary = planned("dcjt_mapping")
        assert StudyRecord.read(summary.study.describe(), "again").tables == summary.study.tables
        assert "tables" not in planned(declared()).study.describe()["study"]


class TestLayout:
    def test_an_axis_that_is_not_mentioned_is_a_block(self):
        (table,) = declared_tables([planned(declared(Table(rows="alpha")))])
        assert [c.title for c in table.columns] == ["learning_rate", "alpha", "macro-F1 ↑"]
        assert [[e.text for e in row[:2]] for row in table.rows] == [
            [rate, alpha] for rate in ("0.001", "0.002") for alpha in ("0", "0.5", "1")
        ]
        assert table.rules == {3}

    def test_columns_groups_and_percent(self):
        layout = Table(rows="alpha", columns="learning_rate", metrics=["accuracy", "macro_f1"], percent=True,
                       groups={"both": ["accuracy", "macro_f1"]}, words={"0.001": "low"})  # fmt: skip
        summary = planned(declared(layout))
        (table,) = declared_tables([summary])
        assert [c.full_title for c in table.columns[1:]] == [
            "both low: accuracy ↑ (%)", "both low: macro-F1 ↑ (%)",
            "both 0.002: accuracy ↑ (%)", "both 0.002: macro-F1 ↑ (%)",
        ]  # fmt: skip
        mean = summary.arm({"alpha": "0.5", "learning_rate": "0.002"}).scores["accuracy"].spread
        assert table.rows[1][3].plain == f"{100 * mean.mean:.2f} ± {100 * mean.std:.2f}"

    def test_of_chosen_levels_the_others_are_named(self):
        layout = Table(rows="alpha", columns="learning_rate", levels={"alpha": ["1", "0"]})
        (table,) = declared_tables([planned(declared(layout))])
        assert [row[0].text for row in table.rows] == ["1", "0"]
        assert ("", "Not in this table, but in that of all arms: alpha=0.5.") in table.notes

    def test_a_cell_that_was_not_computed_is_marked_in_every_format(self):
        layout = Table(rows="alpha", columns="learning_rate")
        summary = planned(declared(layout), skip=["alpha=0.5, learning_rate=0.002"])
        summary = replace(summary, arms=summary.arms[:-1])
        (table,) = declared_tables([summary])
        assert (table.rows[1][2].plain, table.rows[1][2].marks) == ("–", "†")
        assert table.rows[2][2].plain == "n/r"
        assert {mark for mark, _ in table.notes} == {"–", "†", "n/r"}
        for text in (table_markdown(table), table_html(table), table_latex(table), tables_csv([table])):
            assert "n/r" in text

    def test_every_number_has_its_runs_in_csv(self):
        summary = planned("ablation_noise_rate", kind="affectnet")
        tables = declared_tables([summary])
        lines = list(csv.DictReader(io.StringIO(tables_csv(tables))))
        ours = [line for line in lines if line["mean"]]
        assert {run for line in ours for run in line["runs"].split()} == {
            cell.run_id for arm in summary.arms for cell in arm.cells
        }
        assert len(ours) == 12
        first = next(line for line in lines if line["row"] == "data=AffectNet; Noise (%)=30")
        assert (first["column"], first["shown"], first["mean"]) == ("One-hot: paper", "0.4336", "")


class TestPapers:
    """The numbers are as in the papers' tables, row by row."""

    def numbers(self, name, table=0, at=-2, **how):
        return [row[at].plain for row in declared_tables([planned(name, **how)])[table].rows]

    def test_ddaf_3_and_4(self):
        rows = texts(declared_tables([planned("ablation_noise_rate", kind="affwild")])[0])
        assert [row[0] for row in rows] == [d for d in ("AffectNet", "Aff-Wild", "MorphSet") for _ in range(4)]
        assert rows[5][2::2] == ["0.2130", "0.2322", "0.2174"]
        assert [row[3] == "n/r" for row in rows] == [True] * 4 + [False] * 4 + [True] * 4
        table = declared_tables([planned("ablation_alpha", kind="morphset")])[0]
        assert table.headers[0] == [("", 2), ("Regression", 4), ("Classification", 4)]
        assert texts(table, 2)[7][::2] == ["0.060", "0.065", "0.9557", "0.9561"]

    def test_ddaf_1_and_2_are_two_tables_in_the_paper_s_order(self):
        one, two = declared_tables([planned("ddaf_benchmark", kind="affectnet")])
        assert texts(one)[8] == ["DDAF", "61.93", "61.93"]
        assert texts(one)[6] == ["Deep 3DMM", "60.00", "59.00"]
        assert [row[0] for row in texts(two)][:6] == ["Mobile CNN", "AffectNet baseline", "CAAE", "Wide Ensemble",
                                                      "Deep 3DMM", "DDAF"]  # fmt: skip
        assert texts(two)[5][1:] == ["0.34", "0.33", "0.66", "0.55"]
        assert two.groups == [("", 1), ("RMSE ↓", 2), ("CCC ↑", 2)]
        assert [row[0] for row in texts(two)][-1] == "ours, affectnet: fused Gaussian"

    def test_dcjt_1_is_a_matrix_of_ticks_with_both_encoders(self):
        table = declared_tables([planned("dcjt_pseudo_labels", kind="rafdb", encoder="arm")])[0]
        rows = texts(table)
        assert [row[0] for row in rows] == ["ResNet-18"] * 6 + ["ARM"] * 6
        assert ["".join("x" if t == "✓" else "." for t in row[1:6]) for row in rows[:6]] == [
            "x.x..", "x..x.", "x...x", ".xx..", ".x.x.", ".x..x"]  # fmt: skip
        assert [row[6] for row in rows[6:]] == ["90.42", "90.15", "90.83", "90.67", "90.93", "91.72"]
        assert all(row[7] == "n/r" for row in rows[:6])
        assert not any(row[7] == "n/r" for row in rows[6:])

    def test_dcjt_2_in_the_paper_s_order(self):
        numbers = self.numbers("dcjt_mapping", kind="rafdb", encoder="resnet18")
        assert numbers[:13] == ["86.27", "86.83", "86.89", "87.15", "87.28", "87.39", "87.05", "86.92", "86.93",
                                "87.31", "87.50", "87.74", "88.48"]  # fmt: skip
        assert numbers[-1] == "92.24"

    def test_dcjt_3_to_8(self):
        assert self.numbers("dcjt_methods", kind="rafdb")[-4:] == ["90.42", "89.27", "91.06", "92.24"]
        assert self.numbers("dcjt_methods", kind="caers")[-4:] == ["91.54", "84.36", "90.39", "94.57"]
        assert self.numbers("dcjt_benchmark", kind="rafdb", at=1)[:2] == ["86.77", "86.90"]
        assert self.numbers("dcjt_benchmark", table=1, at=1)[3] == "73.51"
        assert self.numbers("dcjt_finetune", kind="ferplus")[::5] == ["88.09", "88.95"]
        assert self.numbers("dcjt_extra_size") == ["90.42", "91.10", "91.85", "92.24"]

    def test_both_encoders_of_one_launch_stand_in_the_paper_s_blocks(self):
        study = find_study("dcjt_methods")[1]
        axes = [Axis.of("model.backbone", ["resnet18", "arm"]), study.axis("method")]
        encoders = {f"backbone={e}, method={m}": e for e in ("resnet18", "arm") for m in study.axis("method").levels}
        summary = planned(replace(study, axes=axes), kind="rafdb", encoder="resnet18", encoders=encoders)
        (table,) = declared_tables([summary])
        assert [c.title for c in table.columns] == ["Backbone", "Joint-learning method", "paper", "ours"]
        assert [row[-1].plain == "n/r" for row in table.rows] == [False] * 4 + [True] + [False] * 4

    def test_two_launches_stand_in_one_table(self):
        summaries = [planned("dcjt_benchmark", kind=kind) for kind in ("rafdb", "caers")]
        five, six = declared_tables(summaries)
        assert [row[0].text for row in five.rows if "ours" in row[0].text] == ["ours, rafdb: target only",
                                                                               "ours, rafdb: DCJT"]  # fmt: skip
        assert "ours, caers: DCJT" in [row[0].text for row in six.rows]
