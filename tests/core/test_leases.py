"""Leases with real processes: never two at once, the dead are replaced, the frozen find out."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from raysweep.store.lease_holders import Watch
from raysweep.store.leases import Leases
from raysweep.store.process import Process
from raysweep.store.store import Store

ELSEWHERE = replace(Process.this(), host="0" * 16)
"""This process as it would look from another machine."""


@pytest.fixture(params=["folder", "file URL"])
def url(request, tmp_path):
    return str(tmp_path / "store") if request.param == "folder" else f"file://{tmp_path}/store"


@pytest.fixture
def make(url, tmp_path):
    """Makes holders, and closes them at the end."""
    made = []

    def make_one(owner, **words):
        made.append(Leases(Store(url, tmp_path / "cache"), owner, **words))
        return made[-1]

    yield make_one
    for leases in made:
        leases.close()


@pytest.fixture
def clock(monkeypatch):
    """The observers' clock, set by hand."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr("raysweep.store.lease_holders.monotonic", lambda: clock.now)
    return clock


@pytest.fixture
def start(url, tmp_path):
    """Starts a real process that runs a script; its words after `say` can be read line by line."""
    running = []
    head = (
        "import os, sys, time; from dataclasses import replace\n"
        "from raysweep.store.leases import Leases; from raysweep.store.process import Process\n"
        "from raysweep.store.store import Store\n"
        "store = Store(sys.argv[1], sys.argv[2])\n"
        "def say(*words): print(*words, flush=True)\n"
    )

    def start_one(script):
        parts = [sys.executable, "-c", head + script, url, str(tmp_path / "cache")]
        running.append(subprocess.Popen(parts, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True))
        return running[-1]

    yield start_one
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stdin.close()


def taken_after_a_while(leases, keys):
    """Try until it works."""
    while leases.take(keys) is not None:
        time.sleep(0.02)


class TestTwoHolders:
    def test_all_or_none(self, make):
        one, two = make("launch one"), make("launch two")
        assert one.take(["a", "b"]) is None
        assert one.take(["b", "c"]) is None  # what we have we may take again
        assert two.take(["d", "c"]) == f"launch one (process {os.getpid()} on {os.uname().nodename})"
        assert one.take(["d"]) is None
        one.release(["c", "d", "never taken"])
        assert two.take(["d", "c"]) is None
        assert one.take(["a", "d"]).startswith("launch two")
        assert not one.lost
        assert not two.lost

    def test_closing_gives_everything_back_and_leaves_nothing(self, make):
        one, two = make("one"), make("two")
        assert one.take(["a", "b"]) is None
        one.close()
        assert two.take(["a", "b"]) is None
        two.close()
        two.close()
        assert two.store.files.sizes("leases") == {}
        assert two.store.files.sizes("holders") == {}
        assert one.take(["a"]) is None  # and may begin again

    def test_nothing_is_written_before_the_first_lease(self, make, tmp_path):
        leases = make("one")
        leases.release(["a"])
        leases.close()
        assert not (tmp_path / "store").exists()

    def test_no_keys_are_no_trouble(self, make):
        assert make("one").take([]) is None


class TestTheDead:
    def test_a_killed_holder_of_this_machine_is_replaced_at_once(self, make, start):
        holder = start("Leases(store, 'one').take(['a']); say('taken'); time.sleep(600)")
        assert holder.stdout.readline() == "taken\n"
        mine = make("two", ttl=1e9)
        assert mine.take(["a"]).startswith(f"one (process {holder.pid}")
        holder.send_signal(signal.SIGKILL)
        taken_after_a_while(mine, ["a"])  # as soon as the system has ended it
        assert make("three", ttl=1e9).take(["a"]).startswith("two")

    def test_a_process_number_that_was_given_again(self, make):
        """A living process of the same number is another one when it started later."""
        dead = make("one", process=replace(Process.this(), start=Process.this().start - 1))
        assert dead.take(["a"]) is None
        assert make("two", ttl=1e9).take(["a"]) is None

    def test_a_holder_of_another_machine_lives_as_long_as_its_heart_beats(self, make, clock):
        far = make("far", beat=0.02, process=ELSEWHERE)
        assert far.take(["a"]) is None
        near = make("near", ttl=30.0)
        for _ in range(10):
            before = beat_of(far)
            while beat_of(far) in (before, None):
                time.sleep(0.005)
            assert near.take(["a"]) is not None
            clock.now += 25
        assert not far.lost

    def test_a_silent_holder_of_another_machine_is_replaced_after_a_while(self, make, clock):
        far = make("far", beat=1e9, process=ELSEWHERE)
        assert far.take(["a"]) is None
        near = make("near", ttl=30.0)
        for _ in range(3):
            assert near.take(["a"]).startswith("far")
            clock.now += 10
        assert near.take(["a"]) is None

    def test_a_frozen_holder_finds_out(self, make, start):
        holder = start(
            "leases = Leases(store, 'far', beat=0.1, process=replace(Process.this(), host='0' * 16))\n"
            "leases.take(['a', 'b']); say('taken')\n"
            "while not leases.lost: time.sleep(0.01)\n"
            "say('lost'); say(leases.take(['a'])); say(leases.take(['b', 'c'])); sys.stdin.readline()\n"
        )
        assert holder.stdout.readline() == "taken\n"
        holder.send_signal(signal.SIGSTOP)
        near = make("near", ttl=1.0)
        taken_after_a_while(near, ["a"])
        holder.send_signal(signal.SIGCONT)
        assert holder.stdout.readline() == "lost\n"
        assert holder.stdout.readline().startswith("near")
        assert holder.stdout.readline() == "None\n"  # it goes on with what others have not taken
        assert near.take(["b"]).startswith("far")
        assert not near.lost


