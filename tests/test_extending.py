"""Every example of docs/extending.md, applied to a copy of the package and run."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"```python\n# (\S+?)(?:, (before|in) (\w+))?\n(.*?)```", re.DOTALL)
EXAMPLES = BLOCK.findall((ROOT / "docs" / "extending.md").read_text())


@pytest.fixture
def applied(tmp_path):
    """Puts the examples of these files into a copy of the package; runs code there and gives what it prints."""
    shutil.copytree(ROOT / "raysweep", tmp_path / "raysweep", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)

    def run(code, *files):
        chosen = [example for example in EXAMPLES if example[0] in files]
        assert {file for file, *_ in chosen} == set(files)
        for file, how, name, text in chosen:
            put(tmp_path / file, how, name, text)
        parts = [sys.executable, "-c", code]
        done = subprocess.run(parts, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout.splitlines()

    return run


def put(file, how, name, text):
    """A new file; or text before the definition of a registry, or as the first entry of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if not how:
        file.write_text(text)
        return
    lines = file.read_text().splitlines(keepends=True)
    start = next(i for i, line in enumerate(lines) if re.match(rf"(class {name}\(|{name}\b.*= )", line))
    if how == "in":
        start += 1 + next((i for i, line in enumerate(lines[start:]) if line.strip().endswith(("in (", "= {"))), 0)
        start += lines[start].strip().endswith("in (") or lines[start].strip().endswith(" in (")
        while not re.match(r" +(\"\w+\":|SoftLabel|Metric|StageKind|Method|\w+: )", lines[start]):
            start += 1
    lines.insert(start, text if how == "in" else f"{text}\n\n")
    file.write_text("".join(lines))


def test_every_example_is_tried():
    files = [file for file, *_ in EXAMPLES]
    assert len(files) == (ROOT / "docs" / "extending.md").read_text().count("```python")
    source = Path(__file__).read_text()
    assert all(f'"{file}"' in source for file in files)


def test_a_study(applied):
    code = (
        "from raysweep.run import main\nprint(main(['my_alpha', '--preset', 'smoke', '--plan']))\n"
        "print(main(['my_alpa', '--plan']))"
    )
    said = applied(code, "search_spaces/my_alpha.py")
    assert any("3 arms x 1 replicate" in line for line in said)
    assert (said[-2], said[-1]) == ("0", "2") or said[-1] == "2"


def test_a_layout(applied):
    code = "from raysweep.run import main\nprint(main(['my_layout', '--preset', 'smoke', '--plan']))"
    said = applied(code, "search_spaces/my_layout.py")
    assert any("6 arms x 1 replicate" in line for line in said)
    assert said[-1] == "0"


SOFT = """
import torch
from raysweep.pipeline.stage_kinds import key_fields
from raysweep.config.experiment import Experiment, field_choices
from raysweep.core.errors import UserError
from raysweep.labels.euclidean import class_means
from raysweep.training import prepare_targets
from tests.conftest import make_squares

experiment = Experiment().with_changes({"labels.method": "softmin", "labels.alpha": 0.25, "labels.squared": False})
data = make_squares(40, 16)
targets = prepare_targets(experiment, data)
rows = data.rows(0)
va, labels = data.va[rows].double(), data.labels[rows]
means = class_means(va, labels, 4, experiment.labels.within_std)
p = torch.softmax(-torch.cdist(va, means), 1)
expected = 0.25 * torch.nn.functional.one_hot(labels, 4) + 0.75 * p
print(torch.allclose(targets.soft_NK[rows].double(), expected, atol=1e-6), "softmin" in field_choices("labels.method"))
print("squared" in str(key_fields("targets", experiment)))
for wrong in (lambda: prepare_targets(experiment, make_squares(40, 16, with_va=False)),
              lambda: Experiment().with_changes({"labels.method": "softmn"})):
    try:
        wrong()
    except UserError as error:
        print(error)
"""


def test_a_soft_label(applied, tmp_path):
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    same, squared, va, typo = applied(SOFT, "raysweep/labels/registry.py")
    assert (same, squared) == ("True True", "False")
    assert "`labels.method=softmin` needs valence and arousal, but squares has none" in va
    assert "softmin" in typo


METRIC = """
import torch
from sklearn.metrics import balanced_accuracy_score
from raysweep.config.experiment import field_choices
from raysweep.metrics.compute import all_scores
from raysweep.report.formatting import title
from raysweep.study import Axis, Search, Study, Uniform

generator = torch.Generator().manual_seed(0)
probs = torch.rand(200, 5, generator=generator).softmax(1)
labels = torch.randint(0, 4, (200,), generator=generator)
unknown = torch.full((200, 2), float("nan"))
scores = all_scores(probs, unknown, labels, unknown, torch.full((200, 5), float("nan")))
print(abs(scores["balanced_accuracy"] - balanced_accuracy_score(labels, probs.argmax(1))) < 1e-9)
print(title("balanced_accuracy", arrow=True), "balanced_accuracy" in field_choices("selection.metric"))
Study("t", [Axis.of("labels.alpha", [0, 1])], metric="balanced_accuracy",
      search=Search(space={"train.decay_factor": Uniform(0.1, 1)}, objectives=["balanced_accuracy"]))
"""


