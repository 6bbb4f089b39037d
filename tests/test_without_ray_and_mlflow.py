"""On a GPU machine without ray and mlflow the trainer imports and trains; slow imports come when they are needed."""

import subprocess
import sys

SCRIPT = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("ray", "mlflow", "optuna", "pyarrow"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocked())
import raysweep.training, raysweep.pipeline, raysweep.scheduling.queue, raysweep.data.load
print([name for name in ("timm", "torchmetrics", "torchvision", "torch._dynamo") if name in sys.modules])
from raysweep.config.experiment import Experiment
from tests.conftest import make_squares
changes = {"model.backbone": "small", "model.weights": None, "train.epochs": 1, "train.swa_start": 0}
trainer = raysweep.training.Trainer(Experiment().with_changes(changes), make_squares())
result = next(iter(trainer.epochs()))
assert result.metrics["train/loss"] > 0
print("trained")
"""


def test_the_trainer_needs_neither():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["[]", "trained"]
