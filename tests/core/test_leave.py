"""An exit code after an answered Ctrl-C is the one that was asked for, wherever the interrupt fell."""

import subprocess
import sys

import pytest

MODULE = """
import os, signal, sys
from raysweep.cli.arguments import leave
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in a shell's background
code = 0
try:
    exec("os.kill(os.getpid(), signal.SIGINT); [None for _ in range(10**6)]")
except KeyboardInterrupt:
    code = 130
(leave if sys.argv[1] == "leave" else sys.exit)(code)
"""


@pytest.mark.parametrize(("how", "code"), [("leave", 130), ("exit", 130 if sys.version_info >= (3, 14) else -2)])
def test_an_interrupt_within_an_exec_does_not_decide_how_the_process_ends(tmp_path, how, code):
    """Python 3.14 gives 130 either way: `leave` has no reason any more once older ones are not supported."""
    (tmp_path / "interrupted.py").write_text(MODULE)
    parts = [sys.executable, "-m", "interrupted", how]
    assert subprocess.run(parts, cwd=tmp_path, timeout=60, check=False).returncode == code
