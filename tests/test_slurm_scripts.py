"""The scripts and arguments of launches on Slurm, without a Slurm: `tests/slurm` runs them on a real one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from raysweep.cli.run import main
from raysweep.core import filesystem
from raysweep.core.errors import UserError
from raysweep.launch.slurm import SlurmRequest, make_scripts
from raysweep.tracking.journal import Journal
from raysweep.tracking.server import connect
from raysweep.tracking.working_copy import working_copy

HOSTILE = "it's $(touch hacked) `touch hacked` \"; touch hacked; # %j é\n"

SBATCH = """#!/bin/sh
for word; do printf '%s\\n' "$word"; done >> "$CALLS"
echo --- >> "$CALLS"
{verdict}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a stand-in for sbatch, which notes its arguments and answers with job ids."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    stand_in(tmp_path, 'echo "4$(grep -c ^--- "$CALLS");cluster"')
    return tmp_path


def stand_in(folder: Path, verdict: str) -> None:
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / "sbatch").write_text(SBATCH.format(verdict=verdict))
    (folder / "bin" / "sbatch").chmod(0o755)


def calls(folder: Path) -> list[list[str]]:
    if not (folder / "calls").exists():
        return []
    return [call.split("\n")[:-1] for call in (folder / "calls").read_text().split("---\n")[:-1]]


def words(*more: str) -> list[str]:
    return ["ablation_noise_rate", "--preset", "smoke", "--slurm", *more]


def refusal(capsys, *more: str) -> str:
    assert main(words(*more)) == 2
    return capsys.readouterr().err


