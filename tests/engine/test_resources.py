"""Dividing a cluster: nothing may wait for something that cannot come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysweep.core.errors import UserError
from raysweep.engine.resources import allot


def test_one_cpu_a_cell_on_a_laptop():
    allotment = allot({"CPU": 2.0}, {}, per_cell=1, cells=15)
    assert (allotment.device, allotment.concurrency, allotment.trial_resources) == ("CPU", 2, {"CPU": 1})


def test_gpus_come_first():
    allotment = allot({"CPU": 16.0, "GPU": 4.0}, {}, per_cell=2, cells=15)
    assert (allotment.device, allotment.concurrency) == ("GPU", 2)
    assert allotment.worker_resources["GPU"] == 1


def test_a_cluster_that_has_no_gpu_yet_but_may_scale_up():
    allotment = allot({"CPU": 8.0}, {"CPU": 40, "GPU": 8}, per_cell=1, cells=100)
    assert (allotment.device, allotment.concurrency) == ("GPU", 8)


def test_more_than_there_is_is_refused_with_both_numbers():
    with pytest.raises(UserError, match=r"needs 3 devices, but the cluster has 2 CPUs"):
        allot({"CPU": 2.0}, {}, per_cell=3, cells=1)
    with pytest.raises(UserError, match=r"`devices-per-trial >= 1` must hold, but got 0"):
        allot({"CPU": 2.0}, {}, per_cell=0, cells=1)


@given(st.integers(1, 64), st.integers(0, 16), st.integers(1, 16), st.integers(1, 500))
def test_everything_running_at_once_fits(cpus, gpus, per_cell, cells):
    """No deadlock: drivers and workers of all concurrent cells fit into the cluster together."""
    capacity = {"CPU": float(cpus), "GPU": float(gpus)}
    if per_cell > (gpus or cpus):
        return
    allotment = allot(capacity, {}, per_cell, cells)
    workers = per_cell if per_cell > 1 else 0
    for name, amount in capacity.items():
        one = allotment.trial_resources.get(name, 0) + workers * allotment.worker_resources.get(name, 0)
        assert allotment.concurrency * one <= amount + 1e-9
    assert 1 <= allotment.concurrency <= cells
