"""What a launch does before it starts Ray; `tests/test_secrets_of_launches.py` looks at a Ray that runs."""

import os
import socket

import pytest

from raysweep.core.errors import UserError
from raysweep.engine import ray_join, ray_start


@pytest.fixture
def token(monkeypatch, tmp_path):
    """Where the token goes, for a user without one and with an open umask."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    before = os.umask(0)
    yield tmp_path / ".ray" / "auth_token"
    os.umask(before)


def mode(path):
    return path.stat().st_mode & 0o777


def test_a_token_is_made_once_and_private(token, capsys):
    ray_start._have_private_token()
    made = token.read_text()
    assert (len(made) >= 32, mode(token), mode(token.parent)) == (True, 0o600, 0o700)
    ray_start._have_private_token()
    assert (token.read_text(), capsys.readouterr().err) == (made, "")


def test_one_that_others_can_read_is_closed_and_said(token, capsys):
    token.parent.mkdir()
    token.write_text("a" * 64)
    token.chmod(0o644)
    ray_start._have_private_token()
    assert (mode(token), token.read_text()) == (0o600, "a" * 64)
    assert "other accounts could read" in capsys.readouterr().err
    ray_start._have_private_token()
    assert capsys.readouterr().err == ""


def test_a_token_elsewhere_or_in_a_variable(token, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "x" / "mine"))
    ray_start._have_private_token()
    assert mode(tmp_path / "x" / "mine") == 0o600
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "b" * 64)
    ray_start._have_private_token()
    assert not token.exists()


def test_a_link_is_not_followed(token, tmp_path):
    token.parent.mkdir()
    token.symlink_to(tmp_path / "victim")
    with pytest.raises(UserError, match="a broken link"):
        ray_start._have_private_token()
    assert [path.name for path in tmp_path.rglob("*")] == [".ray", "auth_token"]


def test_no_place_for_a_token(token):
    token.parent.write_text("a file")
    with pytest.raises(UserError, match=r"token file .* cannot be made private .*RAY_AUTH_TOKEN_PATH"):
        ray_start._have_private_token()


@pytest.mark.parametrize("value", ["disabled", "DISABLED"])
def test_no_tokens_are_a_warning(monkeypatch, capsys, value):
    monkeypatch.setenv("RAY_AUTH_MODE", value)
    assert not ray_start.asks_for_token()
    assert f"warning: RAY_AUTH_MODE={value.lower()}" in capsys.readouterr().err


def test_what_ray_is_started_without(monkeypatch):
    monkeypatch.setenv("RAYSWEEP_DATA", "s3://me:hidden@b")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hidden")
    monkeypatch.setenv("AWS_PROFILE", "mine")
    before = dict(os.environ)
    with ray_start._without_secrets():
        assert "hidden" not in str(dict(os.environ))
        assert os.environ["AWS_PROFILE"] == "mine"
    assert dict(os.environ) == before


@pytest.mark.parametrize(("before", "during"), [(None, "token"), ("token", "token"), ("disabled", "disabled")])
def test_a_local_ray_is_told_its_mode_and_has_a_private_token_before_it_starts(
    token, tmp_path, monkeypatch, before, during
):
    """Not what this version of Ray takes for granted: the mode stands in the environment that its processes inherit."""
    monkeypatch.setenv("RAY_AUTH_MODE", before or "")
    if before is None:
        monkeypatch.delenv("RAY_AUTH_MODE")
    seen = []

    def init(**asked):
        seen.append((os.environ.get("RAY_AUTH_MODE"), token.exists() and mode(token), asked["address"]))

    monkeypatch.setattr("raysweep.engine.ray_start.ray.init", init)
    monkeypatch.setattr("raysweep.engine.ray_start.read_settings_again", lambda: None)
    monkeypatch.setattr("raysweep.engine.ray_start.session_folder", lambda: tmp_path)
    ray_start.start_local()
    assert seen == [(during, False if during == "disabled" else 0o600, "local")]


def test_an_address_at_which_nothing_answers_is_refused_at_once():
    """Ray itself tries for minutes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(UserError, match=rf"--address 127.0.0.1:{port}: .*nothing answers at .*: Connection refused"):
        ray_join.join(f"127.0.0.1:{port}")
    with pytest.raises(UserError, match=r"--address nonsense: .*Invalid address format"):
        ray_join.join("nonsense")


def test_in_a_slurm_job_ray_has_the_cpus_of_the_job(monkeypatch):
    for name in ("SLURM_JOB_ID", "SLURM_CPUS_ON_NODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "3")
    assert ray_start._cpus_of_job() is None
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert ray_start._cpus_of_job() == 3
    monkeypatch.delenv("SLURM_CPUS_ON_NODE")
    assert ray_start._cpus_of_job() is None
