"""`--check` looks at every file of a report: what was changed by hand, replaced, lost, left over, or is out of date."""

import base64
import json
import re
import shutil

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from raysweep.cli.report import main
from raysweep.report import stale_files, write_report
from raysweep.report.build_datasets import stale_together, write_together
from raysweep.report.figures.style import contents
from raysweep.tracking import schema

STEM = "ablation_noise_rate"


@pytest.fixture(scope="module")
def report(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("check")
    results = shared.load(STEM)
    write_report(results, folder / "out")
    assert stale_files(results, folder / "out") == []
    return results, folder / "out"


@pytest.fixture
def copied(report, tmp_path):
    results, folder = report
    shutil.copytree(folder, tmp_path / "copy")
    return results, tmp_path / "copy"


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name[0] != ".")


def test_every_file_that_loses_a_byte_is_named(report, tmp_path):
    results, folder = report
    assert {name.rsplit(".", 1)[-1] for name in names(folder)} == {"md", "tex", "csv", "json", "html", "png", "pdf"}
    shutil.copytree(folder, tmp_path / "copy")
    for name in names(folder):
        file = tmp_path / "copy" / name
        before = file.read_bytes()
        file.write_bytes(before[:-1])
        assert stale_files(results, tmp_path / "copy") == [f"{name} (differs)"]
        file.unlink()
        assert stale_files(results, tmp_path / "copy") == [f"{name} (missing)"]
        file.write_bytes(before)
    assert stale_files(results, tmp_path / "copy") == []


def test_a_number_changed_in_the_page(copied):
    results, folder = copied
    page = folder / f"{STEM}.html"
    words = page.read_text()
    number = re.search(r"0\.(\d{3}) ±|0\.(\d{3})</td>", words) or re.search(r"0\.\d{3}", words)
    page.write_text(words.replace(number.group(), number.group().replace("0.", "9.", 1), 1))
    assert stale_files(results, folder) == [f"{STEM}.html (differs)"]


@pytest.mark.parametrize("kind", ["html", "md", "tex", "csv", "json"])
def test_one_digit_of_one_number(copied, kind):
    """For example 0.129 made 0.929, in the last number of each file as in the first."""
    results, folder = copied
    for file in folder.glob(f"{STEM}*.{kind}"):
        before = file.read_text()
        found = list(re.finditer(r"(?<=\b0\.)\d(?=\d\d)", re.sub(r"base64,[^\"]*", lambda m: "-" * len(m[0]), before)))
        for match in (*found[:1], *found[-1:]):
            other = str((int(match[0]) + 8) % 10)
            file.write_text(before[: match.start()] + other + before[match.end() :])
            assert stale_files(results, folder) == [f"{file.name} (differs)"]
        assert found or file.name.endswith(("_figures.tex", "_notes.tex"))
        file.write_text(before)
    assert stale_files(results, folder) == []


def test_two_pictures_of_the_page_that_change_places(copied):
    results, folder = copied
    page = folder / f"{STEM}.html"
    one, two = re.findall(r'(?<=base64,)[^"]*', page.read_text())[:2]
    text = page.read_text().replace(one, "A" * 8).replace(two, one).replace("A" * 8, two)
    page.write_text(text)
    assert stale_files(results, folder) == [f"{STEM}.html (differs)"]


def test_a_picture_whose_checksum_was_changed_with_it_is_not_the_one_in_the_page(copied):
    results, folder = copied
    one, two = sorted(folder.glob("figures/*.png"))[:2]
    listed = json.loads((folder / ".files.json").read_text())
    listed[f"figures/{one.name}"]["sha256"] = listed[f"figures/{two.name}"]["sha256"]
    (folder / ".files.json").write_text(json.dumps(listed))
    one.write_bytes(two.read_bytes())
    assert stale_files(results, folder) == [f"{STEM}.html (differs)"]


def test_a_picture_within_the_page(copied):
    results, folder = copied
    page = folder / f"{STEM}.html"
    other = base64.b64encode(b"another picture").decode()
    page.write_text(re.sub(r'(?<=base64,)[^"]*', other, page.read_text(), count=1))
    assert stale_files(results, folder) == [f"{STEM}.html (differs)"]


@pytest.mark.parametrize("kind", ["png", "pdf"])
def test_a_picture_replaced_by_another_of_the_same_report(copied, kind):
    results, folder = copied
    one, two = sorted(folder.glob(f"figures/*.{kind}"))[:2]
    one.write_bytes(two.read_bytes())
    assert stale_files(results, folder) == [f"figures/{one.name} (differs)"]


def test_what_is_left_over_of_another_report(copied):
    results, folder = copied
    (folder / f"{STEM}_peers.tex").write_text("old")
    (folder / "of my own.txt").write_text("mine")
    assert stale_files(results, folder) == [f"{STEM}_peers.tex (left over)"]


