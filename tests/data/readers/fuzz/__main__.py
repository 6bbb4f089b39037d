"""Damage small data sets of every layout and see that each ends in records and problems, or in one line for people.

    python -m tests.data.readers.fuzz --minutes 42 --seed 1
    python -m tests.data.readers.fuzz --seed 1 --only 12345 [--keep FOLDER]

Input number N of a seed is always the same. What is found: any other exception, a process that dies, more than
`SECONDS` of one core for an input, more than `GROWTH` bytes of memory, a file opened outside of the folder or written
in it. A process does the work, another one notes what becomes of it. TMPDIR=/dev/shm spares the disk.
"""

import argparse
import faulthandler
import mmap
import os
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from random import Random

from tests.data.readers.fuzz.contract import Watch
from tests.data.readers.fuzz.targets import Target, lay_out, targets

SECONDS, WALL, GROWTH = 10.0, 40.0, 2 << 30
STATE = struct.Struct("QQ")


class Bench:
    """One process's folders, data sets and findings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "whole").mkdir(parents=True)
        self.outside = folder / "outside"
        self.outside.mkdir()
        for name in ("secret.png", "secret.mp4"):
            (self.outside / name).write_bytes(b"a secret")
        self.targets = targets(folder / "whole")
        self.watch = Watch()

    def target(self, number: int) -> Target:
        return self.targets[number % len(self.targets)]

    def try_input(self, seed: int, number: int, keep: Path | None = None) -> str:
        """Nothing, or what was found."""
        draw = Random(f"{seed} {number}")
        target = self.target(number)
        root, written = self.folder / "set" / target.name, self.folder / "written"
        for path in (root.parent, written):
            shutil.rmtree(path, ignore_errors=True)
        root.mkdir(parents=True)
        lay_out(draw, target, root)
        if keep:
            shutil.copytree(root, keep / f"{seed}-{number}", symlinks=True, dirs_exist_ok=True)
        return self._ask(target, draw, root, written)

    def _ask(self, target: Target, draw: Random, root: Path, written: Path) -> str:
        self.watch.trespasses.clear()
        self.watch.forbidden, self.watch.readable = str(self.outside), str(root)
        if target.name == "prepared_labels":  # which writes the list that it reads
            self.watch.readable = str(self.outside)
        started = time.process_time()
        try:
            target.ask(draw, root, written / target.name)
        except Exception:  # noqa: BLE001  whatever it is, it was found
            return traceback.format_exc(limit=-8)
        finally:
            self.watch.forbidden = ""
        spent = time.process_time() - started
        if spent > SECONDS:
            return f"{spent:.0f} seconds"
        if self.watch.trespasses:
            return f"outside: {self.watch.trespasses[:3]}"
        return ""


def _serve(folder: Path, seed: int, state: mmap.mmap, number: int, until: float) -> None:
    """Try inputs from `number` on. `state`: the number of this input, and how many findings there were."""
    bench = Bench(folder)
    limit = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + GROWTH
    while time.time() < until:
        _, found = STATE.unpack(state[:])
        state[:] = STATE.pack(number, found)
        words = bench.try_input(seed, number)
        if not words and resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > limit:
            words, limit = f"more than {GROWTH >> 20} MB of memory", 2 * limit
        if words:
            print(f"FOUND by input {number} ({bench.target(number).name}):\n{words}", flush=True)
            state[:] = STATE.pack(number, found + 1)
        number += 1
    state[:] = STATE.pack(number, STATE.unpack(state[:])[1])


def _watch_child(child: int, state: mmap.mmap) -> str:
    """What ended the process before its time; nothing where it did what it should."""
    last, since = -1, time.time()
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return "" if status == 0 else f"the process ended with status {status}"
        number, _ = STATE.unpack(state[:])
        if number != last:
            last, since = number, time.time()
        if time.time() - since > WALL and last >= 0:
            os.kill(child, signal.SIGABRT)  # faulthandler says where it hangs
            os.waitpid(child, 0)
            return f"it hangs for more than {WALL:.0f} seconds"
        time.sleep(0.2)


def run(minutes: float, seed: int, first: int) -> int:
    """How many inputs were found to break the contract."""
    state, start = mmap.mmap(-1, STATE.size), time.time()
    folder = Path(tempfile.mkdtemp(prefix="raysweep-fuzz-"))
    number, found, until = first, 0, start + 60 * minutes
    while time.time() < until:
        state[:] = STATE.pack(number, found)
        child = os.fork()
        if not child:
            faulthandler.enable()
            _serve(folder, seed, state, number, until)
            os._exit(0)
        words = _watch_child(child, state)
        number, found = STATE.unpack(state[:])
        if words:
            print(f"FOUND by input {number}: {words}", flush=True)
            number, found = number + 1, found + 1
    shutil.rmtree(folder, ignore_errors=True)
    minutes = (time.time() - start) / 60
    print(f"{number - first:,} inputs in {minutes:.1f} minutes, seed {seed}: {found} findings", flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--only", type=int, help="this input alone, in this process")
    parser.add_argument("--keep", type=Path, help="leave the damaged data set of --only here")
    asked = parser.parse_args()
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", module="PIL")  # of metadata and of sizes, as everybody sees them
    if asked.only is None:
        return int(run(asked.minutes, asked.seed, asked.first) > 0)
    with tempfile.TemporaryDirectory() as folder:
        words = Bench(Path(folder) / "bench").try_input(asked.seed, asked.only, asked.keep)
    print(words or "nothing found")
    return int(bool(words))


if __name__ == "__main__":
    sys.exit(main())
