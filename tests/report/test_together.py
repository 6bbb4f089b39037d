"""One study on several data sets as one table: in the shape of DDAF's Table 3, every number from its own launch."""

import csv
import html.parser
from dataclasses import replace

import pytest

from raysweep.cli.report import main
from raysweep.core.errors import UserError
from raysweep.report import summarise, write_together
from raysweep.report.render.camera_ready import table_latex
from raysweep.report.tables.arms import results_table
from raysweep.report.tables.datasets import together_table
from raysweep.report.tables.declared import declared_tables
from tests.report.conftest import ALPHA, NOISE, make_tracking, no_pictures

SETS = ("affectnet", "morphset", "faces")


@pytest.fixture(scope="module")
def tracking(migrated, tmp_path_factory):
    """The noise study on three data sets, of which the paper knows two."""
    with pytest.MonkeyPatch.context() as patch:
        no_pictures(patch)
        made = make_tracking(migrated, tmp_path_factory.mktemp("together"))
        for number, name in enumerate(SETS):
            study = replace(NOISE, data=name, data_notes=("derived VA, no claim",) if name == "faces" else ())
            if name != "faces":
                study = replace(study, failed={}, missing=(), degenerate=())
            made.write(study, launch=f"20260101-12000{number}-aaaa", when=1_700_000_000_000 + 10**6 * number)
        made.write(replace(ALPHA, name="ablation_noise_rate", data="other"), launch="20250101-000000-aaaa",
                   when=1_600_000_000_000)  # fmt: skip
    return made


@pytest.fixture(scope="module")
def results(tracking):
    return [tracking.load("ablation_noise_rate", data=name) for name in SETS]


@pytest.fixture(scope="module")
def summaries(results):
    return [summarise(one) for one in results]


def run(*words):
    return main([str(word) for word in words])


class TestLaunches:
    def test_the_newest_on_each_data_set_is_read(self, results):
        assert [one.study.data.name for one in results] == list(SETS)
        assert [one.study.launch[-6] for one in results] == ["0", "1", "2"]

    def test_a_path_stands_for_the_name_it_gave(self, tracking):
        assert tracking.load("ablation_noise_rate", data="/some/where/morphset.csv").study.data.name == "morphset"

    def test_a_fingerprint_tells_states_of_a_data_set_apart(self, tracking):
        tracking.load("ablation_noise_rate", data="faces", fingerprint="f" * 16)
        with pytest.raises(UserError, match="no launch of it on these data"):
            tracking.load("ablation_noise_rate", data="faces", fingerprint="0" * 16)

    def test_an_unknown_data_set_is_answered_with_the_nearest(self, tracking):
        with pytest.raises(UserError, match=r"affectnet.*raysweep\.run ablation_noise_rate --on afectnet"):
            tracking.load("ablation_noise_rate", data="afectnet")


class TestTables:
    def test_rows_are_those_of_each_data_set_s_own_table(self, summaries):
        table = together_table(summaries)
        own = [row for summary in summaries for row in results_table(summary, published=False).rows]
        width = len(own[0])
        assert [row[1 : 1 + width] for row in table.rows] == own
        assert [row[0].text for row in table.rows] == [name for name in SETS for _ in range(12)]
        assert table.rules == {12, 24}

    def test_the_paper_s_numbers_stand_beside_its_own_data_set_alone(self, summaries):
        (table,) = declared_tables(summaries)
        assert [column.full_title for column in table.columns] == [
            "data", "Noise (%)", "One-hot: paper", "One-hot: ours", "Fusion (Euclidean): paper",
            "Fusion (Euclidean): ours", "Fusion (GMM): paper", "Fusion (GMM): ours",
        ]  # fmt: skip
        rows = {(row[0].text, row[1].text): row for row in table.rows}
        printed = {key: [entry.text for entry in row[2::2]] for key, row in rows.items()}
        assert printed["AffectNet", "30"] == ["0.4336", "0.5822", "0.5746"]
        assert printed["MorphSet", "10"] == ["0.8939", "0.8649", "0.9030"]
        assert printed["faces", "0"] == ["–"] * 3
        ours = {(name, noise): [entry.value is None for entry in row[3::2]] for (name, noise), row in rows.items()}
        assert ours["AffectNet", "30"] == ours["MorphSet", "10"] == ours["faces", "0"] == [False] * 3
        assert ours["Aff-Wild", "0"] == [True] * 3

    def test_without_the_paper_s_data_there_is_no_column_of_it(self, summaries):
        faces = [s for s in summaries if s.study.data.name == "faces"]
        assert not any("paper" in column.group for column in together_table(faces).columns)

    def test_what_differs_is_said_with_the_data_set_s_name_and_the_rest_once(self, summaries):
        table = together_table(summaries)
        assert table.caption[0].endswith("on affectnet, morphset and faces.")
        assert [words for words in table.caption if "derived VA" in words] == [
            "faces: Data note: derived VA, no claim."
        ]
        assert sum("Preset `demo`" in words for words in table.caption) == 1
        marked = [(mark, words.split(":")[0]) for mark, words in table.notes if mark]
        assert marked == [("†", "faces"), ("‡", "faces")]
        assert sum("Columns of the paper" in words for _, words in table.notes) == 1

    def test_a_score_that_one_data_set_lacks_is_a_dash_there(self, summaries):
        first, second, _ = summaries
        lacking = replace(second, columns=("macro_f1",), arms=tuple(
            replace(arm, scores={"macro_f1": arm.scores["macro_f1"]}) for arm in second.arms
        ))  # fmt: skip
        table = together_table([first, lacking])
        at = [column.title for column in table.columns].index("ECE ↓")
        assert all(row[at].text == "–" for row in table.rows if row[0].text == "morphset")
        assert all(row[at].value is not None for row in table.rows if row[0].text == "affectnet")

    def test_nothing_is_said_of_methods_that_it_does_not_show(self, summaries):
        of_peers = [replace(s, study=replace(s.study, published="ddaf_benchmark")) for s in summaries]
        assert not any("paper" in words.lower() for _, words in together_table(of_peers).notes)

    def test_latex_names_a_data_set_once(self, summaries):
        lines = table_latex(declared_tables(summaries)[0]).splitlines()
        body = lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")]
        rows = [line for line in body if "&" in line]
        assert [row.split(" & ")[0] for row in rows if not row.startswith(" &")] == [
            "faces", "AffectNet", "Aff-Wild", "MorphSet",
        ]  # fmt: skip

    @pytest.mark.parametrize(("change", "words"), [
        ({"preset": "paper"}, "preset"),
        ({"metric": "accuracy"}, "headline score"),
        ({"reference": {}}, "reference"),
    ])  # fmt: skip
    def test_launches_that_ask_something_else_are_refused(self, tmp_path, results, change, words):
        other = replace(results[1], study=replace(results[1].study, **change))
        with pytest.raises(UserError, match=f"same {words}"):
            write_together([results[0], other], tmp_path)
        assert not list(tmp_path.iterdir())

    def test_two_data_sets_of_one_name_are_refused(self, tmp_path, results):
        with pytest.raises(UserError, match="two are called 'affectnet'"):
            write_together([results[0], results[0]], tmp_path)


