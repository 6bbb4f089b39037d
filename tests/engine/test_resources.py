"""Dividing a cluster: nothing may wait for something that cannot come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysweep.core.errors import UserError
from raysweep.engine.resources import allot


def test_one_cpu_a_cell_on_a_laptop():
    allotment = allot({"CPU": 2.0}, {}, per_cell=1)
    assert (allotment.device, allotment.concurrency, allotment.trial_resources) == ("CPU", 2, {"CPU": 1})


def test_gpus_come_first():
    allotment = allot({"CPU": 16.0, "GPU": 4.0}, {}, per_cell=2)
    assert (allotment.device, allotment.concurrency) == ("GPU", 2)
    assert allotment.worker_resources["GPU"] == 1


def test_a_cluster_that_has_no_gpu_yet_but_may_scale_up():
    allotment = allot({"CPU": 8.0}, {"CPU": 40, "GPU": 8}, per_cell=1)
    assert (allotment.device, allotment.concurrency) == ("GPU", 8)


def test_more_than_there_is_is_refused_with_both_numbers():
    with pytest.raises(UserError, match=r"needs 3 devices, but the cluster has 2 CPUs"):
        allot({"CPU": 2.0}, {}, per_cell=3)
    with pytest.raises(UserError, match=r"`devices-per-trial >= 1` must hold, but got 0"):
        allot({"CPU": 2.0}, {}, per_cell=0)


def test_a_cluster_whose_workers_have_not_come_is_refused_with_what_to_do():
    with pytest.raises(
        UserError, match=r"no device: start its workers .* or let the launch wait .* --wait-for-devices"
    ):
        allot({"node:1": 1.0}, {}, per_cell=1)


def test_machines_that_come_and_go_change_what_runs_at_once():
    began = allot({"CPU": 1.0}, {}, per_cell=1)
    grown = began.resized({"CPU": 5.0}, {})
    assert (grown.concurrency, grown.present, grown.devices) == (5, 5, "5 CPUs")
    assert grown.resized({"CPU": 1.0}, {}) == began
    gone = grown.resized({}, {})
    assert (gone.concurrency, gone.total, gone.devices) == (1, 0, "0 CPUs")  # one waits for a device to come back
    pairs = allot({"GPU": 2.0}, {}, per_cell=2).resized({"GPU": 7.0}, {})
    assert (pairs.concurrency, pairs.devices) == (3, "7 GPUs")


def test_what_an_autoscaler_may_bring_is_asked_for_and_said():
    allotment = allot({"CPU": 8.0}, {"CPU": 40, "GPU": 8}, per_cell=1).resized({"GPU": 2.0}, {"CPU": 40, "GPU": 8})
    assert (allotment.concurrency, allotment.devices) == (8, "2 GPUs now, at most 8")


def test_a_launch_that_began_on_cpus_stays_there_and_counts_the_gpus_it_leaves_alone():
    mixed = allot({"CPU": 1.0}, {}, per_cell=1).resized({"CPU": 5.0, "GPU": 1.0}, {})
    assert (mixed.device, mixed.concurrency, mixed.other_gpus) == ("CPU", 5, 1)


@given(st.integers(1, 64), st.integers(0, 16), st.integers(1, 16))
def test_everything_running_at_once_fits(cpus, gpus, per_cell):
    """No deadlock: drivers and workers of all concurrent cells fit into the cluster together."""
    capacity = {"CPU": float(cpus), "GPU": float(gpus)}
    if per_cell > (gpus or cpus):
        return
    allotment = allot(capacity, {}, per_cell)
    workers = per_cell if per_cell > 1 else 0
    for name, amount in capacity.items():
        one = allotment.trial_resources.get(name, 0) + workers * allotment.worker_resources.get(name, 0)
        assert allotment.concurrency * one <= amount + 1e-9
    assert allotment.concurrency >= 1
