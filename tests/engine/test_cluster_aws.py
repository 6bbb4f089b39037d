"""`cluster.yaml` through Ray's own code for AWS, with a stand-in for AWS: what is asked of it, and which ports open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

boto3 = pytest.importorskip("boto3")
moto = pytest.importorskip("moto")

from ray.autoscaler._private.aws.config import bootstrap_aws  # noqa: E402
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider  # noqa: E402
from ray.autoscaler._private.util import prepare_config  # noqa: E402

FILE = Path(__file__).parents[2] / "cluster.yaml"
PROFILES = ("raysweep-head", "raysweep-worker")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The file as Ray completes it from an account that has the two profiles and an image, and nothing else."""
    with pytest.MonkeyPatch.context() as patch, moto.mock_aws():
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))  # Ray keeps a new key pair in ~/.ssh
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "x")
        (Path.home() / ".ssh").mkdir()
        iam, ec2 = boto3.client("iam"), boto3.client("ec2", "us-west-2")
        for name in PROFILES:
            iam.create_instance_profile(InstanceProfileName=name)
        image = ec2.describe_images()["Images"][0]["ImageId"]
        yield bootstrap_aws(prepare_config(yaml.safe_load(FILE.read_text().replace("ami-CHANGE-ME", image))))


def test_no_role_is_made_besides_those_named(account: dict[str, Any]) -> None:
    """Ray's own default role may use every bucket of the account."""
    assert boto3.client("iam").list_roles()["Roles"] == []
    kinds = account["available_node_types"].values()
    assert [kind["node_config"]["IamInstanceProfile"]["Name"] for kind in kinds] == list(PROFILES)


def test_the_outside_reaches_port_22_alone(account: dict[str, Any]) -> None:
    (group,) = [group for group in boto3.client("ec2", "us-west-2").describe_security_groups()["SecurityGroups"]
                if group["GroupName"] == "ray-autoscaler-raysweep"]  # fmt: skip
    outside = [rule for rule in group["IpPermissions"] if rule["IpRanges"] or rule["Ipv6Ranges"]]
    assert [(rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for rule in outside] == [("tcp", 22, 22)]
    inside = [rule for rule in group["IpPermissions"] if rule not in outside]
    assert {pair["GroupId"] for rule in inside for pair in rule["UserIdGroupPairs"]} == {group["GroupId"]}
    for kind in account["available_node_types"].values():
        assert kind["node_config"]["SecurityGroupIds"] == [group["GroupId"]]


def test_a_worker_starts_with_its_role_and_not_on_spot(account: dict[str, Any]) -> None:
    provider = AWSNodeProvider(account["provider"], account["cluster_name"])
    for name in ("head", "gpu_worker"):
        provider.create_node(
            account["available_node_types"][name]["node_config"],
            {"ray-node-type": name, "ray-user-node-type": name, "ray-launch-config": "x"},
            1,
        )
    found = boto3.client("ec2", "us-west-2").describe_instances()["Reservations"]
    machines = [machine for reservation in found for machine in reservation["Instances"]]
    started = {machine["InstanceType"]: machine for machine in machines}
    assert set(started) == {"m6i.2xlarge", "g5.xlarge"}
    for machine, profile in zip((started["m6i.2xlarge"], started["g5.xlarge"]), PROFILES, strict=True):
        assert machine["IamInstanceProfile"]["Arn"].endswith(f"instance-profile/{profile}")
        assert machine.get("InstanceLifecycle") is None
