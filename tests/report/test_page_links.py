"""From a number of the page to its runs, and from one report to the others."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, unquote

import pytest

from raysweep.cli.report import main
from raysweep.core.errors import UserError
from raysweep.report import stale_files, summarise, write_index, write_report
from raysweep.report.render.links import USUAL, Links
from raysweep.report.results.records import Results
from raysweep.report.tables.arms import results_table
from raysweep.tracking.server import ui_address

RUNS = [f"{i:032x}" for i in range(3)]
STEM = "ablation_noise_rate"


class TestAddresses:
    def test_one_run_and_several(self):
        links = Links("http://host:8080", "7")
        assert links.runs(RUNS[:1]) == f"http://host:8080/#/experiments/7/runs/{RUNS[0]}"
        where, _, query = links.runs([*RUNS, RUNS[0]]).partition("?")
        assert where == "http://host:8080/#/compare-runs"
        told = {name: json.loads(value) for name, (value,) in parse_qs(query).items()}
        assert told == {"runs": RUNS, "experiments": ["7"]}

    def test_nothing_of_a_hostile_server_becomes_a_link(self):
        assert Links("http://host", "7").runs(["javascript:alert(1)", "x" * 32]) == ""
        assert Links("http://host", "").runs(RUNS) == ""

    @pytest.mark.parametrize("experiment", ["1/../2", "<b>", "", "a b"])
    def test_an_experiment_without_an_id(self, experiment, shared):
        results = shared.load(STEM)
        odd = Results(results.study, results.cells, experiment=experiment)
        assert Links.of(odd).runs(RUNS) == ""
        assert Links.of(odd).sentence == ""

    def test_a_server_without_its_login_or_the_usual_port(self):
        assert ui_address("https://me:secret@host:99/path/") == "https://host:99/path"
        assert ui_address("sqlite:///mlflow.db") == ""


def test_every_number_leads_to_the_runs_of_its_arm(shared, written):
    page = (written[STEM][1] / f"{STEM}.html").read_text()
    results = shared.load(STEM)
    assert Links.of(results).server == USUAL
    numbers = [entry for row in results_table(summarise(results)).rows for entry in row if entry.runs]
    found = re.findall(r'<a class=number href="([^"]+)" [^>]*data-runs="([^"]+)"', page)
    assert [runs.split() for _, runs in found[: len(numbers)]] == [list(entry.runs) for entry in numbers]
    for href, runs in found:
        assert json.loads(unquote(re.search(r"runs=([^&]+)", href)[1])) == runs.split()
    assert all(len(entry.values) == len(entry.runs) for entry in numbers if entry.value is not None)


SCRIPT = """<script>
const out = {}, numbers = document.querySelectorAll("a.number"), tip = document.querySelector(".tip");
numbers[0].click(); out.tip = tip.textContent; out.links = [...tip.querySelectorAll("a")].map((a) => a.href);
document.dispatchEvent(new KeyboardEvent("keydown", {key: "Escape"})); out.closed = tip.hidden;
const table = document.querySelector("table.sorted"), column = 3;
const read = () => [...table.tBodies[0].rows].map((row) => row.cells[column].textContent);
out.orders = [read()];
for (let i = 0; i < 3; i++) { table.querySelectorAll(".sort")[column].click(); out.orders.push(read()); }
document.querySelector(".enlarge").click(); out.large = document.querySelector("dialog").open;
document.body.innerHTML = ""; document.body.textContent = JSON.stringify(out);
</script></body>"""


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")
def test_the_script_in_a_browser(written, tmp_path):
    page = (written[STEM][1] / f"{STEM}.html").read_text()
    (tmp_path / "page.html").write_text(page.replace("</body>", SCRIPT))
    parts = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'user'}"]
    done = subprocess.run([*parts, "--dump-dom", (tmp_path / "page.html").as_uri()], capture_output=True, timeout=120)
    told = json.loads(re.search(r"<body>(.*)</body>", done.stdout.decode(), re.DOTALL)[1].replace("&amp;", "&"))
    assert re.fullmatch(r"(replicate \d: 0\.\d{4}){5}compare in MLflow", told["tip"])
    assert all("/runs/" in link for link in told["links"][:5])
    assert told["closed"]
    assert told["large"]
    plain, up, down, again = ([float(text.split()[0]) for text in order] for order in told["orders"])
    assert up == sorted(plain)
    assert down == sorted(plain, reverse=True)
    assert plain == again != up


@pytest.fixture
def root(written, tmp_path):
    """Three reports, each in a folder."""
    for name, (_, folder) in written.items():
        shutil.copytree(folder, tmp_path / "reports" / name)
    return tmp_path / "reports"


class TestIndex:
    def test_it_names_every_report(self, root, shared):
        text = write_index(root).read_text()
        assert re.findall(r'<a href="([^"]+)">', text) == [
            f"{n}/{n}.html" for n in ("ablation_alpha", STEM, "dcjt_methods")
        ]
        assert "58 of 60" in text
        assert all((root / link).is_file() for link in re.findall(r'<a href="([^"]+)">', text))

    def test_reports_beside_it_link_to_it_and_match_with_and_without(self, root, shared):
        results = shared.load(STEM)
        assert stale_files(results, root / STEM) == []  # written before there was an index
        write_index(root)
        write_report(results, root / STEM)
        page = root / STEM / f"{STEM}.html"
        assert '<a href="../index.html">' in page.read_text()
        assert stale_files(results, page.parent) == []
        page.write_text(page.read_text().replace("../index.html", "../other.html"))
        assert stale_files(results, page.parent) == [f"{STEM}.html (differs)"]

    def test_reports_that_cannot_be_read_are_said(self, root, capsys):
        (root / STEM / f"{STEM}_results.json").write_text('{"version": 1}')
        (root / "ablation_alpha" / "ablation_alpha_results.json").write_text('{"version": 99}')
        text = write_index(root).read_text()
        assert re.findall(r'<a href="([^"]+)">', text) == ["dcjt_methods/dcjt_methods.html"]
        assert "write its report again" in capsys.readouterr().err

    def test_no_report(self, tmp_path):
        with pytest.raises(UserError, match="has no report"):
            write_index(tmp_path)


def test_all_studies_of_a_store(tracking, fabricate, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        tracking.write(fabricate(name, {"kind": ("a", "b")}, {"kind": "a"}, lambda w: 0.5, replicates=2, epochs=1))
    assert main(["--all", "--tracking", tracking.uri]) == 0
    assert main(["--all", "--check", "--tracking", tracking.uri]) == 0
    index = Path("reports/index.html")
    index.write_text(index.read_text().replace("4 of 4", "4 of 5", 1))
    capsys.readouterr()
    assert main(["--all", "--check", "--tracking", tracking.uri]) == 1
    assert "index.html does not match the reports" in capsys.readouterr().out
    assert main(["one", "--all", "--tracking", tracking.uri]) == 2
