"""Which of the driver's variables a trial sets where it runs."""

import json

import pytest

from raysweep.engine import ray_internals
from raysweep.engine.storage_access import ALL_CREDENTIALS, SETTINGS, storage_access, use_storage_access

KEYS = {"AWS_ACCESS_KEY_ID": "driver", "AWS_SECRET_ACCESS_KEY": "driver", "AWS_SESSION_TOKEN": "driver"}
PLACE = {"AWS_ENDPOINT_URL": "http://10.0.0.1:9000", "AWS_DEFAULT_REGION": "eu-west-1"}


def on_a_machine_with(given, tmp_path, profiles="", **own):
    (tmp_path / "config").write_text(profiles)
    places = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none")}
    environment = {**places, **own}
    use_storage_access(json.dumps(given), environment)
    return {name: value for name, value in environment.items() if name not in places}


def test_a_bare_machine_gets_everything(tmp_path):
    assert on_a_machine_with(KEYS | PLACE, tmp_path) == KEYS | PLACE


def test_keys_of_two_identities_are_never_mixed(tmp_path):
    own = {"AWS_ACCESS_KEY_ID": "node", "AWS_SECRET_ACCESS_KEY": "node"}
    assert on_a_machine_with(KEYS | PLACE, tmp_path, **own) == own | PLACE


def test_what_a_machine_says_of_places_stays(tmp_path):
    own = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    assert on_a_machine_with(PLACE, tmp_path, **own) == PLACE | own


@pytest.mark.parametrize(
    ("profiles", "expected"),
    [("[profile lab]\nregion = x\n", {"AWS_PROFILE": "lab"}), ("[profile other]\n", {}), ("", {}), ("no file\n[", {})],
)
def test_a_profile_is_set_where_it_is_configured_only(profiles, expected, tmp_path):
    """botocore raises for one that is not, even if the machine has a role."""
    assert on_a_machine_with({"AWS_PROFILE": "lab"}, tmp_path, profiles) == expected


def test_only_named_variables_leave_the_driver(monkeypatch):
    for name in ALL_CREDENTIALS | SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "x")
    assert json.loads(storage_access()) == {"AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "eu-west-1"}


def test_tune_passes_no_credential_by_itself():
    import raysweep.engine.tune_run  # noqa: F401

    assert not ray_internals.ENV_VARS_TO_PROPAGATE & ALL_CREDENTIALS
