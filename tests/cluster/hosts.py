"""Hosts on one Linux machine: namespaces of network, processes, mounts, hostname, on a bridge that only they reach.

Each has its own file system (an overlay over this machine's, on its own disk image), sshd, /tmp, /dev/shm and address.
Needs root. Nothing on this machine itself is changed outside the folder of the hosts.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
PREFIX = "rsw"
"""Names of network namespaces begin with it."""
DEBIAN = "openssh-server openssh-client rsync sudo iproute2 iputils-ping tmux curl procps psmisc postgresql faketime"
PYTHON = "moto[server] psycopg[binary]"
SHARED = "/mnt/shared"
"""A folder that is the same on all hosts."""


class HostsError(Exception):
    """This machine cannot have hosts, or a command on a host failed."""


def call(*words: str | Path) -> str:
    """Run a command on this machine; its output. Raises HostsError if it fails."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode:
        raise HostsError(f"{shlex.join(map(str, words))} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def check_machine() -> None:
    """Raises HostsError, in one sentence, where hosts cannot be built."""
    if sys.platform != "linux" or os.geteuid():
        raise HostsError("this test builds hosts in namespaces: run it as root on Linux (sudo make test-cluster)")
    missing = [name for name in ("ip", "unshare", "nsenter", "mkfs.ext4", "apt-get") if not shutil.which(name)]
    if missing:
        raise HostsError(
            f"{', '.join(missing)} missing: apt-get install iproute2 util-linux e2fsprogs (Debian or Ubuntu)"
        )


@dataclass
class Hosts:
    """All hosts of one test, below `folder`, which lies on a file system of this machine that is not an overlay."""

    folder: Path
    addresses: dict[str, str] = field(default_factory=dict)

    def build(self) -> None:
        """Base layer, bridge. A base layer that is there already is used again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "shared").mkdir(exist_ok=True)
        (self.folder / "shared").chmod(0o1777)
        base, image = self.folder / "base", self._base_image()
        base.mkdir(exist_ok=True)
        new = not image.exists()
        if new:
            self._image(image, "4G")
        call("mount", "-o", "loop,noatime", image, base)
        if new:
            words = [HERE / "base_init.sh", base, sys.prefix, DEBIAN, PYTHON]
            try:
                call("unshare", "-m", "bash", *words)
            except HostsError:
                call("umount", base)
                image.unlink()
                raise
        call("ip", "netns", "add", f"{PREFIX}-hub")
        self._hub("link", "add", "br0", "type", "bridge")
        self._hub("link", "set", "br0", "up")

    def start(self, name: str, address: str, disk: str = "3G") -> None:
        """Switch a host on: with a new disk, or with its own where it was switched off."""
        space = f"{PREFIX}-{name}"
        if name not in self.addresses:
            self._connect(name, space, address)
            self._image(self.folder / f"{name}.img", disk)
            (self.folder / name).mkdir(exist_ok=True)
        wanted = [PROJECT, Path(sys.prefix), Path(sys.base_prefix)]
        visible = [
            str(path) for path in wanted if not any(path.is_relative_to(other) for other in wanted if other != path)
        ]
        words = [HERE / "host_init.sh", name, self.folder, self.folder / f"{name}.img", *visible]
        with (self.folder / f"{name}.log").open("ab") as log:
            start = ["ip", "netns", "exec", space, "unshare", "-m", "-p", "-u", "-i", "-f", "--kill-child=KILL", "bash"]
            process = subprocess.Popen([*start, *map(str, words)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       start_new_session=True)  # fmt: skip
        end = time.monotonic() + 30
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not children.read_text().split():
            self._still(process, name, end)
        (self.folder / f"{name}.pid").write_text(children.read_text().split()[0])
        while subprocess.run(
            ["ip", "netns", "exec", space, "bash", "-c", f"echo > /dev/tcp/{address}/22"], stderr=subprocess.DEVNULL
        ).returncode:
            self._still(process, name, end)

    def stop(self, name: str) -> None:
        """Switch a host off at once: all its processes are killed."""
        file = self.folder / f"{name}.pid"
        os.kill(int(file.read_text()), signal.SIGKILL)
        file.unlink()
        time.sleep(1)

    def cut(self, name: str) -> None:
        self._hub("link", "set", f"v-{name}", "down")

    def mend(self, name: str) -> None:
        self._hub("link", "set", f"v-{name}", "up")

    def words(self, name: str, command: str, user: str = "ubuntu") -> list[str]:
        """The command line that runs a shell command on a host, as this user in a login shell."""
        first = (self.folder / f"{name}.pid").read_text()
        inside = ["nsenter", "-t", first, "-a", "-r", "-w", "setsid", "-w"]
        return [*inside, "bash", "-c", command] if user == "root" else [*inside, "su", "-", user, "-c", command]

    def run(self, name: str, command: str, user: str = "ubuntu", seconds: float = 600, check: bool = True) -> str:
        """Output of a shell command on a host, errors included.

        Raises:
            HostsError: it failed (unless `check` is off) or took longer.
        """
        with subprocess.Popen(
            self.words(name, command, user), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace",
        ) as process:  # fmt: skip
            try:
                said, _ = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                raise HostsError(f"{name}: {command!r} took more than {seconds:.0f} s") from None
        if check and process.returncode:
            raise HostsError(f"{name}: {command!r} ended with {process.returncode}: {said.strip()[-1500:]}")
        return said

    def write(self, name: str, path: str, text: str, mode: str = "600", user: str = "ubuntu") -> None:
        """Write a small file on a host."""
        place = f"mkdir -p $(dirname {path}) && cat > {path} && chmod {mode} {path}"
        subprocess.run(self.words(name, place, user), input=text, text=True, check=True)

    def down(self, keep_base: bool = False) -> None:
        """Take everything away; of an earlier test that was killed, too."""
        for file in self.folder.glob("*.pid"):
            with suppress(ProcessLookupError, ValueError):
                os.kill(int(file.read_text()), signal.SIGKILL)
            file.unlink()
        time.sleep(1)
        for line in call("ip", "netns", "list").splitlines():
            if line.startswith(f"{PREFIX}-"):
                call("ip", "netns", "del", line.split()[0])
        if os.path.ismount(self.folder / "base"):
            call("umount", "-l", self.folder / "base")
        shutil.rmtree(self.folder / "shared", ignore_errors=True)
        for image in self.folder.glob("*.img"):
            if not (keep_base and image == self._base_image()):
                image.unlink()
        self.addresses.clear()

    def _base_image(self) -> Path:
        """Of what is installed in it: another list of packages is another file."""
        contents = f"{DEBIAN} {PYTHON} {sys.prefix} {(HERE / 'base_init.sh').read_text()}"
        return self.folder / f"base-{hashlib.sha256(contents.encode()).hexdigest()[:8]}.img"

    def _connect(self, name: str, space: str, address: str) -> None:
        call("ip", "netns", "add", space)
        self._hub("link", "add", f"v-{name}", "type", "veth", "peer", "name", "eth0", "netns", space)
        self._hub("link", "set", f"v-{name}", "master", "br0", "up")
        call("ip", "-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
        call("ip", "-n", space, "link", "set", "eth0", "up")
        call("ip", "-n", space, "link", "set", "lo", "up")
        self.addresses[name] = address

    def _hub(self, *words: str) -> None:
        call("ip", "-n", f"{PREFIX}-hub", *words)

    def _still(self, process: subprocess.Popen[bytes], name: str, end: float) -> None:
        if process.poll() is not None or time.monotonic() > end:
            raise HostsError(f"host {name} did not start: {(self.folder / f'{name}.log').read_text()[-500:]}")
        time.sleep(0.1)

    @staticmethod
    def _image(path: Path, size: str) -> None:
        call("truncate", "-s", size, path)
        call("mkfs.ext4", "-q", "-F", "-m", "0", path)
