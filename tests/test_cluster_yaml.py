"""`cluster.yaml` against Ray's own code: its schema, its launcher with the machines replaced, its token check."""

from __future__ import annotations

import copy
import json
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

jsonschema = pytest.importorskip("jsonschema")

from ray.autoscaler._private.command_runner import _with_interactive  # noqa: E402
from ray.autoscaler._private.commands import get_or_create_head_node  # noqa: E402
from ray.autoscaler._private.util import prepare_config, validate_config  # noqa: E402
from ray.autoscaler.node_provider import NodeProvider  # noqa: E402
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig  # noqa: E402
from ray.autoscaler.v2.instance_manager.ray_installer import RayInstaller  # noqa: E402
from ray.core.generated.instance_manager_pb2 import Instance  # noqa: E402

from raysweep.core.errors import UserError  # noqa: E402
from raysweep.engine.resources import allot  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ("initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands",
            "head_start_ray_commands", "worker_start_ray_commands")  # fmt: skip
ENVIRONMENT = ROOT / "cluster-environment.sh"
TOKEN = "0123456789abcdef" * 4


def read() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    return config


@pytest.fixture
def config() -> dict[str, Any]:
    return read()


@pytest.fixture
def prepared(config: dict[str, Any]) -> dict[str, Any]:
    """As `ray up` and the autoscaler see it: AWS defaults filled in, setup commands merged."""
    return prepare_config(config)  # type: ignore[no-any-return]


OPTIONS = {"spot nodes": "InstanceMarketOptions", "a shared folder": "/mnt/shared", "PostgreSQL": "postgresql"}
"""Beginnings of the options that are commented lines, and what one of the lines holds."""


def taken(option: str) -> dict[str, Any]:
    """The file with one option's lines made to act: of the comment after its mark those that are YAML."""
    before, mark, after = (ROOT / "cluster.yaml").read_text().partition(f"# OPTION: {option}")
    assert mark, option
    lines = after.splitlines()
    start = next(i for i, line in enumerate(lines) if re.match(r" *# (- |\w+: \{)", line))
    for number in range(start, len(lines)):
        if not lines[number].lstrip().startswith("#") or (number > start and not re.match(r" *#     ", lines[number])):
            break
        lines[number] = lines[number].replace("# ", "", 1)
    config: dict[str, Any] = yaml.safe_load(before + mark + "\n".join(lines))
    return config


def start_command(config: dict[str, Any], kind: str) -> str:
    found = [c for c in config[f"{kind}_start_ray_commands"] if "bin/ray start" in c]
    assert len(found) == 1
    return str(found[0])


class TestSchema:
    def test_ray_accepts_it(self, prepared: dict[str, Any]) -> None:
        validate_config(prepared)

    @pytest.mark.parametrize(
        ("path", "value", "error"),
        [
            (("max_worker",), 8, jsonschema.ValidationError),
            (("idle_timeout_minutes",), "ten", jsonschema.ValidationError),
            (("setup_commands",), "one string", jsonschema.ValidationError),
            (("available_node_types", "gpu_worker", "resources", "GPU"), 0.5, jsonschema.ValidationError),
            (("head_node_type",), "nobody", ValueError),
            (("available_node_types", "gpu_worker", "min_workers"), 9, ValueError),
        ],
    )
    def test_ray_refuses_a_broken_copy(
        self, prepared: dict[str, Any], path: tuple[str, ...], value: Any, error: type[Exception]
    ) -> None:
        place = prepared
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
        with pytest.raises(error):
            validate_config(prepared)

    def test_the_lines_to_change_are_few_and_marked(self) -> None:
        text, told = (ROOT / "cluster.yaml").read_text(), (ROOT / "docs" / "cluster.md").read_text()
        assert text.count("# CHANGE:") == 3
        assert text.count("# OPTION:") == len(OPTIONS) + 2
        acting = re.sub(r"(?m)^ *#.*$", "", text)
        assert set(re.findall(r"[\w-]+-CHANGE-ME", acting)) == {"ami-CHANGE-ME", "bucket-CHANGE-ME"}
        for place in ("ImageId", "bucket-CHANGE-ME", "region", "max_workers", "InstanceType", *OPTIONS.values()):
            assert f"`{place}`" in told

    @pytest.mark.parametrize("option", OPTIONS)
    def test_options_are_ready_to_be_taken(self, option: str) -> None:
        config = prepare_config(taken(option))
        validate_config(config)
        assert OPTIONS[option] in str(config)
        for command in config["setup_commands"] + config["head_setup_commands"]:
            assert subprocess.run(["bash", "-n"], input=command, text=True).returncode == 0


