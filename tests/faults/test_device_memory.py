"""Drill 9: a device runs out of memory. Here the device is a process whose address space is limited."""

import resource
from pathlib import Path

import pytest

from tests.faults.launches import Launch, events
from tests.faults.records import outcome

pytestmark = [
    pytest.mark.full,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

ROOM = 300 << 20
"""Bytes that a small model's process may still take; a ResNet-50 with Adam's moments needs more."""

STUDY = """
from raysweep.study import Axis, Study

study = Study(
    title="Small and large models in turn",
    axes=[Axis("model", {
        "first": {"train.epochs": 60},
        "second": {"train.epochs": 60, "train.learning_rate": 1e-3},
        "large": {"train.epochs": 4, "model.backbone": "resnet50"},
        "large, too": {"train.epochs": 4, "model.backbone": "resnet50", "train.learning_rate": 1e-3},
        "third": {"train.epochs": 2},
        "fourth": {"train.epochs": 2, "train.learning_rate": 1e-3},
    })],
    reference={"model": "first"},
)
""".replace("large, too", "larger")


def limit(process):
    """The process may take ROOM more than it has."""
    status = Path(f"/proc/{process}/status").read_text()
    size = next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmSize"))
    resource.prlimit(process, resource.RLIMIT_AS, (size + ROOM, size + ROOM))


def test_a_cell_too_large_fails_with_the_cause_and_its_device_serves_the_next(fresh):
    (fresh / "sizes.py").write_text(STUDY)
    with Launch(fresh, "sizes.py", "--preset", "smoke", "--json") as launch:

        def training(arm):
            return lambda: any(e["event"] == "epoch" and e["cell"]["arm"] == arm for e in events(fresh))

        launch.wait_for("both processes to train", lambda: training("model=first")() and training("model=second")())
        launch.wait_for("two processes", lambda: len(launch.workers()) == 2)
        workers = launch.workers()
        for worker in workers:
            limit(worker)
        launch.wait_for("the last cells", lambda: training("model=third")() and training("model=fourth")())
        assert workers <= launch.workers()  # the same processes went on
        ended = launch.end(code=1)
    recorded = outcome(fresh, "sizes")
    failed = {cell[0] for cell, found in recorded.items() if found.state == "failed"}
    assert failed == {"model=large", "model=larger"}
    for cause in ended.told["failed"].values():
        assert "memory" in cause or "could not create a primitive" in cause  # oneDNN's words for the same
    assert {found.state for cell, found in recorded.items() if cell[0] not in failed} == {"complete"}