def test_a_report_without_its_checksums_or_with_broken_ones(copied):
    results, folder = copied
    for words in (None, "{", "[]", '{"x": 1}', "[" * 100_000):
        (folder / ".files.json").unlink() if words is None else (folder / ".files.json").write_text(words)
        assert stale_files(results, folder) == [".files.json (missing or unreadable: write the report again)"]


def test_a_report_is_compared_with_its_own_launch_after_anothers(tracking, fabricate, tmp_path, capsys):
    axes = {"alpha": ("0", "1")}, {"alpha": "1"}, lambda w: 0.5 + float(w["alpha"]) / 9
    tracking.write(fabricate("both", *axes, replicates=2), launch="mine", when=1_000_000)
    parts = ["both", "--tracking", tracking.uri, "--out", str(tmp_path / "out")]
    assert main(parts) == 0
    tracking.write(fabricate("both", *axes, replicates=3), launch="theirs", when=2_000_000)
    capsys.readouterr()
    assert main([*parts, "--check"]) == 0
    assert "note: theirs is newer than mine, which" in capsys.readouterr().err
    assert main([*parts, "--check", "--launch", "theirs"]) == 1
    client, mine = tracking.client, tracking.load("both", launch="mine")
    client.set_tag(mine.cells[0].run_id, schema.STATE, "failed")
    assert main([*parts, "--check"]) == 1
    capsys.readouterr()
    for run in client.search_runs([client.get_experiment_by_name("both").experiment_id]):
        if run.data.tags.get(schema.LAUNCH) == "mine" and run.data.tags[schema.KIND] == "launch":
            client.delete_run(run.info.run_id)
    assert main([*parts, "--check"]) == 1
    assert "launch mine, which " in capsys.readouterr().err


def test_runs_that_changed_since(tracking, fabricate, tmp_path):
    """Pictures, too, are out of date; nobody touched a file."""
    study = fabricate("moved", {"alpha": ("0", "0.5", "1")}, {"alpha": "1"}, lambda w: 0.5 + float(w["alpha"]) / 9)
    tracking.write(study)
    write_report(tracking.load("moved"), tmp_path / "out")
    cell = tracking.load("moved").cells[0]
    tracking.client.set_tag(cell.run_id, schema.STATE, "failed")
    stale = stale_files(tracking.load("moved"), tmp_path / "out")
    assert "moved.csv (differs)" in stale
    assert "moved.html (differs)" in stale
    assert "figures/moved_scores.png (drawn from other numbers)" in stale
    assert "figures/moved_scores.pdf (drawn from other numbers)" in stale


def test_the_common_report_of_several_data_sets(tracking, fabricate, tmp_path):
    results = []
    for i, data in enumerate(("one", "two")):
        study = fabricate("both", {"alpha": ("0", "0.5", "1")}, {"alpha": "1"}, lambda w: 0.5, data=data)
        tracking.write(study, launch=f"20260101-12000{i}-aaaa", when=1_700_000_000_000 + 100_000 * i)
        results.append(tracking.load("both"))
    write_together(results, tmp_path)
    assert stale_together(results, tmp_path) == []
    listed = json.loads((tmp_path / ".files-together.json").read_text())
    for name in listed:
        before = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(before + b" ")
        assert stale_together(results, tmp_path) == [f"{name} (differs)"]
        (tmp_path / name).write_bytes(before)
    assert any(name.endswith(".png") for name in listed)


def drawn(**changes):
    figure = Figure()
    axes = figure.subplots()
    values = {"y": [0.1, 0.2, 0.4], "label": "a", "title": "t", "color": "#112233", "low": 0.0, **changes}
    axes.plot([0, 1, 2], values["y"], color=values["color"], label=values["label"])
    axes.fill_between([0, 1, 2], values["low"], values["y"])
    axes.scatter([0, 1], [0.5, values["y"][0]])
    axes.bar([0, 1], [values["y"][2], 1])
    axes.imshow([[values["y"][1], 0], [1, 0]])
    axes.set_title(values["title"])
    axes.legend()
    return figure


def test_a_figures_digest_is_about_what_it_shows(tmp_path):
    plain = contents(drawn())
    assert plain == contents(drawn())
    for changes in ({"y": [0.1, 0.2, 0.41]}, {"y": [0.11, 0.2, 0.4]}, {"y": [0.1, 0.21, 0.4]}, {"label": "b"},
                    {"title": "u"}, {"color": "#112234"}, {"low": 0.01}):  # fmt: skip
        assert contents(drawn(**changes)) != plain
    assert contents(drawn(y=[0.1, 0.2, 0.4 + 1e-12])) == plain  # the last bits differ between machines
    with mpl.rc_context({"font.size": 20}):
        assert contents(drawn()) == plain