@pytest.mark.filterwarnings("ignore")
def test_a_metric(applied):
    assert applied(METRIC, "raysweep/metrics/registry.py") == ["True", "balanced accuracy ↑ True"]


BACKBONE = """
from raysweep.config.experiment import Experiment
from raysweep.core.errors import UserError
from raysweep.models import build_model
import torch

model = Experiment().with_changes({"model.backbone": "pooled", "model.weights": None}).model
print(tuple(build_model(model, 8, 0)(torch.zeros(2, 3, 48, 48)).logits.shape))
try:
    build_model(model.model_copy(update={"backbone": "poled"}), 8, 0)
except UserError as error:
    print(error)
"""


def test_an_encoder(applied):
    shape, typo = applied(BACKBONE, "raysweep/models/backbones.py")
    assert shape == "(2, 8)"
    assert "pooled" in typo


READER = """
import json
from pathlib import Path
import numpy as np
from PIL import Image

from raysweep.data.__main__ import main
from raysweep.data.readers import recognise

for i in range(40):
    Image.fromarray(np.random.default_rng(i).integers(0, 255, (48, 48, 3), dtype=np.uint8)).save(f"{i}.png")
rows = [{"path": f"{i}.png", "expression": ("happiness", "sadness")[i % 2], "split": "train"} for i in range(40)]
Path("faces.jsonl").write_text("\\n".join(map(json.dumps, rows)) + "\\nno row\\n")
print(recognise(Path("faces.jsonl")))
print(main(["show", "faces.jsonl", "--out", "sheet.png"]))
"""


def test_a_reader(applied):
    said = applied(READER, "raysweep/data/readers/json_lines.py", "raysweep/data/readers/__init__.py")
    assert said[0] == "json_lines"
    assert said[-1] == "0", said
    assert any("bad row" in line or "too few or too many values" in line for line in said)


FIGURE = """
from pathlib import Path
from raysweep.report.figures.catalog import draw_pictures, save_pictures
from raysweep.report.results.aggregate import summarise
from tests.report.test_claims import BASE, shifted, table

pictures = draw_pictures(summarise(table({"0": shifted(0.1), "0.5": BASE, "0.9": BASE, "1": BASE})), "s")
print([p.caption for p in pictures if p.stem == "s_counts"])
print(sorted(path.name for path in save_pictures(pictures, Path("figures")) if "counts" in path.name))
"""


def test_a_figure(applied, tmp_path):
    for folder in ("tests", "bench"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    files = ("raysweep/report/figures/cell_counts.py", "raysweep/report/figures/catalog.py")
    assert applied(FIGURE, *files) == ["['Complete cells of every arm.']", "['s_counts.pdf', 's_counts.png']"]


METHOD = """
import torch
from raysweep.config.experiment import Experiment, field_choices, field_paths
from raysweep.core.errors import UserError
from raysweep.pipeline import Context, Sets, build, run_cell
from raysweep.pipeline.stage import ancestry
from raysweep.store.store import Store
from raysweep.study.recipe_origins import DDAF, ORIGINS
from raysweep.training import given_labels
from tests.conftest import make_squares
from pathlib import Path

def experiment(method, **changes):
    return Experiment().with_changes({
        "model.backbone": "small", "model.weights": None, "train.epochs": 2, "train.batch_size": 16,
        "selection.protocol": "last", "selection.weights": "last", "train.swa_start": None, "labels.method": "one_hot",
        "joint.method": method, **{k.replace("__", "."): v for k, v in changes.items()}})

sets, store = Sets(make_squares(60, 20)), Store(Path("store"))
target = build(experiment("target"), sets)
cell = build(experiment("small_loss"), sets)
kinds = {stage.kind: stage for stage in ancestry([cell])}
print(kinds["small_loss"].inputs["model"].key == target.inputs["model"].key, cell.key != target.key)
run_cell(experiment("target"), sets, store)
run_cell(experiment("small_loss"), sets, store)
kept = Context(store).product(kinds["small_loss"])
print(int(kept.sum()), len(sets.target.rows(0)), "small_loss" in [store.get(k)["kind"] for k in store.keys()])
print(build(experiment("small_loss", labels__kept_share=0.5), sets).key != cell.key)
print("small_loss" in field_choices("joint.method"), "labels.kept_share" in field_paths(),
      ORIGINS[DDAF]["labels.kept_share"].source)
try:
    experiment("small_los")
except UserError as error:
    print(error)
"""


def test_a_method_with_a_stage_and_a_field(applied, tmp_path):
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shared, kept, moved, known, typo = applied(
        METHOD,
        "raysweep/pipeline/stages/small_loss.py",
        "raysweep/pipeline/stage_kinds.py",
        "raysweep/config/sections.py",
        "raysweep/pipeline/methods/small_loss.py",
        "raysweep/config/methods.py",
    )
    assert (shared, moved, known) == ("True True", "True", "True True ours")
    count, images, stored = kept.split()
    assert (int(count), stored) == (round(0.7 * int(images)), "True")
    assert "small_loss" in typo
