"""The devices of a cluster while a launch runs. Real leases, no Ray."""

from types import SimpleNamespace

import pytest

from raysweep.engine import device_watch
from raysweep.engine.device_watch import DeviceWatch
from raysweep.engine.resources import Allotment, allot
from tests.engine.test_task_dispatcher import sides  # noqa: F401  (a fixture)


class Cluster:
    """A cluster whose machines come and go, and a clock."""

    def __init__(self, monkeypatch):
        self.now, self.later, self.time = {"CPU": 1.0}, {}, 100.0
        monkeypatch.setattr(device_watch, "resized", lambda allotment: allotment.resized(self.now, self.later))
        monkeypatch.setattr(device_watch, "time", SimpleNamespace(monotonic=lambda: self.time))

    def after(self, seconds, watch, **now):
        self.time += seconds
        self.now = {name: float(count) for name, count in now.items()}
        return watch.look()


@pytest.fixture
def cluster(monkeypatch):
    return Cluster(monkeypatch)


@pytest.fixture
def heard(sides, monkeypatch):  # noqa: F811
    """What the listener is told of devices."""
    heard = []
    monkeypatch.setattr(sides[0].dispatcher.listener, "devices", heard.append)
    return heard


def test_more_machines_are_used_and_fewer_are_noticed(sides, cluster, heard):  # noqa: F811
    dispatcher = sides[0].dispatcher
    watch = DeviceWatch(dispatcher, allot(cluster.now, {}, 1))
    assert cluster.after(2, watch, CPU=3).concurrency == dispatcher.devices == 3
    assert cluster.after(0.5, watch, CPU=4).concurrency == 3  # not every moment
    assert cluster.after(2, watch, CPU=1).concurrency == 1
    cluster.after(2, watch, CPU=1)
    assert [seen.present for seen in heard] == [1, 3, 1]  # told once each
    assert dispatcher.outcome.devices == "up to 3 CPUs"


def test_a_cluster_that_does_not_change_is_named_as_it_is(sides, cluster, heard):  # noqa: F811
    watch = DeviceWatch(sides[0].dispatcher, allot({"CPU": 2.0}, {}, 1))
    cluster.after(2, watch, CPU=2)
    assert sides[0].dispatcher.outcome.devices == "2 CPUs"
    assert len(heard) == 1


@pytest.mark.parametrize(("later", "patience"), [({}, 600), ({"CPU": 8.0}, 3600)])
def test_a_launch_without_devices_waits_for_a_while_and_then_says_so(sides, cluster, heard, later, patience):  # noqa: F811
    dispatcher = sides[0].dispatcher
    cluster.later = later
    watch = DeviceWatch(dispatcher, Allotment("CPU", 1, 1, 1, 1))
    cluster.after(2, watch, GPU=0)
    cluster.after(patience - 1, watch)
    assert not dispatcher.stopping
    cluster.after(2, watch, CPU=1)  # one came back in time
    cluster.after(2, watch)
    cluster.after(patience + 1, watch)
    assert dispatcher.outcome.stopped.startswith("the cluster has had no CPU for ")
