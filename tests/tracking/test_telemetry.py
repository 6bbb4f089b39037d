"""MLflow decides at its import whether it tells others of its use, so raysweep comes first."""

import os
import shlex
import subprocess
import sys

import pytest

from raysweep.tracking.server import ui_command

ASK = "import {}; from mlflow.telemetry.client import get_telemetry_client; print(get_telemetry_client())"
QUIET = ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "PYTEST_CURRENT_TEST", "PYTEST_VERSION", "CI")


def asked(module, **more):
    env = {name: value for name, value in os.environ.items() if name not in QUIET} | more
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASK.format(module)], env=env, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize("module", ["raysweep.report.results.load", "raysweep.tracking.writer"])
def test_it_is_off_wherever_mlflow_is_imported(module):
    assert asked(module) == "None"


def test_the_printed_line_says_so_and_can_be_pasted():
    assert ui_command("sqlite:///mlflow.db") == (
        "MLFLOW_DISABLE_TELEMETRY=true mlflow ui --backend-store-uri sqlite:///mlflow.db"
    )
    uri = "sqlite+pysqlite:///file:m.db?a=1&uri=true"
    assert shlex.split(ui_command(uri))[-1] == uri
    assert ui_command("http://127.0.0.1:5000") == "open http://127.0.0.1:5000"
