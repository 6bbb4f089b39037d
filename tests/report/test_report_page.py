"""The whole report and its command line."""

import html.parser
import re
import subprocess
import sys

import pytest

from raysweep.cli.report import main
from raysweep.report import build_report, stale_files, summarise, summary_rows, summary_text


class Tags(html.parser.HTMLParser):
    """Counts open tags that are never closed."""

    VOID = ("meta", "img", "br")

    def __init__(self):
        super().__init__()
        self.open, self.shown, self.links = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        self.shown += [value for name, value in attrs if name == "src"]
        self.links += [value for name, value in attrs if name == "href"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def run(*words):
    return main([str(word) for word in words])


class TestFiles:
    def test_everything_is_written(self, written):
        report, folder = written["ablation_noise_rate"]
        names = {str(path.relative_to(folder)) for path in report.paths}
        stem = "ablation_noise_rate"
        assert names >= {
            f"{stem}.md",
            f"{stem}.html",
            f"{stem}_paper.tex",
            f"{stem}_notes.tex",
            f"{stem}_tables.csv",
            f"{stem}_figures.tex",
        }
        assert names >= {f"{stem}.csv", f"{stem}_cells.csv"}
        for figure in ("scores", "differences", "memorisation", "learning"):
            assert names >= {f"figures/{stem}_{figure}.png", f"figures/{stem}_{figure}.pdf"}
        assert all(path.is_file() for path in report.paths)
        assert not list(folder.glob(".draft*"))
        assert report.incomplete

    def test_a_numeric_study_has_no_forest(self, written):
        report, _ = written["ablation_alpha"]
        assert not report.incomplete
        assert not [path for path in report.paths if "differences" in path.name or "memorisation" in path.name]

    def test_page_shows_question_reading_table_figures_command_and_runs(self, written, shared):
        _, folder = written["ablation_noise_rate"]
        text = (folder / "ablation_noise_rate.md").read_text()
        for words in (
            "How does macro-F1",
            "- method=Euclidean is better than",
            "| noise |",
            "--seeds 5",
            "The paper's own tables",
        ):
            assert words in text
        for cell in shared.load("ablation_noise_rate").cells:
            assert cell.run_id is None or cell.run_id in text
        for picture in re.findall(r"\]\((figures/[^)]+)\)", text):
            assert (folder / picture).is_file()

    def test_html_is_well_formed_and_needs_nothing_else(self, written):
        _, folder = written["ablation_noise_rate"]
        tags = Tags()
        tags.feed((folder / "ablation_noise_rate.html").read_text())
        assert tags.open == []
        assert len(tags.shown) == 4
        assert all(link.startswith("data:image/png;base64,") for link in tags.shown)
        assert all(link.startswith("http://127.0.0.1:5000/#/") for link in tags.links)  # followed on a click only

    def test_bytes_are_stable(self, written, shared, tmp_path):
        report, folder = written["ablation_alpha"]
        again = build_report("ablation_alpha", tmp_path / "elsewhere", shared.uri)
        for old, new in zip(report.paths, again.paths, strict=True):
            assert old.relative_to(folder) == new.relative_to(tmp_path / "elsewhere")
            assert old.read_bytes() == new.read_bytes(), old.name
        assert report.table_markdown == again.table_markdown

    def test_no_path_of_this_machine(self, written, shared):
        _, folder = written["ablation_noise_rate"]
        for path in folder.rglob("*.*"):
            assert str(shared.folder).encode() not in path.read_bytes()
            assert str(folder).encode() not in path.read_bytes()

    def test_figures_of_an_earlier_report_do_not_stay(self, tracking, fabricate, tmp_path):
        study = fabricate("tiny", {"kind": ("a", "b")}, {"kind": "a"}, lambda where: 0.5, replicates=2, epochs=1)
        tracking.write(study)
        out = tmp_path / "out"
        (out / "figures").mkdir(parents=True)
        (out / "figures" / "tiny_scores.png").write_text("old")
        (out / "figures" / "mine.png").write_text("the reader's own")
        build_report("tiny", out, tracking.uri)
        assert {p.name for p in (out / "figures").iterdir()} == {
            "tiny_differences.png",
            "tiny_differences.pdf",
            "tiny_arms.png",
            "tiny_arms.pdf",
            "mine.png",
        }

    def test_hostile_words_stay_words(self, tracking, fabricate, tmp_path):
        """A tracking server is shared: its words reach a reader's browser."""
        level = "<img src=x onerror=alert(1)>|`$x$`"
        study = fabricate("hostile", {"kind": (level, "b")}, {"kind": "b"}, lambda where: 0.5, replicates=2, epochs=2)
        study.title, study.data_notes = "</title><script>", ("<script>",)
        study.failed = {(f"kind={level}", 1): "<script>alert(1)</script>\nline two"}
        report = build_report("hostile", tmp_path / "out", tracking.write(study).uri)
        page = (tmp_path / "out" / "hostile.html").read_text()
        assert page.count("<script") == 1  # the page's own
        assert "<img src=x" not in page
        text = (tmp_path / "out" / "hostile.md").read_text()
        assert not re.search(r"(?<!\\)<(script|img)", text)
        assert report.incomplete

    def test_nothing_complete_is_still_a_report(self, tracking, fabricate, tmp_path):
        study = fabricate("none", {"alpha": ("0", "1")}, {"alpha": "1"}, lambda where: 0.5, replicates=1, epochs=1)
        study.missing = tuple((arm.name, 0) for arm in study.arms)
        report = build_report("none", tmp_path / "out", tracking.write(study).uri)
        assert report.incomplete
        assert "No cell is complete yet" in report.reading[0]

    def test_one_replicate(self, tracking, fabricate, tmp_path):
        study = fabricate("one", {"alpha": ("0", "1")}, {"alpha": "1"}, lambda where: 0.5, replicates=1, epochs=2)
        report = build_report("one", tmp_path / "out", tracking.write(study).uri)
        assert "±" not in report.table_markdown
        assert report.reading[0].startswith("1 replicate: fewer than 5 allow no claim")


class TestSummary:
    def test_rows_for_rich(self, shared):
        header, rows = summary_rows(summarise(shared.load("ablation_noise_rate")))
        assert header[:3] == ["noise", "method", "n"]
        assert len(rows) == 12
        assert rows[9][2] == "4 of 5 †‡"

    def test_text(self, shared):
        text = summary_text(summarise(shared.load("ablation_noise_rate")))
        assert "† Not complete" in text
        assert "method=Euclidean is better" in text


class TestCommandLine:
    @pytest.fixture(autouse=True)
    def _here(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

    def test_check(self, shared, written, capsys):
        """A report matches its runs until either changes."""
        _, folder = written["ablation_noise_rate"]
        parts = ("ablation_noise_rate", "--tracking", shared.uri, "--out", folder, "--check")
        assert run(*parts) == 0
        file = folder / "ablation_noise_rate.csv"
        before = file.read_text()
        file.write_text(before.replace("0.6", "0.7", 1))
        try:
            assert run(*parts) == 1
            assert "ablation_noise_rate.csv (differs)" in capsys.readouterr().out
        finally:
            file.write_text(before)

    def test_check_without_a_report(self, shared, tmp_path):
        stale = stale_files(shared.load("ablation_alpha"), tmp_path / "nothing")
        assert "ablation_alpha.md (missing)" in stale

    def test_list(self, shared, capsys):
        assert run("--list", "--tracking", shared.uri) == 0
        assert "ablation_noise_rate" in capsys.readouterr().out

    def test_incomplete_is_said_and_is_no_failure(self, tracking, fabricate, capsys):
        study = fabricate("gap", {"kind": ("a", "b")}, {"kind": "a"}, lambda where: 0.5, replicates=2, epochs=1)
        study.missing = (("kind=b", 1),)
        tracking.write(study)
        assert run("gap", "--tracking", tracking.uri) == 0
        out = capsys.readouterr().out
        assert "INCOMPLETE" in out
        assert "reports/gap/gap.md" in out

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ((), "name a study"),
            (("ablation_alhpa",), "did you mean 'ablation_alpha'"),
            (("ablation_alpha", "--launch", "x"), "unknown launch 'x'"),
        ],
    )
    def test_mistakes_are_one_line(self, shared, words, message, capsys):
        assert run(*words, "--tracking", shared.uri) == 2
        error = capsys.readouterr().err
        assert message in error.splitlines()[-1]
        assert "Traceback" not in error

    def test_a_folder_that_cannot_be_written(self, shared, tmp_path, capsys):
        (tmp_path / "file").write_text("")
        assert run("ablation_alpha", "--tracking", shared.uri, "--out", tmp_path / "file" / "sub") == 2
        assert "cannot write the report there" in capsys.readouterr().err

    def test_help_shows_an_example(self, capsys):
        with pytest.raises(SystemExit):
            run("--help")
        assert "python -m raysweep.report ablation_alpha" in capsys.readouterr().out

    def test_report_never_imports_the_engine(self):
        script = (
            "import sys, raysweep.report.__main__\n"
            "print([m for m in sys.modules if m == 'ray' or m.startswith(('ray.', 'raysweep.engine'))])"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"