JUDGED = (
    *("low", "high", "p_adjusted", "verdict", "detectable", "may_be_best", "from_best_low", "from_best_high"),
    *("new_images_low", "new_images_high"),
)
"""What depends on how many comparisons a table makes."""


def drop(line, names):
    return {name: value for name, value in line.items() if name not in names}


def read(file):
    return list(csv.DictReader(file.read_text().splitlines()))


class Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name == "href"]


@pytest.fixture(scope="module")
def written(tracking, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    parts = ["ablation_noise_rate", "--tracking", tracking.uri, "--out", out, "--on", *SETS]
    assert run(*parts) == 0
    return out, parts


class TestCommand:
    def test_every_data_set_has_its_report_and_all_have_one(self, written):
        out, _ = written
        stem = "ablation_noise_rate"
        assert all((out / name / f"{stem}.html").is_file() for name in SETS)
        made = {path.relative_to(out).as_posix() for path in out.rglob(f"{stem}_together*")}
        assert made == {
            *(f"{stem}_together.{kind}" for kind in ("md", "html", "csv")),
            *(f"{stem}_together_{end}.tex" for end in ("paper", "notes")),
            f"{stem}_together_tables.csv",
            f"figures/{stem}_together.png", f"figures/{stem}_together.pdf",
        }  # fmt: skip

    def test_its_links_lead_to_files(self, written):
        out, _ = written
        page = Links()
        page.feed((out / "ablation_noise_rate_together.html").read_text())
        files = [link for link in page.found if not link.startswith("http://127.0.0.1:5000/#/")]  # to MLflow
        assert files == [f"{name}/ablation_noise_rate.html" for name in SETS]
        assert all((out / link).is_file() for link in files)

    def test_csv_holds_every_data_set_s_lines(self, written):
        out, _ = written
        lines = read(out / "ablation_noise_rate_together.csv")
        for name in SETS:
            own = read(out / name / "ablation_noise_rate.csv")
            here = [{k: v for k, v in line.items() if k != "data"} for line in lines if line["data"] == name]
            assert [drop(line, JUDGED) for line in here] == [drop(line, JUDGED) for line in own]
            for ours, alone in zip(here, own, strict=True):
                if ours["p_adjusted"]:  # 24 comparisons in this table, 8 in its own
                    p = float(ours["p"])
                    assert float(ours["p_adjusted"]) == pytest.approx(min(1, 24 * p), rel=1e-4)
                    assert float(alone["p_adjusted"]) == pytest.approx(min(1, 8 * p), rel=1e-4)

    def test_it_is_stable_and_checked(self, written, capsys):
        out, words = written
        assert run(*words, "--check") == 0  # makes all of it anew
        page = out / "ablation_noise_rate_together.md"
        page.write_text(page.read_text().replace("affectnet", "affectnot"))
        capsys.readouterr()
        assert run(*words, "--check") == 1
        assert capsys.readouterr().out.splitlines()[0] == f"{page} (differs)"
        page.write_text(page.read_text().replace("affectnot", "affectnet"))

    @pytest.mark.full
    def test_one_data_set_is_just_its_report(self, tracking, tmp_path):
        assert run("ablation_noise_rate", "--tracking", tracking.uri, "--out", tmp_path, "--on", "morphset") == 0
        assert (tmp_path / "ablation_noise_rate.md").is_file()
        assert not list(tmp_path.glob("*together*"))

    @pytest.mark.parametrize(("words", "answer"), [
        (["--on", "faces", "faces"], "twice"),
        (["--on", "faces", "morphset", "--launch", "x"], "--launch names one launch"),
        (["--on", "faces", "morphsett"], "morphset"),
        (["--on", "faces", "other"], "differ"),
    ])  # fmt: skip
    def test_mistakes_are_answered(self, tracking, tmp_path, capsys, words, answer):
        assert run("ablation_noise_rate", "--tracking", tracking.uri, "--out", tmp_path / "new", *words) == 2
        assert answer in capsys.readouterr().err
        assert not list(tmp_path.iterdir())
