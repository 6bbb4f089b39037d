"""Waiting for the devices that a launch asks for. No Ray."""

from types import SimpleNamespace

import pytest

from raysweep.core.errors import UserError
from raysweep.engine import device_wait


class Cluster:
    """Devices by the second; records what the autoscaler is asked for."""

    def __init__(self, monkeypatch, *by_second, later=None):
        self.by_second, self.time, self.asked, self.said = list(by_second), 0.0, [], []
        monkeypatch.setattr(device_wait.ray, "cluster_resources", lambda: self.by_second[0])
        monkeypatch.setattr(device_wait, "most_resources", lambda: later or {})
        monkeypatch.setattr(device_wait, "request_resources", lambda bundles: self.asked.append(bundles))
        clock = SimpleNamespace(monotonic=lambda: self.time, sleep=self.sleep)
        monkeypatch.setattr(device_wait, "time", clock)

    def sleep(self, seconds):
        self.time += seconds
        if len(self.by_second) > 1:
            del self.by_second[0]

    def wait(self, count):
        device_wait.wait_for_devices(count, self.said.append)


def test_it_waits_until_they_are_there_and_says_what_it_sees(monkeypatch):
    cluster = Cluster(monkeypatch, {"CPU": 1.0}, {"CPU": 1.0}, {"CPU": 2.0}, {"CPU": 3.0})
    cluster.wait(3)
    assert cluster.time == 3
    assert cluster.said == ["waiting for 3 CPUs: the cluster has 1", "waiting for 3 CPUs: the cluster has 2"]
    assert cluster.asked == []


def test_the_autoscaler_is_asked_for_them_and_released(monkeypatch):
    later = {"CPU": 8.0, "GPU": 2.0}
    cluster = Cluster(monkeypatch, {"CPU": 1.0}, {"CPU": 5.0, "GPU": 2.0}, later=later)
    cluster.wait(2)
    assert cluster.said == ["waiting for 2 GPUs: the cluster has 0"]
    assert cluster.asked == [[{"GPU": 1}] * 2, []]


def test_a_head_with_one_cpu_is_no_device_once_a_gpu_has_come(monkeypatch):
    cluster = Cluster(monkeypatch, {"CPU": 1.0}, {"CPU": 5.0, "GPU": 1.0}, {"CPU": 9.0, "GPU": 2.0})
    cluster.wait(2)
    assert cluster.time == 2


def test_more_than_may_come_is_refused_at_once(monkeypatch):
    cluster = Cluster(monkeypatch, {"CPU": 1.0}, later={"CPU": 8.0, "GPU": 2.0})
    with pytest.raises(UserError, match=r"--wait-for-devices 3: this cluster has at most 2 GPUs"):
        cluster.wait(3)
    assert cluster.time == 0


def test_it_does_not_wait_for_ever(monkeypatch):
    cluster = Cluster(monkeypatch, {"CPU": 1.0})
    with pytest.raises(UserError, match=r"--wait-for-devices 2: the cluster has 1 CPU after 30 min"):
        cluster.wait(2)
