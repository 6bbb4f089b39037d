"""What trials get of the driver's environment to reach object storage: where it is, and credentials."""

from __future__ import annotations

import configparser
import json
import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

CREDENTIALS = (
    frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN"}),
    frozenset(
        {"AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_SAS_TOKEN"},
    ),
)
"""Variables with credentials, one set per provider. A machine that has one of a set keeps its own: parts of two
identities fit nothing."""

SETTINGS = frozenset(
    {
        *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"),
        *("AZURE_STORAGE_ACCOUNT_NAME", "GOOGLE_CLOUD_PROJECT", "STORAGE_EMULATOR_HOST"),
    }
)
"""Variables that say where a store is. A machine keeps its own values."""

ALL_CREDENTIALS = frozenset().union(*CREDENTIALS)


def storage_access() -> str:
    """The variables of this process as a JSON object. It may hold secrets: see `tune_run._trainable`."""
    names = sorted((ALL_CREDENTIALS | SETTINGS) & os.environ.keys())
    return json.dumps({name: os.environ[name] for name in names})


def use_storage_access(text: str, environment: MutableMapping[str, str] = os.environ) -> None:
    """Set the variables of a `storage_access` that this machine lacks. A profile only where it is configured: one that
    is not would be an error, where the machine may have a role of its own."""
    given: Mapping[str, str] = json.loads(text)
    for names in CREDENTIALS:
        if not names & environment.keys():
            environment.update({name: given[name] for name in names & given.keys()})
    for name in SETTINGS & given.keys():
        if name != "AWS_PROFILE" or _has_profile(given[name], environment):
            environment.setdefault(name, given[name])


def _has_profile(profile: str, environment: Mapping[str, str]) -> bool:
    """Whether the AWS configuration of this machine has a profile of this name."""
    places = (("AWS_CONFIG_FILE", "~/.aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"))
    read = configparser.RawConfigParser(strict=False)
    try:
        read.read([Path(environment.get(name, default)).expanduser() for name, default in places])
    except (configparser.Error, OSError, UnicodeDecodeError):
        return False
    return bool({profile, f"profile {profile}"} & set(read.sections()))