def check_shell(text: str, folder: Path) -> None:
    script = folder / "checked.sh"
    script.write_text(text)
    subprocess.run(["bash", "-n", str(script)], check=True)
    if shutil.which("shellcheck"):
        done = subprocess.run(
            ["shellcheck", "--shell=bash", "--severity=warning", str(script)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("request_", [SlurmRequest(gpus=2, time="1-0", partition="gpu"), SlurmRequest(nodes=3, gpus=4)])
def test_scripts_are_valid_shell(tmp_path, request_):
    scripts = make_scripts(request_, "study", tmp_path, ["study", "--set=a=b c"], tasks=3, needs_tracking_variable=True)
    for text in scripts.texts.values():
        check_shell(text, tmp_path)
        header = text.split("\nset -u\n")[0].splitlines()
        assert all(line.startswith("#") for line in header), "sbatch reads no option after the first command"


def test_the_array_script(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/env/bin/python")
    request = SlurmRequest(partition="gpu", time="8:00:00", gpus=1, cpus=6, stop_before=120, more=["--account=my lab"])
    scripts = make_scripts(request, "my study", Path("/store/slurm/1"), ["my study", "--store=/store"], tasks=3)
    assert scripts.launch == Path("/store/slurm/1/launch.sh")
    text = scripts.texts[scripts.launch]
    assert text.split("# Every")[0] == (
        "#!/bin/bash\n"
        "#SBATCH --job-name=raysweep-my_study\n"
        "#SBATCH --output=/store/slurm/1/%A_%a.log\n"
        "#SBATCH --open-mode=append\n"
        "#SBATCH --requeue\n"
        "#SBATCH --partition=gpu\n"
        '#SBATCH --account="my lab"\n'
        "#SBATCH --array=0-2\n"
        "#SBATCH --nodes=1\n"
        "#SBATCH --ntasks=1\n"
        "#SBATCH --cpus-per-task=6\n"
        "#SBATCH --gres=gpu:1\n"
        "#SBATCH --time=8:00:00\n"
        "#SBATCH --signal=B:USR1@120\n"
    )
    assert "\n/env/bin/python -m raysweep.run 'my study' --store=/store --worker &\n" in text
    assert "$(seq 110)" in text
    last = scripts.texts[scripts.report]
    assert last.endswith("\nexec /env/bin/python -m raysweep.run 'my study' --store=/store --report-only\n")
    assert "#SBATCH --time=60\n" in last
    assert "gres" not in last


def test_hostile_words_reach_python_as_they_are(tmp_path, monkeypatch):
    """The report's script is run with a stand-in for Python that prints its arguments."""
    echo = tmp_path / "python $(touch hacked)"
    echo.write_text("#!/bin/sh\nfor word; do printf '%s\\0' \"$word\"; done\n")
    echo.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(echo))
    work = tmp_path / "it's `touch hacked` 100%"
    work.mkdir()
    monkeypatch.chdir(work)
    scripts = make_scripts(SlurmRequest(), HOSTILE, work, [HOSTILE, f"--set=x={HOSTILE}"], tmp_path / "script.sh")
    scripts.write()
    done = subprocess.run(["bash", str(scripts.report)], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.split("\0")[:-1] == ["-m", "raysweep.run", HOSTILE, f"--set=x={HOSTILE}", "--report-only"]
    assert not list(tmp_path.rglob("hacked"))
    assert scripts.launch.stat().st_mode & 0o077 == 0


def test_a_quote_in_a_directive_is_refused(tmp_path):
    with pytest.raises(UserError, match="sbatch cannot take"):
        make_scripts(SlurmRequest(more=['--comment="x"']), "study", tmp_path, ["study"])


def test_submission_in_order_with_places_in_full(folder, capsys):
    assert main(words("--json", "--tasks", "2", "--tracking", "sqlite:///runs.db", "--out", "tables")) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["launch"], told["report"]) == ("41", "42")
    assert calls(folder) == [
        ["--parsable", told["scripts"][0]],
        ["--parsable", "--dependency=afterany:41", told["scripts"][1]],
    ]
    text = Path(told["scripts"][0]).read_text()
    for word in (f"--store={folder}/.raysweep", f"--tracking=sqlite:///{folder}/runs.db", f"--out={folder}/tables"):
        assert word in text
    assert "--array=0-1" in text
    assert "--json" not in text


def test_a_script_that_exists_is_kept(folder, capsys):
    (folder / "job-report.sh").write_text("mine")
    assert "job-report.sh exists: remove it" in refusal(capsys, "--slurm-script", "job.sh")
    assert (folder / "job-report.sh").read_text() == "mine"
    assert not calls(folder)


def test_a_dry_run_prints_both_scripts_and_submits_nothing(folder, capsys):
    for option in ("--slurm-dry-run", "--plan"):
        assert main(words(option, "--slurm-script", "job.sh")) == 0
        shown = capsys.readouterr().out
        assert shown.startswith(f"# {folder}/job.sh\n#!/bin/bash\n")
        assert f"# {folder}/job-report.sh\n" in shown
    assert not calls(folder)
    assert not (folder / "job.sh").exists()
    assert not list(folder.glob(".raysweep/slurm/*"))


def test_a_dry_run_needs_no_slurm(folder, capsys, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(words("--slurm-dry-run")) == 0
    capsys.readouterr()
    assert refusal(capsys) == (
        "raysweep: sbatch is not found: run this where Slurm is, or see the scripts with --slurm-dry-run\n"
    )


def test_refusals_of_slurm_are_passed_on(folder, capsys):
    stand_in(folder, "echo 'sbatch: error: invalid partition specified: x' >&2; exit 1")
    assert "launch.sh: invalid partition specified: x\n" in refusal(capsys)


def test_a_launch_whose_report_is_refused(folder, capsys):
    stand_in(folder, 'grep -q afterany "$CALLS" && { echo "sbatch: error: too many jobs" >&2; exit 1; }; echo 7')
    told = refusal(capsys)
    assert "job 7 is submitted, but its report is not" in told
    assert "too many jobs; later: sbatch --dependency=afterany:7 " in told


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--gpus", "0"], "`gpus >= 1` must hold, but --gpus is 0"),
        (["--time", "2h"], "--time expects MINUTES"),
        (["--time", "1"], "--time 1 is not longer than the 60 s"),
        (["--address", "auto"], "--slurm and --address exclude each other"),
        (["--status"], "--slurm and --status exclude each other"),
        (["--worker"], "--slurm and --worker exclude each other"),
        (["--nodes", "2", "--tasks", "3"], "--nodes is one launch over several nodes"),
        (["--sbatch=-p gpu"], "expected a long option"),
        (["--sbatch=--array=0-9"], "--array is the script's own"),
        (["--stop-before", "5"], "10 <= stop-before"),
        (["--tracking", "http://me:secret@host"], "MLFLOW_TRACKING_URI"),
        (["--on", "no_such_data"], "no_such_data"),
        (["--preset", "smok"], "smoke"),
    ],
)
def test_mistakes_are_told_before_anything_is_submitted(folder, capsys, given, told):
    error = refusal(capsys, *given)
    assert told in error
    assert "secret" not in error
    assert len([line for line in error.splitlines() if not line.startswith("warning: ")]) == 1
    assert not calls(folder)


def test_a_misspelt_study_is_told_before_anything_is_submitted(folder, capsys):
    assert main(["ablation_noise_rat", "--slurm"]) == 2
    assert "did you mean 'ablation_noise_rate'?" in capsys.readouterr().err
    assert not calls(folder)


def test_a_search_in_sqlite_is_one_task(folder, capsys):
    assert main(["search_dcjt", "--preset", "smoke", "--slurm", "--tasks", "2"]) == 2
    assert "keeps its trials in SQLite" in capsys.readouterr().err
    assert main(["search_dcjt", "--preset", "smoke", "--slurm", "--slurm-dry-run"]) == 0
    assert "--array=0-0\n" in capsys.readouterr().out


def test_options_of_a_submission_need_it(capsys):
    assert main(["ablation_noise_rate", "--gpus", "2"]) == 2
    assert capsys.readouterr().err == "raysweep: --gpus is for launches on Slurm: add --slurm\n"


def test_a_password_in_the_environment_is_in_no_script(folder, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:hidden1@host")
    monkeypatch.setattr("raysweep.tracking.server.connect", lambda uri: None)
    assert main(words("--slurm-dry-run")) == 0
    text = capsys.readouterr().out
    assert "hidden1" not in text
    assert text.count(': "${MLFLOW_TRACKING_URI:?') == 2


@pytest.fixture
def network(tmp_path, monkeypatch):
    """A folder that the list of mounts says to be NFS; everything else is on a local disk."""
    shared = tmp_path / "home of all"
    shared.mkdir()
    mounts = tmp_path / "mountinfo"
    point = str(shared).replace(" ", "\\040")
    mounts.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        f"40 22 0:40 / {point} rw,relatime - nfs4 server:/home rw,vers=4.2\n"
    )
    monkeypatch.setattr(filesystem, "MOUNTS", mounts)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return shared


def test_the_type_of_a_file_system(network):
    assert filesystem.network_file_system(network / "not" / "there") == "nfs4"
    assert filesystem.network_file_system(network.parent) == ""
    assert filesystem.file_system(network.parent) == "ext4"


def test_sqlite_on_a_network_file_system(network, capsys, monkeypatch):
    connect(f"sqlite:///{network}/mlflow.db")
    assert "is on nfs4, where SQLite's locks do not hold between machines" in capsys.readouterr().err
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with pytest.raises(UserError, match=r"is on nfs4.*submit the launch with --slurm"):
        connect(f"sqlite:///{network}/mlflow.db")


def test_a_working_copy_replaces_the_database(network, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    uri, journals = f"sqlite:///{network}/mlflow.db", tmp_path / "journal"
    for number in range(2):
        with working_copy(uri, journals) as copy:
            connect(copy.uri).create_experiment(f"study {number}")
            with Journal(journals / "one.jsonl", copy.marks)._stream as _:
                pass
            (copy.marks / "one.published").write_text(str(number))
            assert not (journals / "one.published").exists() or number
        assert (journals / "one.published").read_text() == str(number)
    found = connect(uri, writable=False).search_experiments()
    assert {"study 0", "study 1"} <= {one.name for one in found}
    assert not list(tmp_path.glob("raysweep-*"))


def test_a_working_copy_of_a_failed_block_replaces_nothing(network, tmp_path):
    with pytest.raises(KeyboardInterrupt), working_copy(f"sqlite:///{network}/mlflow.db", tmp_path):
        raise KeyboardInterrupt
    assert not (network / "mlflow.db").exists()


def test_a_database_that_changed_meanwhile_is_kept(network, tmp_path):
    file = network / "mlflow.db"
    with pytest.raises(UserError, match="another program wrote"):  # noqa: SIM117
        with working_copy(f"sqlite:///{file}", tmp_path):
            file.write_text("other")
    assert file.read_text() == "other"


def test_other_stores_are_written_in_place(network, tmp_path):
    for uri in (f"sqlite:///{tmp_path}/mlflow.db", "http://localhost:1"):
        with working_copy(uri, tmp_path) as copy:
            assert copy is None
