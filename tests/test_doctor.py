"""`--doctor` as a user calls it: what would go wrong, with the remedy, and nothing is left behind."""

import json
import subprocess
import sys

import pytest

from bench.tracking import LocalServer
from raysweep.data.__main__ import main as prepare
from raysweep.launch.doctor.cluster_file import missing_workers
from raysweep.run import main as run
from tests.own_sets import write_set
from tests.several_launches import free_port


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    """A new user in an empty folder."""
    work, home = tmp_path / "work", tmp_path / "home"
    work.mkdir(), home.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(home))
    for name in ("MLFLOW_TRACKING_URI", "RAYSWEEP_DATA", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    return work


@pytest.fixture
def doctor(capsys):
    """Runs it with these words: exit code, and the findings by what they are about."""

    def ask(*words):
        capsys.readouterr()
        code = run([*words, "--doctor", "--json"])
        told = json.loads(capsys.readouterr().out)
        assert told["works"] == (code == 0) == all(one["level"] != "fault" for one in told["findings"])
        found = {}
        for one in told["findings"]:
            found.setdefault(one["what"], []).append((one["level"], one["text"]))
        return code, found

    return ask


def test_a_new_user_can_begin_and_nothing_is_left(fresh, capsys):
    assert run(["ablation_alpha", "--doctor"]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == "a launch would work"
    for what in ("versions", "store", "disk", "reports", "tracking", "data", "token", "devices"):
        assert f"\nok       {what} " in f"\n{said}"
    assert "faces: drawn, nothing to prepare" in said
    assert [*fresh.rglob("*"), *(fresh.parent / "home").rglob("*token*")] == []


def test_data_that_are_not_prepared_or_at_another_size(fresh, doctor, tmp_path, monkeypatch):
    monkeypatch.setenv("RAYSWEEP_DATA", str(tmp_path / "data"))
    code, found = doctor("ablation_alpha", "--on", "affectnet")
    assert code == 1
    assert "affectnet is not prepared in" in found["data"][0][1]
    assert "raysweep.data prepare affectnet PATH --size" in found["data"][0][1]
    counts = dict.fromkeys(("neutral", "happiness", "fear", "surprise"), 4)
    table = write_set(tmp_path, "mine", {"train": counts, "test": counts}, va=True)
    assert prepare(["prepare", "csv", str(table), "--as", "mine", "--size", "32"]) == 0
    smoke = ("ablation_alpha", "--preset", "smoke", "--on", "mine")
    code, found = doctor(*smoke)
    assert (code, found["data"]) == (0, [("ok", "mine: 32 images prepared at 32 px")])
    code, found = doctor(*smoke, "--set", "data.image_size=64")
    assert code == 1
    assert "mine is prepared at 32 px, but data.image_size is 64: set data.image_size=32" in found["data"][0][1]


def test_a_store_that_cannot_be_written(fresh, doctor):
    (fresh / "file").write_text("")
    code, found = doctor("--store", "file/store")
    assert code == 1
    assert "is no folder: choose another folder with --store" in found["store"][0][1]


def test_a_store_on_a_read_only_disk(fresh):
    may = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], check=False, capture_output=True
    )
    if may.returncode:
        pytest.skip("needs mount namespaces (root)")
    script = 'mount -t tmpfs -o ro none "$1" && shift && exec "$@"'
    command = ["python", "-m", "raysweep.run", "--doctor", "--store", "store"]
    (fresh / "store").mkdir()
    ended = subprocess.run(
        ["unshare", "--mount", "bash", "-c", script, "bash", str(fresh / "store"), sys.executable, *command[1:]],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "read-only file system: choose another folder with --store" in ended.stdout


def test_tracking_out_of_reach_and_a_server_that_writes(fresh, doctor, tmp_path):
    code, found = doctor("--tracking", f"http://127.0.0.1:{free_port()}")
    assert code == 1
    assert found["tracking"][0][1].endswith("set MLFLOW_TRACKING_URI or --tracking")
    (tmp_path / "server").mkdir()
    server = LocalServer(tmp_path / "server")
    server.start()
    try:
        code, found = doctor("--tracking", server.uri)
        assert (code, found["tracking"]) == (0, [("ok", f"{server.uri}, can be written")])
    finally:
        server.kill()


def test_more_devices_than_there_are(doctor):
    code, found = doctor("--devices-per-trial", "4096")
    assert code == 1
    assert found["devices"][0][1].startswith("--devices-per-trial 4096, but this machine has ")


def test_a_token_that_others_can_read_is_a_warning(fresh, doctor):
    token = fresh.parent / "home" / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("a" * 64)
    token.chmod(0o644)
    code, found = doctor()
    assert (code, found["token"]) == (0, [("warning", f"other accounts can read {token}: chmod 600 {token}")])


def test_workers_of_a_file_that_have_not_joined_are_named_with_why(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("provider: {type: local, head_ip: 127.0.0.1, worker_ips: [127.0.0.2, 127.0.0.3]}\n")
    [missing] = missing_workers(str(file), {"127.0.0.1", "127.0.0.2"})
    assert (missing.level, missing.what) == ("warning", "machine 127.0.0.3")
    assert missing.text.startswith("has not joined: ")
    assert list(missing_workers(str(file), {"127.0.0.1", "127.0.0.2", "127.0.0.3"})) == []
    file.write_text("provider: {type: aws}\n")
    assert list(missing_workers(str(file), {"127.0.0.1"})) == []
    assert list(missing_workers(None, set())) == list(missing_workers(str(tmp_path / "none"), set())) == []


def test_placeholders_of_the_file_for_ray_up(fresh, doctor):
    places = "ImageId: &image ami-CHANGE-ME\nfs: 'fs-CHANGE-ME.efs.us:/ /mnt'\n"
    text = f"cluster_name: x\n# ami-CHANGE-ME in a comment\n{places}"
    (fresh / "cluster.yaml").write_text(text)
    code, found = doctor()
    assert code == 0  # a launch on this machine needs no cluster
    assert found["cluster.yaml"][0][0] == "warning"
    code, found = doctor("--cluster", "cluster.yaml")
    assert code == 1
    said = found["cluster.yaml"][0][1]
    assert said.startswith("not filled in: ami-CHANGE-ME (line 3) and fs-CHANGE-ME.efs.us (line 4); ")
    (fresh / "cluster.yaml").write_text("ImageId: ami-0123\n")
    code, found = doctor("--cluster", "cluster.yaml")
    assert (code, found["cluster.yaml"]) == (0, [("ok", "filled in")])
    code, found = doctor("--cluster", "clutser.yaml")
    assert "cannot be read (No such file or directory)" in found["clutser.yaml"][0][1]


def test_nobody_at_the_address(doctor):
    address = f"127.0.0.1:{free_port()}"
    code, found = doctor("--address", address)
    assert code == 1
    assert found["cluster"][0][1].startswith(f"--address {address}: cannot join a Ray cluster there (nothing answers")
    assert "`ray status` on its head" in found["cluster"][0][1]


def test_the_committed_file_for_ray_up_has_places_to_fill_in(request, doctor):
    _, found = doctor("--cluster", str(request.config.rootpath / "cluster.yaml"))
    assert "CHANGE-ME" in found[str(request.config.rootpath / "cluster.yaml")][0][1]
