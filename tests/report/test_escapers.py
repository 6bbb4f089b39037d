"""Words of a study come out of every format as they went in."""

import html
import io
import re
import shutil
import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from raysweep.launch.summary import _table
from raysweep.report.build import ReportFiles
from raysweep.report.render.camera_ready import table_latex
from raysweep.report.render.latex import _ALL, _SYMBOLS, escape
from raysweep.report.render.markdown import escape as markdown_escape
from raysweep.report.render.markdown import table_markdown
from raysweep.report.tables.table import Column, Entry, ReportTable

HOSTILE = ["β γ → ≥", "[x]", "[bold]x[/bold]", "$x^2$", "[/]", "a--b", "''q''", "`code", "<b>", "&amp;", "a|b", "*",
           "_x_", "\\", "# a", "- a", "1. a", "> a", "[a](b)", "[a]: b", "x]", "---", "100 %", "~x~", "?`",
           "{}"]  # fmt: skip

LOSSY = set("’‘“”\u00a0…—–µ")
"""Characters that LaTeX has no other spelling for than one of the keyboard, or that are its ligatures."""
ONE_WAY = sorted(set(_ALL) - LOSSY - set("ΑΒΕΖΗΙΚΜΝΟΡΤΧο"))
LETTERS = st.sampled_from([*"abcXYZ019 .,:;!?'`-+=()[]/@", *ONE_WAY, "é", "ß", "表", "😀"])


def read_latex(text):
    """What is set: commands looked up from the longest on, code points decoded."""
    spelled = {word: c for c, word in _ALL.items() if c not in LOSSY}
    spelled["{}"] = ""
    parts = sorted(spelled, key=len, reverse=True)
    pattern = re.compile("|".join([r"\[U\+(?P<code>[0-9A-F]{4,6})\]", *map(re.escape, parts)]))
    return pattern.sub(lambda m: chr(int(m["code"], 16)) if m["code"] else spelled[m[0]], text)


@given(st.text(LETTERS))
@example("a--b")
@example("\"''")
@example("β γ → ≥")
def test_latex_there_and_back(text):
    assert read_latex(escape(text)) == text


def test_the_signs_of_the_issue_are_commands():
    assert escape("β γ → ≥") == r"$\beta$ $\gamma$ $\rightarrow$ $\geq$"
    assert not any("U+" in escape(c) for c in [*_SYMBOLS, *"αβγδεζηθικλμνξοπρςστυφχψωΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ"])
    assert escape("表") == "[U+8868]"


@pytest.mark.parametrize(("words", "set_as"), [
    ("x₁ and CO₂", "x$_1$ and CO$_2$"), ("10⁻⁴", "10$^-$$^4$"), ("ħ", "[U+0127]"), ("Ŧ", "[U+0166]"),
    ("ŀ", "[U+0140]"), ("Łódź, Ŵ", "Łódź, Ŵ"), ("x̂", "x[U+0302]"),
])  # fmt: skip
def test_letters_that_pdflatex_has_and_those_that_it_stops_at(words, set_as):
    assert escape(words) == set_as
    assert read_latex(set_as) == words


@pytest.mark.parametrize("level", ["β γ → ≥", "α = ½", "≠ ∞", "Δ ≤ 3σ"])
def test_a_level_s_name_in_latex_holds_no_code_point(level):
    (line,) = (words for words in table_latex(as_table(level)).splitlines() if words.startswith("first"))
    assert "U+" not in line
    assert read_latex(line.removeprefix("first & ").removesuffix(r" \\")) == level


@pytest.mark.parametrize("words", ["$x^2$", "$$x$$", "a $b$ c", "$`x`$", "5 $ and 6 $"])
def test_every_dollar_in_markdown_is_escaped(words):
    for shown in (markdown_escape(words), table_markdown(as_table(words))):
        assert not re.search(r"(?<!\\)\$", shown)


def cells_of(markdown):
    """The words of a rendered table's body."""
    page = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown)
    return [html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", page, re.S)], page


def as_table(words):
    return ReportTable("t", (Column("a", left=True), Column("b", left=True)), ((Entry("first"), Entry(words)),))


@given(st.text(st.sampled_from([*"ab1 .:!-+=#>()[]{}/\\`*_|~<&$;\"'", "β", "é"]), min_size=1))
def test_markdown_there_and_back_in_a_table(text):
    cells, page = cells_of(table_markdown(as_table(text)))
    assert cells == ["first", " ".join(text.split())], page


@given(st.text(st.sampled_from([*"ab1 .)!-+=#>([]{}/\\`*_|~<&$;\"'"]), min_size=1))
@example("1. a")
@example("# a")
@example("- a")
@example("===")
def test_markdown_there_and_back_as_a_paragraph(text):
    sentence = " ".join(text.split())
    page = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown_escape(text))
    assert page == (f"<p>{html.escape(sentence)}</p>\n".replace("&#x27;", "'") if sentence else "")


def test_markdown_shows_no_mathematics():
    assert markdown_escape("$x^2$") == r"\$x^2\$"


@pytest.mark.parametrize("words", HOSTILE)
def test_the_terminals_table_shows_what_a_study_says(words):
    report = ReportFiles((), "", False, (), ("axis [x]", "n"), ((words, "[1]"),))
    out = io.StringIO()
    Console(file=out, width=200).print(_table(report))
    assert words in out.getvalue()
    assert "axis [x]" in out.getvalue()
    assert "[1]" in out.getvalue()


def hostile_table():
    rows = tuple((Entry(words), Entry(words[::-1])) for words in [*HOSTILE, "".join(ONE_WAY), "ΑΒΕΖΗΙΚΜΝΟΡΤΧο"])
    return ReportTable("hostile", (Column("[axis]", left=True), Column("*")), rows, tuple(HOSTILE), (("†", "β [x]"),))


def test_a_row_does_not_begin_with_an_option_of_the_command_before():
    lines = table_latex(hostile_table()).splitlines()
    assert not any(line.startswith(("[", "*")) for line in lines)
    assert any(line.startswith("{}[x] & ") for line in lines)


def document(*inputs):
    lines = [r"\documentclass[10pt]{article}", r"\usepackage[T1]{fontenc}", r"\usepackage[utf8]{inputenc}",
             r"\usepackage{booktabs,graphicx}", r"\begin{document}",
             *(rf"\input{{{name}}}" for name in inputs), r"\end{document}"]  # fmt: skip
    return "\n".join(lines)


@pytest.mark.full
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles(tmp_path):
    (tmp_path / "hostile.tex").write_text(table_latex(hostile_table()), encoding="utf-8")
    (tmp_path / "main.tex").write_text(document("hostile"), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