class TestSafety:
    def test_ray_and_mlflow_listen_on_loopback_only(self, config: dict[str, Any]) -> None:
        (server,) = [c for c in config["head_start_ray_commands"] if "mlflow server" in c]
        assert "--host 127.0.0.1 --port 5000" in server
        assert "--dashboard-host=127.0.0.1" in start_command(config, "head")
        assert "0.0.0.0" not in (ROOT / "cluster.yaml").read_text()

    def test_no_port_is_opened_and_no_secret_is_in_the_file(self, config: dict[str, Any]) -> None:
        text = (ROOT / "cluster.yaml").read_text()
        assert "security_group" not in config["provider"]
        assert "RAY_AUTH_TOKEN=" not in text  # the value travels as a file, never as a word of a command
        assert not re.search(r"AKIA|aws_secret|aws_access|[0-9a-f]{32}", text)

    def test_every_process_that_talks_to_ray_asks_for_the_token(self, config: dict[str, Any]) -> None:
        assert start_command(config, "head").startswith("export RAY_AUTH_MODE=token")
        assert start_command(config, "worker").startswith("export RAY_AUTH_MODE=token")
        assert config["head_start_ray_commands"][-1].startswith("export RAY_AUTH_MODE=token")
        assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
        assert "chmod 600 ~/.ray/auth_token" in config["setup_commands"][0]

    @pytest.mark.parametrize("name", ["cluster.yaml", "docs/cluster.md"])
    def test_the_command_that_makes_the_token_never_lets_others_read_it(self, name: str, tmp_path: Path) -> None:
        """The mode is right from the start: no `chmod` afterwards, which would leave it readable for a moment."""
        (command,) = re.findall(r"\(umask .*?get-auth-token.*?\)", (ROOT / name).read_text())
        assert "chmod" not in command
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        env = {"HOME": str(tmp_path), "PATH": path}
        subprocess.run(["bash", "-c", f"umask 022; {command}"], env=env, check=True, capture_output=True, timeout=120)
        token = tmp_path / ".ray/auth_token"
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        assert stat.S_IMODE(token.parent.stat().st_mode) == 0o700
        assert len(token.read_text()) == 64

    def test_driver_and_tracking_are_never_on_a_spot_node(self) -> None:
        nodes = taken("spot nodes")["available_node_types"]
        assert nodes["gpu_worker"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
        assert "InstanceMarketOptions" not in nodes["head"]["node_config"]

    def test_only_the_head_may_start_nodes(self, config: dict[str, Any]) -> None:
        roles = {
            name: kind["node_config"]["IamInstanceProfile"] for name, kind in config["available_node_types"].items()
        }
        assert roles == {"head": {"Name": "raysweep-head"}, "gpu_worker": {"Name": "raysweep-worker"}}

    @pytest.mark.parametrize("database", [None, "postgresql+psycopg://me:s3cret@db/mlflow"])
    def test_mlflows_files_are_private_and_its_address_is_no_word(
        self, config: dict[str, Any], tmp_path: Path, database: str | None
    ) -> None:
        """The command itself, with a program in MLflow's place that writes down how it was started."""
        (command,) = [c for c in config["head_start_ray_commands"] if "mlflow server" in c]
        if database:
            (tmp_path / "mlflow").mkdir()
            (tmp_path / "mlflow" / "database").write_text(database + "\n")
        program = tmp_path / "raysweep-venv" / "bin" / "mlflow"
        program.parent.mkdir(parents=True)
        program.write_text(
            '#!/bin/bash\necho "$MLFLOW_BACKEND_STORE_URI" "$@" > ~/mlflow/draft; mv ~/mlflow/draft ~/mlflow/started'
        )
        program.chmod(0o755)
        (tmp_path / "curl").write_text("#!/bin/sh\nexit 7")
        (tmp_path / "curl").chmod(0o755)
        home = {"HOME": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        subprocess.run(["bash", "-c", f"umask 022; {command}"], env=home, check=True, timeout=60)
        started, deadline = tmp_path / "mlflow" / "started", time.monotonic() + 60
        while not started.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        uri, *words = started.read_text().split()
        assert uri == (database or f"sqlite:///{tmp_path}/mlflow/mlflow.db")
        assert "s3cret" not in " ".join(words)
        assert stat.S_IMODE(started.stat().st_mode) == 0o600
        if not database:
            assert stat.S_IMODE(started.parent.stat().st_mode) == 0o700

    def test_a_shell_on_a_node_asks_for_the_token(self, config: dict[str, Any], tmp_path: Path) -> None:
        (words,) = [c for c in config["setup_commands"] if "RAY_AUTH_MODE" in c]
        home = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        for _ in range(2):  # a second `ray up` must not add the line again
            subprocess.run(["bash", "-c", words], env=home, check=True)
        subprocess.run(["bash", "-c", config["head_setup_commands"][-1]], env=home, check=True)
        assert (tmp_path / ".bashrc").read_text() == ". ~/.raysweep_env\n"
        asked = "source ~/.bashrc; echo $RAY_AUTH_MODE $MLFLOW_TRACKING_URI $RAYSWEEP_DATA $PATH"
        said = subprocess.run(["bash", "-c", asked], env=home, check=True, capture_output=True, text=True).stdout
        expected = f"token http://127.0.0.1:5000 s3://bucket-CHANGE-ME/data {tmp_path}/raysweep-venv/bin:"
        assert said.startswith(expected)


class TestCommands:
    @pytest.mark.parametrize("kind", COMMANDS)
    def test_bash_can_read_them_inside_rays_wrapper(self, prepared: dict[str, Any], kind: str) -> None:
        for command in prepared[kind]:
            *_, quoted = _with_interactive("export RAY_HEAD_IP=10.0.0.1; " + command)
            (wrapped,) = shlex.split(quoted)
            for text in (command, wrapped):
                done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True)
                assert (done.returncode, done.stderr) == (0, ""), command

    def test_bash_refuses_a_broken_one(self) -> None:
        assert subprocess.run(["bash", "-n"], input="(mountpoint -q x", text=True, capture_output=True).returncode

    def test_what_is_installed_is_mounted_and_here(self, config: dict[str, Any]) -> None:
        mounts = {remote: local for remote, local in config["file_mounts"].items() if remote.startswith("~/raysweep/")}
        assert mounts == {f"~/raysweep/{local}": local for local in mounts.values()}
        assert all((ROOT / local).exists() for local in mounts.values())
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        needed = {
            "pyproject.toml",
            "setup.py",
            "raysweep",
            "search_spaces",
            project["readme"],
            *project["license-files"],
        }
        (command,) = [c for c in config["setup_commands"] if "cluster-environment.sh" in c]
        assert command.startswith("bash ~/raysweep/cluster-environment.sh ")
        needed |= {"cluster-environment.sh", *re.findall(r"--constraint (\S+)", ENVIRONMENT.read_text())}
        assert "constraints.txt" in needed
        assert needed <= set(mounts.values())

    def test_rsync_excludes_what_git_ignores(self, config: dict[str, Any]) -> None:
        lines = (ROOT / ".gitignore").read_text().splitlines()
        ignored = {line.lstrip("/") for line in lines if line and line[0] not in "#!"}
        assert ignored - set(config["rsync_exclude"]) == set()


AWS = """#!/bin/bash
# aws s3 cp --only-show-errors FROM TO, where s3:// is a folder and - is stdin or stdout
shift 3
[ ! -e ~/no-access ] || { echo "Unable to locate credentials" >&2; exit 255; }
from=${1/s3:\\/\\//$BUCKETS/} to=${2/s3:\\/\\//$BUCKETS/}
if [ "$from" = - ]; then mkdir -p "$(dirname "$to")" && cat > "$to"; else cat "$from"; fi
"""
PYTHON = """#!/bin/bash
# What the script asks of python3, and of the environment's own.
case "$*" in
    -VV) echo "Python ${VERSION:-3.12.3}";;
    "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python";;
    "-m pip install "*) echo "$@" >> ~/installs;;
    *) exit 9;;
esac
"""


class TestEnvironment:
    """`cluster-environment.sh` with programs in place of pip and of AWS."""

    @pytest.fixture
    def node(self, tmp_path: Path) -> Any:
        programs = tmp_path / "programs"
        programs.mkdir()
        for name, text in (("aws", AWS), ("python3", PYTHON)):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        homes = tmp_path / "home"

        def make(bucket: str = "s3://b/environments", **env: str) -> tuple[str, list[str]]:
            """Sets a node up: what it said, and pip's commands. All nodes have their homes at the same place."""
            folder = homes / "raysweep"
            folder.mkdir(parents=True, exist_ok=True)
            for name in ("cluster-environment.sh", "constraints.txt", "pyproject.toml"):
                shutil.copy(ROOT / name, folder / name)
            path = {"PATH": f"{programs}:{os.environ['PATH']}", "BUCKETS": str(tmp_path / "s3"), "HOME": str(homes)}
            words = ["bash", str(folder / "cluster-environment.sh"), bucket]
            done = subprocess.run(words, env={**path, **env}, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stderr
            installs = homes / "installs"
            return done.stdout + done.stderr, installs.read_text().splitlines() if installs.exists() else []

        make.home = homes  # type: ignore[attr-defined]
        return make

    def test_the_first_node_installs_and_others_unpack_what_it_made(self, node: Any) -> None:
        said, installs = node()
        assert said == "environment: installed by pip\n"
        assert len(installs) == 1
        assert "--constraint constraints.txt --editable .[s3,postgres,jobs]" in installs[0]
        assert node() == ("", installs)  # again: nothing to do
        shutil.rmtree(node.home)
        said, installs = node()
        assert said.startswith("environment: unpacked from s3://b/environments/environment-")
        assert installs == []
        assert (node.home / "raysweep-venv" / "bin" / "python").exists()

    def test_another_python_is_another_environment(self, node: Any) -> None:
        node()
        said, installs = node(VERSION="3.13.0")
        assert (said, len(installs)) == ("environment: installed by pip\n", 2)

    def test_a_broken_archive_is_not_used(self, node: Any, tmp_path: Path) -> None:
        node()
        (archive,) = (tmp_path / "s3").rglob("*.gz")
        archive.write_bytes(archive.read_bytes()[:50])
        shutil.rmtree(node.home)
        assert node()[0] == "environment: installed by pip\n"

    def test_without_access_to_the_bucket_pip_installs_and_says_so(self, node: Any) -> None:
        node.home.mkdir()
        (node.home / "no-access").touch()
        said, installs = node()
        assert "environment: installed by pip\n" in said
        assert "other nodes install it by pip, too" in said
        assert len(installs) == 1

    def test_without_a_bucket_pip_installs(self, node: Any) -> None:
        assert node(bucket="")[0] == "environment: installed by pip\n"


class TestCapacity:
    def test_gpu_workers_come_and_go(self, config: dict[str, Any]) -> None:
        worker = config["available_node_types"]["gpu_worker"]
        assert (worker["min_workers"], worker["max_workers"], config["max_workers"]) == (0, 8, 8)
        assert config["idle_timeout_minutes"] == 10
        assert config["provider"]["cache_stopped_nodes"]  # MLflow's database is on the head's disk

    def test_head_has_room_for_the_drivers_of_groups_and_none_for_gpu_cells(self, config: dict[str, Any]) -> None:
        head = config["available_node_types"]["head"]["resources"]
        groups = allot(head, {"GPU": 8}, per_cell=2)
        assert groups.concurrency * groups.trial_resources["CPU"] <= head["CPU"]
        assert head["GPU"] == 0
        assert "GPU" in allot(head, {"GPU": 8}, per_cell=1).trial_resources


class Machines(NodeProvider):  # type: ignore[misc]
    """EC2 as far as the launcher looks at it: nodes are names with tags, and have an address at once."""

    def __init__(self) -> None:
        super().__init__({"type": "external"}, "raysweep")
        self.tags: dict[str, dict[str, str]] = {}

    def non_terminated_nodes(self, tag_filters: dict[str, str]) -> list[str]:
        return [name for name, tags in self.tags.items() if tag_filters.items() <= tags.items()]

    def is_terminated(self, node_id: str) -> bool:
        return False

    def node_tags(self, node_id: str) -> dict[str, str]:
        return self.tags[node_id]

    def set_node_tags(self, node_id: str, tags: dict[str, str]) -> None:
        self.tags[node_id].update(tags)

    def external_ip(self, node_id: str) -> str:
        return node_id

    internal_ip = external_ip

    def create_node(self, node_config: dict[str, Any], tags: dict[str, str], count: int) -> None:
        self.tags["head"] = dict(tags)


class Shell:
    """Ray's process runner: writes down what would run over ssh, and does for rsync what rsync would do."""

    DEVNULL = subprocess.DEVNULL

    def __init__(self, homes: Path) -> None:
        self.homes = homes
        self.said: list[tuple[str, str]] = []

    def check_call(self, words: list[str], **how: Any) -> None:
        node = next(word for word in words if word.startswith("ubuntu@")).removeprefix("ubuntu@").partition(":")[0]
        if words[0] == "rsync":
            self._copy(words[-2], self.homes / node / words[-1].partition(":~/")[2])
        self.said.append((node, " ".join(words)))

    check_output = call = check_call

    def _copy(self, source: str, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if Path(source).is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)

    def order(self, node: str, *parts: str) -> list[int]:
        lines = [line for who, line in self.said if who == node]
        return [next(i for i, line in enumerate(lines) if part in line) for part in parts]


@pytest.mark.filterwarnings("ignore:.*ray-bootstrap:ResourceWarning")  # Ray leaves its temporary file to the collector
class TestLauncher:
    """`ray up`, and then the autoscaler adding a worker, with Ray's code and no machine."""

    @pytest.fixture
    def laptop(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        home = tmp_path / "laptop"
        (home / ".ray").mkdir(parents=True)
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        monkeypatch.setenv("RAY_UP_enable_autoscaler_v2", "1")
        monkeypatch.setattr("ray.autoscaler._private.util._hash_cache", {})  # each `ray up` is a process of its own
        monkeypatch.chdir(ROOT)
        return home

    def up(self, prepared: dict[str, Any], shell: Shell, machines: Machines) -> None:
        prepared["provider"] = {"type": "external"}  # what is AWS's own needs boto3 and an account
        get_or_create_head_node(prepared, "cluster.yaml", False, False, True, None, _provider=machines, _runner=shell)

    def test_the_token_is_on_every_node_before_ray_starts(
        self, prepared: dict[str, Any], laptop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shell, machines = Shell(tmp_path), Machines()
        (laptop / ".ray/auth_token").write_text(TOKEN)
        self.up(prepared, shell, machines)
        head = tmp_path / "head"
        assert (head / ".ray/auth_token").read_text() == TOKEN
        places = shell.order(
            "head",
            "/.ray/auth_token",
            "chmod 600",
            "bash ~/raysweep/cluster-environment.sh",
            "mlflow server",
            "ray start --head",
        )
        assert places == sorted(places)
        assert TOKEN not in "".join(line for _, line in shell.said)

        monkeypatch.setenv("HOME", str(head))  # from here on the head speaks: its autoscaler starts a worker
        machines.tags["worker"] = {}
        asked = json.loads((head / "ray_bootstrap_config.yaml").read_text())
        installer = RayInstaller(machines, AutoscalingConfig(asked), process_runner=shell)
        installer.install_ray(Instance(cloud_instance_id="worker", instance_type="gpu_worker"), "10.0.0.1")
        assert (tmp_path / "worker/.ray/auth_token").read_text() == TOKEN
        assert (tmp_path / "worker/raysweep/raysweep/run.py").exists()
        places = shell.order(
            "worker", "/.ray/auth_token", "chmod 600", "bash ~/raysweep/cluster-environment.sh", "ray start --address="
        )
        assert places == sorted(places)
        start = next(line for who, line in shell.said if who == "worker" and "ray start --address=" in line)
        assert all(part in start for part in ("RAY_AUTH_MODE=token", "RAY_HEAD_IP=10.0.0.1", '{"CPU":4,"GPU":1}'))

    def test_without_a_token_nothing_is_sent(self, prepared: dict[str, Any], laptop: Path, tmp_path: Path) -> None:
        shell = Shell(tmp_path)
        with pytest.raises(FileNotFoundError, match="auth_token"):
            self.up(prepared, shell, Machines())
        assert shell.said == []


def free_port() -> int:
    """A free one below 10002, where Ray's range for worker processes begins."""
    for port in range(7000 + os.getpid() % 2000, 10000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise AssertionError("no free port")


class LocalRay:
    """A real Ray of this test's own, on this machine: `ray start --block` in a session that we alone end."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self.started: list[subprocess.Popen[bytes]] = []
        (home / ".ray").mkdir()
        token = home / ".ray/auth_token"
        token.write_text(TOKEN)
        token.chmod(stat.S_IRUSR | stat.S_IWUSR)
        (home / "raysweep-venv").symlink_to(Path(sys.executable).parent.parent)
        kept = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        self.env = {**kept, "HOME": str(home), "RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}

    def start(self, resources: dict[str, int], *words: str) -> None:
        env = {**self.env, "RAY_OVERRIDE_RESOURCES": json.dumps(resources)}
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *words]
        log = self.home / f"node{len(self.started)}.log"
        with log.open("wb") as out:
            self.started.append(subprocess.Popen(command, env=env, stdout=out, stderr=out, start_new_session=True))
        deadline = time.monotonic() + 60
        while "Ray runtime started" not in log.read_text():
            assert self.started[-1].poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.2)

    def run(self, words: list[str], **env: str) -> subprocess.CompletedProcess[str]:
        """Run with the cluster's address; `env` on top."""
        there = {**self.env, "RAY_ADDRESS": f"127.0.0.1:{self.port}", **env}
        return subprocess.run(words, env=there, capture_output=True, text=True, timeout=60)

    def stop(self) -> None:
        """Ends the processes of the sessions started here. Never `ray stop`, which ends everybody's."""
        for process in reversed(self.started):
            for sign in (signal.SIGTERM, signal.SIGKILL):
                for pid in _session(process.pid):
                    _signal(pid, sign)
                deadline = time.monotonic() + 5
                while _session(process.pid) - {process.pid} and time.monotonic() < deadline:
                    time.sleep(0.1)
            process.wait(timeout=10)


def _signal(pid: int, sign: signal.Signals) -> None:
    try:
        os.kill(pid, sign)
    except ProcessLookupError:
        return


def _session(leader: int) -> set[int]:
    """Processes of the session, from /proc: the sixth field of stat, after the name in parentheses."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z" and int(fields[3]) == leader:
            found.add(int(entry.parent.name))
    return found


ASK = """
from ray._private.services import canonicalize_bootstrap_address_or_die
from ray._raylet import GcsClient
client = GcsClient(address=canonicalize_bootstrap_address_or_die("auto"))
assert client.internal_kv_get(b"session_name", b"session", timeout=20)
"""
"""What every Ray process does first. A refused `ray start` or `ray.init` asks again for 20 s, this asks once."""

JOIN = """
import json, ray
ray.init("auto", logging_level="ERROR", log_to_driver=False)
from ray._private.state import state
print(json.dumps([ray.cluster_resources(), state.get_max_resources_from_cluster_config()]))
"""


@pytest.fixture(scope="module")
def ray_here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRay]:
    here = LocalRay(tmp_path_factory.mktemp("h"))
    short = Path("/tmp") / f"rs{os.getpid()}"  # Ray's sockets must have short paths
    quiet = ("--include-dashboard=false", "--object-store-memory=80000000", "--disable-usage-stats")
    try:
        here.start({"CPU": 1}, "--head", f"--port={here.port}", f"--temp-dir={short}", *quiet)
        yield here
    finally:
        here.stop()
        shutil.rmtree(short, ignore_errors=True)


@pytest.fixture(scope="module")
def capacity_told(ray_here: LocalRay) -> LocalRay:
    """The head's last start command, word for word, has told Ray how large the cluster may grow."""
    asked = prepare_config(copy.deepcopy(read()))
    (ray_here.home / "ray_bootstrap_config.yaml").write_text(json.dumps(asked))
    done = ray_here.run(["bash", "-c", asked["head_start_ray_commands"][-1]])
    assert done.returncode == 0, done.stderr
    return ray_here


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="stops its processes through /proc")
class TestRealRay:
    """One machine, real processes: who has the token is let in, who has not is refused."""

    def test_a_cluster_without_a_gpu_yet_accepts_a_gpu_plan(self, capacity_told: LocalRay) -> None:
        done = capacity_told.run([sys.executable, "-c", JOIN])
        assert done.returncode == 0, done.stderr
        now, later = json.loads(done.stdout.splitlines()[-1])
        assert now["CPU"] == 1
        assert "GPU" not in now
        assert later == {"CPU": 33, "GPU": 8}
        assert allot(now, later, per_cell=1).concurrency == 8
        assert allot(now, later, per_cell=4).device == "GPU"
        with pytest.raises(UserError, match="8 GPUs"):
            allot(now, later, per_cell=9)

    @pytest.mark.parametrize(
        "how", [{"RAY_AUTH_TOKEN": "f" * 64}, {"RAY_AUTH_MODE": "disabled"}], ids=["wrong", "none"]
    )
    def test_who_has_not_the_token_is_refused(self, ray_here: LocalRay, how: dict[str, str]) -> None:
        done = ray_here.run([sys.executable, "-c", ASK], **how)
        assert done.returncode != 0
        assert "InvalidAuthToken" in done.stderr
        assert ray_here.run([sys.executable, "-c", ASK]).returncode == 0

    def test_a_worker_with_the_token_joins(self, ray_here: LocalRay) -> None:
        ray_here.start({"CPU": 4, "GPU": 1}, f"--address=127.0.0.1:{ray_here.port}", "--object-store-memory=80000000")
        now = json.loads(ray_here.run([sys.executable, "-c", JOIN]).stdout.splitlines()[-1])[0]
        assert (now["CPU"], now["GPU"]) == (5, 1)
