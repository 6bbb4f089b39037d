"""The console command `raysweep`."""

import subprocess
import sys

import pytest

import raysweep
from raysweep.__main__ import COMMANDS, main


def run(*words):
    return subprocess.run([sys.executable, "-m", "raysweep", *words], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_answers_as_its_module_does(command):
    module = [sys.executable, "-m", f"raysweep.{command}", "--help"]
    assert run(command, "--help").stdout == subprocess.run(module, capture_output=True, text=True, timeout=120).stdout


def test_exit_codes_are_the_command_s(capsys):
    assert main(["run", "ablation_alhpa"]) == 2
    assert "did you mean 'ablation_alpha'" in capsys.readouterr().err
    assert main(["data", "show", "nowhere"]) == 2


@pytest.mark.parametrize(("words", "said"), [
    ([], "usage: raysweep COMMAND"),
    (["rnu"], "did you mean 'run'?"),
    (["sweep"], "choose one of data, report, run"),
    (["--list"], "usage: raysweep COMMAND"),
])  # fmt: skip
def test_what_is_no_command_is_answered_with_those_there_are(words, said, capsys):
    assert main(words) == 2
    said_of = capsys.readouterr().err
    assert said in said_of
    assert all(name in said_of for name in COMMANDS)


def test_help_and_version(capsys):
    assert main(["--help"]) == 0
    assert "prepare, inspect" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"raysweep {raysweep.__version__}\n"
