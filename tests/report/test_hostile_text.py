"""Text that others wrote (levels, notes, names of files, tags) does nothing to terminals, pages, TeX or sheets."""

import csv
import io
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Group
from rich.table import Table as RichTable

from raysweep.core.console import PlainConsole, plain
from raysweep.core.masking import masking, with_controls
from raysweep.core.printable import printable, printable_tree
from raysweep.core.spreadsheet import cell, write_csv
from raysweep.data.listing import Problem
from raysweep.data.prepare.parquet_rows import problem_rows, write_problems
from raysweep.data.progress import progress_bar
from raysweep.report.render.camera_ready import table_latex
from raysweep.report.render.jinja import TEMPLATES
from raysweep.report.results.runs import cleaned, has_id
from raysweep.report.tables.table import Column, Entry, ReportTable

STEERING = {
    "clear": "\x1b[2Jx", "title": "\x1b]0;x\x07", "csi": "\x9b31mx", "bell": "a\x07", "back": "ab\x08",
    "return": "good\rbad",
    "turned": "a\u202eb", "isolate": "\u2066a", "hidden": "a\u200bb", "mark": "\u200ea", "line": "a\u2028b",
    "nul": "a\0b", "half": "a\ud800b",
    "tag": "a\U000e0041", "link": "\x1b]8;;http://x\x1b\\a", "delete": "a\x7f", "next": "a\x85b",
}  # fmt: skip
MARKUP = ["one [/nope]", "[bold]x", "[link=http://x]a[/link]", "[/]", "\\[x]", "{x}", "%s", "[red", "]"]
FORMULAS = ["=1+1", '=HYPERLINK("http://x")', "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3", "\t=1", "\r=1", "-", "+a"]
NUMBERS = ["-0.5", "+1e-3", "0", "-3", ".5", "1.", "-.25", "12", "−0.5", "nan", "", "a=b", "x@y"]


@pytest.mark.parametrize("name", STEERING)
def test_characters_that_steer_are_shown(name):
    shown = printable(STEERING[name])
    assert shown.isprintable() or set(shown) <= {*"\n\t"} | {c for c in shown if c.isprintable()}
    assert "\\" in shown
    assert printable(shown) == shown
    assert shown.encode()


@given(st.text())
def test_nothing_that_steers_is_left(text):
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\u200b]", printable(text))
    assert printable(printable(text)) == printable(text)


@given(
    st.text(st.characters(categories=["L", "N", "P", "S", "Zs"], exclude_characters="\u00ad\u3164\u115f\u1160\uffa0"))
)
def test_ordinary_text_stays(text):
    assert printable(text) == text


def test_every_text_in_a_plan_is_cleaned():
    found = printable_tree({"a\x1b": ["b\x1b", {"c": "d\u202e"}], "n": 1, "x": None, "t": True})
    assert found == {"a\\x1b": ["b\\x1b", {"c": "d\\u202e"}], "n": 1, "x": None, "t": True}


def drawn(*objects):
    out = io.StringIO()
    PlainConsole(file=out, width=100, force_terminal=True, color_system=None).print(*objects)
    return out.getvalue()


@pytest.mark.parametrize("words", [*MARKUP, *STEERING.values()])
def test_the_console_shows_words_as_they_are(words):
    table = RichTable(box=None)
    table.add_column(plain(words))
    table.add_row(plain(words))
    for shown in (drawn(words), drawn(Group(table, plain(words)))):
        assert " ".join(printable(words).split()) in " ".join(shown.split())
        assert "\x1b" not in shown
        assert "\r" not in shown


@pytest.mark.parametrize("words", [*MARKUP, STEERING["clear"]])
def test_a_bar_about_a_set_of_any_name(words, monkeypatch):
    out = io.StringIO()
    out.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", out)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar(f"reading {words}", words) as told:
        told(1, 2)
    assert "\x1b[2J" not in out.getvalue()
    assert printable(words) in out.getvalue()


@pytest.mark.parametrize("words", STEERING.values())
def test_what_commands_print_steers_nothing(words, capsys):
    with masking():
        print(f"raysweep: {words}")
        with_controls(__import__("sys").stdout).write("\x1b[1mbold\x1b[0m\n")  # rich's own
    said = capsys.readouterr().out
    assert printable(words) in said
    assert said.count("\x1b") == 2


