"""The wheel, installed into an environment of its own: it has every module and every study, and runs one."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "constraints.txt", "hashes.txt")
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


def done(command: list[str], folder: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run it there, without the ways on which a clone would be found."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONWARNINGS": "ignore", "RAY_USAGE_STATS_ENABLED": "0"}
    ended = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == code, f"{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
    return ended


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy: setuptools leaves its working folder in the source."""
    source = tmp_path_factory.mktemp("source")
    for name in SOURCE:
        shutil.copy(ROOT / name, source / name)
    for name in ("raysweep", "search_spaces", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    out = tmp_path_factory.mktemp("wheel")
    done([*PIP, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), "."], source)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """Of an environment with the wheel; what raysweep needs is borrowed from this one, without its clone."""
    place = tmp_path_factory.mktemp("clean")
    done([sys.executable, "-m", "venv", "--without-pip", str(place)], place)
    python = place / "bin" / "python"
    done([*PIP, "--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel)], place)
    (site,) = place.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")  # .pth files in there are not read
    return python


def studies(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("[a-z]*.py")}


def listed(text: str) -> set[str]:
    """Names of studies in what `--list` prints."""
    return {line.split()[0] for line in text.splitlines() if re.search(r"\d arms?(\)|; hides)", line)}


def test_the_wheel_has_every_module_and_every_study_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
    modules = {str(file.relative_to(ROOT)): file.read_bytes() for file in (ROOT / "raysweep").rglob("*.py")}
    own = {f"raysweep/search_spaces/{name}": text for name, text in studies(ROOT / "search_spaces").items()}
    assert len(own) >= 17
    data = {name for name in files if not name.endswith(".py")}
    assert {name: text for name, text in files.items() if name not in data} == {**modules, **own}
    assert data == {
        str(file.relative_to(ROOT))
        for file in (ROOT / "raysweep").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".py"
    }


def test_studies_are_found_from_any_folder(python, tmp_path):
    said = done([python, "-m", "raysweep.run", "--list"], tmp_path)
    assert listed(said.stdout) == {Path(name).stem for name in studies(ROOT / "search_spaces")}
    assert "in /" not in said.stdout  # one place: nothing to tell apart
    assert done([python.parent / "raysweep", "run", "--list"], tmp_path).stdout == said.stdout
    typo = done([python, "-m", "raysweep.run", "ablation_alhpa"], tmp_path, code=2)
    assert "did you mean 'ablation_alpha'?" in typo.stderr


def test_a_study_runs_from_any_folder(python, tmp_path):
    parts = ["ablation_alpha", "--preset", "smoke", "--axis", "alpha=0.5,1", "--set", "train.epochs=1", "--json"]
    told = json.loads(done([python, "-m", "raysweep.run", *parts], tmp_path).stdout)
    assert told["done"] == 2
    assert (tmp_path / "reports" / "ablation_alpha" / "ablation_alpha.md").exists()
    code = "import raysweep; print(raysweep.__file__)"
    assert done([python, "-c", code], tmp_path).stdout.startswith(str(python.parents[1]))