class TestTrouble:
    def test_a_store_out_of_reach_is_borne_and_the_heart_beats_on(self, make, monkeypatch):
        leases = make("one", beat=0.02)
        assert leases.take(["a"]) is None
        failing, tried = threading.Event(), threading.Event()
        write = leases.store.files.write

        def unreachable(name, content):
            if failing.is_set():
                tried.set()
                raise ConnectionError("no route")
            write(name, content)

        monkeypatch.setattr(leases.store.files, "write", unreachable)
        failing.set()
        assert tried.wait(60)
        before = beat_of(leases)
        failing.clear()
        while beat_of(leases) == before:
            time.sleep(0.01)
        assert not leases.lost

    def test_a_take_that_fails_halfway_takes_nothing(self, make, monkeypatch):
        leases, other = make("one"), make("two")
        assert leases.take(["x"]) is None
        write = leases.store.files.write

        def fails_at_b(name, content):
            if name.startswith("leases/b/"):
                raise OSError("broken")
            write(name, content)

        monkeypatch.setattr(leases.store.files, "write", fails_at_b)
        with pytest.raises(OSError, match="broken"):
            leases.take(["a", "b", "c"])
        assert other.take(["a", "b", "c"]) is None
        assert other.take(["x"]).startswith("one")

    def test_half_a_holders_file_counts_as_alive_until_it_is_silent(self, make):
        one = make("one", beat=1e9)
        assert one.take(["a"]) is None
        (name,) = one.store.files.names("holders")
        one.store.files.write(f"holders/{name}", b'{"owner": "o')
        two = make("two", ttl=0.3)
        assert two.take(["a"]).startswith("a launch without a readable record")
        taken_after_a_while(two, ["a"])


def test_who_holds_what_can_be_seen_without_writing(make):
    one = make("one", process=ELSEWHERE)
    dead = make("dead", process=replace(Process.this(), start=1))
    assert one.take(["a", "b"]) is None
    assert dead.take(["c"]) is None
    store, before = one.store, one.store.files.sizes("")
    watch = Watch(store)
    (holder,) = watch.holders()
    assert holder.owner == "one"
    assert 0 <= time.time() - holder.since < 3600
    claims = watch.all_claims()
    assert set(claims) == {"a", "b", "c"}
    assert watch.claims(["a", "z"]) == {"a": frozenset({holder.token})}
    assert set(store.files.sizes("")) == set(before)


def beat_of(leases):
    try:
        return json.loads(leases.store.files.read(f"holders/{leases._holder.token}.json")).get("beat")
    except ValueError:  # half a file
        return None


STRESS = """
import random
leases = Leases(store, f'worker {sys.argv[3]}', beat=0.5)
waiting = [f'k{i}' for i in range(int(sys.argv[4]))]
random.Random(int(sys.argv[3])).shuffle(waiting)
inside = os.path.join(sys.argv[2], 'inside')
while waiting:
    key = waiting.pop()
    if leases.take([key, 'x' + key]) is not None:
        waiting.insert(0, key)
        time.sleep(random.uniform(0, 0.002))
        continue
    handle = os.open(os.path.join(inside, key), os.O_CREAT | os.O_EXCL)  # fails when another one is inside
    time.sleep(random.uniform(0, 0.002))
    os.close(handle)
    os.unlink(os.path.join(inside, key))
    leases.release([key, 'x' + key])
leases.close()
say('done')
"""


def test_critical_sections_never_overlap(url, tmp_path):
    """Four processes, every key wanted by each of them."""
    keys = "200" if "://" not in url else "60"
    (tmp_path / "cache" / "inside").mkdir(parents=True)
    head = (
        "import os, sys, time\nfrom raysweep.store.leases import Leases\nfrom raysweep.store.store import Store\n"
        "store = Store(sys.argv[1], sys.argv[2])\ndef say(*words): print(*words, flush=True)\n"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", head + STRESS, url, str(tmp_path / "cache"), str(number), keys],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    assert [worker.communicate()[0] for worker in workers] == ["done\n"] * 4
    assert Store(url, tmp_path / "cache").files.sizes("leases") == {}
    assert Store(url, tmp_path / "cache").files.sizes("holders") == {}