class Reader(HTMLParser):
    """Texts and tags of a page."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.texts, self.tags, self.titles = [], [], []

    def handle_data(self, data):
        self.texts.append(data)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.titles += [value for name, value in attributes if name == "title"]


PIECES = [*"ab <>&\"'/=;#!-\\", "script", "</td>", "<!--", "-->", "&lt;", "onerror=", "javascript:", "é"]
PAGE = TEMPLATES.from_string("""{% extends "document.html" %}{% import "macros.html" as show %}
{% block body %}{{ show.paragraph(page.title) }}{{ show.full_table(page.table) }}{% endblock %}""")
HTML = st.lists(st.sampled_from(PIECES), min_size=1).map("".join)


@given(words=HTML, run=HTML)
def test_html_there_and_back(words, run):
    table = ReportTable(
        "t", (Column(words, words, left=True),), ((Entry(words, runs=(run,)),),), (words,), (("†", words),)
    )
    reader = Reader()
    reader.feed(PAGE.render(page=SimpleNamespace(title=words, table=table)))
    assert reader.tags.count("script") == 1  # the page's own
    assert {*reader.tags} <= {
        "script",
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "p",
        "div",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }
    assert reader.titles == [f"runs: {run}"]
    assert "".join(reader.texts).count(words.strip()) >= 7


@pytest.mark.parametrize(
    "run", ["a\n\\immediate\\write18{rm -rf ~}", "a\r\\input{x}", "%", "0" * 32, "a\u2028\\x", "a}\\end{table*}"]
)
def test_a_run_s_id_ends_no_comment(run):
    lines = table_latex(ReportTable("t", (Column("a"),), ((Entry("x", runs=(run,)),),))).splitlines()
    assert not any("write18" in line.split("%")[0] or "\\input" in line for line in lines)
    assert sum("%" in line for line in lines) == sum("%" in line for line in table_latex(
        ReportTable("t", (Column("a"),), ((Entry("x", runs=("0" * 32,)),),))).splitlines())  # fmt: skip
    assert not any("\\x" in line or "\\end{table*}" in line[:-12] for line in lines)


@pytest.mark.parametrize(
    ("run", "known"),
    [("0" * 32, True), ("a" * 31, False), ("A" * 32, False), ("0" * 31 + "\n", False), ("../" + "0" * 29, False)],
)
def test_runs_without_an_id_of_mlflow_s_are_passed_over(run, known, capsys):
    assert has_id(SimpleNamespace(info=SimpleNamespace(run_id=run))) is known
    assert ("passed over" in capsys.readouterr().err) is not known


def test_tags_and_params_are_cleaned():
    run = SimpleNamespace(data=SimpleNamespace(tags={"a": "x\x1b[2J"}, params={"b": "y\u202e"}, metrics={}))
    assert (cleaned(run).data.tags, run.data.params) == ({"a": "x\\x1b[2J"}, {"b": "y\\u202e"})


@pytest.mark.parametrize("word", FORMULAS)
def test_no_cell_is_a_formula(word):
    assert cell(word) == f"'{printable(word)}"


@pytest.mark.parametrize("word", NUMBERS)
def test_numbers_and_words_stay(word):
    assert cell(word) == word


@given(st.lists(st.lists(st.text(st.sampled_from([*"=+-@a1.,\"'\n\t\r;|", "é"])), min_size=2, max_size=3), min_size=1))
def test_csv_there_and_back(rows):
    out = io.StringIO()
    write_csv(out, rows)
    back = list(csv.reader(io.StringIO(out.getvalue(), newline="")))
    assert back == [[cell(word) for word in row] for row in rows]
    for row in back:
        assert not any(word.startswith(("=", "@", "\t", "\r")) for word in row)


def test_a_list_of_problems_is_no_sheet_of_formulas(tmp_path):
    file = tmp_path / "problems.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        stream.write("where,path,kind,detail,fatal\n")
        write_problems(stream, [Problem("=cmd|x:3", "bad row", "@SUM(A1) is no number", "=a.png")], tmp_path)
    (row,) = problem_rows(file)
    assert (row["where"], row["detail"], row["path"]) == ("'=cmd|x:3", "'@SUM(A1) is no number", "'=a.png")
