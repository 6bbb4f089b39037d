"""What a trial reports, as Tune's callbacks and schedulers get it."""

import math

import pytest
from ray._private.dict import flatten_dict

from raysweep.engine.messages import Began, Done, Epoch, Failed, Finished, HostUnfit, Idle, Unusable, packed, unpacked
from raysweep.pipeline import FitEvent

EVENT = FitEvent("e", "M_A", 2, 5, {"train/loss": 0.1 + 0.2, "val/nll": math.inf}, True, "t", 4, 1.5, 60, "x86_64")


@pytest.mark.parametrize(
    "message",
    [
        Began("a" * 64),
        Began("a" * 64, "w2", "f" * 56),
        Epoch("a" * 64, EVENT, 3.25),
        Done("a" * 64, 1.0, {"validation/macro_f1": 1 / 3}),
        Failed("DegenerateLoss: β", "a" * 64, 2.0),
        Failed("its group failed"),
        Unusable("no room left", "w2"),
        HostUnfit("w2", "no data set called 'mine'"),
        Idle(),
        Finished(),
    ],
)
def test_it_arrives_as_it_was_sent_flattened_or_not(message):
    result = {"training_iteration": 3, "config": {"work": {}}, **packed(message)}
    assert unpacked(result) == message
    assert unpacked(flatten_dict(result)) == message  # as Tune gives results to schedulers


def test_a_result_of_tune_s_own_holds_none():
    assert unpacked({"done": True, "trial_id": "x"}) is None
