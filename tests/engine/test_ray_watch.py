"""Whether Ray answers. Real sockets; `tests/faults/test_lost_ray.py` kills a real Ray."""

import signal
import socket
import threading
import time
from types import SimpleNamespace

import pytest

from raysweep.core.errors import UserError
from raysweep.engine import ray_watch
from raysweep.engine.interrupt import CtrlC
from raysweep.engine.ray_watch import RayWatch, is_closed


@pytest.fixture
def raylet(monkeypatch):
    """The raylet's end of the watch's connection; its control service answers."""
    here, there = socket.socketpair()
    here.setblocking(False)
    monkeypatch.setattr(ray_watch, "raylet_connection", lambda: here)
    monkeypatch.setattr(ray_watch, "gcs_answers", lambda seconds: True)
    monkeypatch.setattr(ray_watch, "LOOK_EVERY", 0.01)
    with here, there:
        yield there


def test_a_connection_is_closed_when_the_other_end_is():
    here, there = socket.socketpair()
    with here:
        here.setblocking(False)
        assert not is_closed(here)
        there.send(b"x")
        assert not is_closed(here)
        assert here.recv(1) == b"x"
        there.close()
        assert is_closed(here)


def test_a_raylet_that_dies_is_told_once(raylet):
    told, event = [], threading.Event()
    with RayWatch(lambda reason: (told.append(reason), event.set()), "again"):
        assert not event.wait(0.2)
        raylet.close()
        assert event.wait(10)
        time.sleep(0.1)
    assert told == ["Ray's process on this machine (raylet) has died: it was killed, or memory ran out"]


def test_a_head_may_be_silent_for_a_while_but_not_for_long(raylet, monkeypatch):
    now, answers = [0.0], [False]
    monkeypatch.setattr(ray_watch, "gcs_answers", lambda seconds: answers[0])
    monkeypatch.setattr(ray_watch, "gcs_address", lambda: "10.0.0.1:6379")
    monkeypatch.setattr(ray_watch, "time", SimpleNamespace(monotonic=lambda: now[0]))
    watch = RayWatch(lambda reason: None, "again")
    watch._raylet = ray_watch.raylet_connection()
    assert watch.trouble() == ""
    now[0] = 15
    assert watch.trouble() == ""
    answers[0] = True
    assert watch.trouble() == ""
    answers[0] = False
    now[0] = 30
    assert watch.trouble() == ""  # counted from here again
    now[0] = 51
    assert watch.trouble() == "the cluster's head (10.0.0.1:6379) has not answered for 25 s"


def test_the_main_thread_is_interrupted_and_knows_why():
    presses = []
    with CtrlC(lambda: presses.append(1)) as ctrl_c:
        threading.Timer(0.05, ctrl_c.abandon, ["the head is gone"]).start()
        with pytest.raises(KeyboardInterrupt):
            time.sleep(10)
    assert ctrl_c.abandoned == "the head is gone"
    assert not presses  # it is no Ctrl-C
    with pytest.raises(KeyboardInterrupt):
        ctrl_c.check()  # again, where Python has dropped the first
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_raylet_that_closes_once_the_context_is_left_is_no_loss(raylet, monkeypatch):
    """As at the end of every launch: `ray.shutdown` ends a local raylet."""
    told, inside, leave = [], threading.Event(), threading.Event()

    def slow(connection):
        inside.set()
        leave.wait(10)
        return True

    monkeypatch.setattr(ray_watch, "is_closed", slow)
    with RayWatch(told.append, "again"):
        assert inside.wait(10)
    leave.set()
    time.sleep(0.1)
    assert told == []


def test_a_raylet_that_is_gone_already_is_a_sentence(monkeypatch):
    def refused():
        raise ConnectionRefusedError

    monkeypatch.setattr(ray_watch, "raylet_connection", refused)
    with pytest.raises(UserError, match=r"\(raylet\) has died"), RayWatch(print, "again"):
        pass
