"""A caption says which shares of the extra sets are trained on, and how they were drawn."""

import pytest

from raysweep.report.text.caption import caption
from raysweep.study import Axis, Study
from raysweep.study.discovery import find_study
from tests.report.test_overrides import launched

JOINT = {"joint.method": "combine", "joint.extra": "B"}


def words(study, **changes):
    return " ".join(caption(launched(study, changes={k.replace("__", "."): v for k, v in changes.items()})))


@pytest.mark.parametrize(
    ("draw", "how"),
    [("anew", "drawn anew in every replicate, a smaller share within a larger one"),
     ("once", "the same images in every replicate")],
)  # fmt: skip
def test_table_8(draw, how):
    said = words(find_study("dcjt_extra_size")[1], joint__extra_draw=draw)
    start = "Of the extra data 10 % or 50 % of each class is trained on, in these arms alone"
    assert f"{start}, {how}; the paper does not say how it drew them." in said


def test_one_share_and_one_a_set():
    axes = [Axis.of("train.batch_size", [16, 32])]
    every = Study("Any", axes=axes, base={**JOINT, "joint.extra_share": 0.25})
    assert "Of the extra data 25 % of each class is trained on, drawn anew" in words(every)
    two = {**JOINT, "joint.extra": "B+C", "joint.extra_share": "0.5+1"}
    assert "Of the extra data 50 % + 100 % of each class is trained on" in words(Study("Any", axes=axes, base=two))


def test_nothing_is_said_of_whole_sets():
    axes = [Axis.of("train.batch_size", [16, 32])]
    assert "Of the extra data" not in words(Study("Any", axes=axes, base=JOINT))
    assert "Of the extra data" not in words(Study("Any", axes=axes))
    unused = {**JOINT, "joint.method": "target", "joint.extra_share": 0.5}
    assert "Of the extra data" not in words(Study("Any", axes=axes, base=unused))
