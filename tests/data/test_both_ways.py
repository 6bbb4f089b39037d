"""A path and `prepare` are one way: equal records, pixels, problems and fingerprints, whatever the files are."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from raysweep.cli.data import main
from raysweep.config.experiment import Experiment
from raysweep.config.sections import Data
from raysweep.core.errors import UserError
from raysweep.data import load
from raysweep.data.dataset import FaceData
from tests.data.readers.trees import TREES, picture
from tests.data.reference import central_square

SIZE = 32
RAMP = np.tile(np.linspace(0, 1, 64), (64, 1))


def by_path(path: Path, *options: str, size: int = SIZE, cache: Path | None = None) -> FaceData:
    load._load.cache_clear()
    return load.load_data(Data(source=str(path), image_size=size, options=options), cache)


def by_prepare(monkeypatch, path: Path, home: Path, *options: str) -> FaceData:
    monkeypatch.setenv("RAYSWEEP_DATA", str(home))
    parts = [word for option in options for word in ("--option", option)]
    assert main(["prepare", str(path), "--size", str(SIZE), "--as", "same", "--workers", "1", *parts]) == 0
    load._load.cache_clear()
    return load.load_data(Data(source="same", image_size=SIZE))


def assert_same(one: FaceData, other: FaceData) -> None:
    assert (one.classes, one.fingerprint, one.notes) == (other.classes, other.fingerprint, other.notes)
    assert one.info.bad_rows == other.info.bad_rows
    assert one.info.remarks == other.info.remarks
    for name in ("images", "labels", "va", "votes", "subjects", "splits"):
        ours, theirs = (torch.as_tensor(getattr(data, name)[:]) for data in (one, other))
        assert torch.equal(torch.nan_to_num(ours.float(), 9), torch.nan_to_num(theirs.float(), 9)), name


def write(path: Path, kind: str) -> None:
    """One picture: a ramp from black to white, from left to right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.uint8(RAMP * 255)
    colour = np.dstack([grey] * 3)
    hidden = np.dstack([np.full_like(grey, 255), grey, np.full_like(grey, 255), grey])  # magenta below alpha 0
    make = {
        "png": lambda: Image.fromarray(colour),
        "jpg": lambda: Image.fromarray(colour),
        "grey.png": lambda: Image.fromarray(grey),
        "16.png": lambda: Image.fromarray(np.uint16(RAMP * 65535)),
        "16.tif": lambda: Image.fromarray(np.uint16(RAMP * 65535)),
        "float.tif": lambda: Image.fromarray(np.float32(RAMP)),
        "rgba.png": lambda: Image.fromarray(hidden),
        "la.png": lambda: Image.fromarray(np.dstack([np.full_like(grey, 255), grey])),
        "gif": lambda: Image.fromarray(grey),
        "webp": lambda: Image.fromarray(colour),
        "pgm": lambda: Image.fromarray(grey),
        "bmp": lambda: Image.fromarray(colour),
        "cmyk.jpg": lambda: Image.fromarray(colour).convert("CMYK"),
        "wide.png": lambda: Image.fromarray(np.hstack([colour, colour])),
        "large.jpg": lambda: Image.fromarray(colour).resize((700, 600)),
    }
    if kind in make:
        make[kind]().save(path)
    else:
        path.write_bytes(b"" if kind == "empty.png" else b"no picture")


KINDS = ["png", "jpg", "grey.png", "16.png", "16.tif", "float.tif", "rgba.png", "la.png", "gif", "webp", "pgm", "bmp"]
KINDS += ["cmyk.jpg", "wide.png", "large.jpg"]


def test_pixels_of_every_kind(tmp_path):
    """A grey ramp has mean 127 whatever holds it; what is transparent is black."""
    for i, kind in enumerate(KINDS):
        write(tmp_path / "set" / ("happy", "sad")[i % 2] / f"{i:02}.{kind}", kind)
    data = by_path(tmp_path / "set")
    names = sorted(range(len(KINDS)), key=lambda i: (i % 2, i))
    means = dict(zip((KINDS[i] for i in names), data.images[:].float().mean((2, 3)).tolist(), strict=True))
    alpha = RAMP.mean() * 255
    over_black = (RAMP * RAMP).mean() * 255
    assert means.pop("rgba.png") == pytest.approx([alpha, over_black, alpha], abs=1)
    assert means.pop("la.png") == pytest.approx([alpha] * 3, abs=1)
    for kind, mean in means.items():
        assert mean == pytest.approx([127.0] * 3, abs=3), kind


@pytest.mark.parametrize("values", [RAMP * 255, RAMP - 0.5, np.where(RAMP > 0.9, np.nan, RAMP)])
def test_floating_point_pixels_without_a_known_white_are_refused(tmp_path, values):
    for i in range(30):
        picture(tmp_path / ("happy", "sad")[i % 2] / f"{i}.png")
    Image.fromarray(np.float32(values)).save(tmp_path / "happy" / "float.tif")
    assert "must be in [0, 1]" in by_path(tmp_path).info.bad_rows[0]


@pytest.mark.parametrize("values", [RAMP * 255, RAMP * 1e6, RAMP * 60_000 - 5])
def test_32_bit_pixels_without_a_known_white_are_refused(tmp_path, values):
    for i in range(30):
        picture(tmp_path / ("happy", "sad")[i % 2] / f"{i}.png")
    Image.fromarray(np.int32(values)).save(tmp_path / "happy" / "wide.tif")
    assert "32-bit pixels must use the range of 16 bits" in by_path(tmp_path).info.bad_rows[0]


def test_the_central_square_is_the_one_that_pillow_cuts(tmp_path):
    draws = np.random.default_rng(0)
    for i, size in enumerate([(40, 60), (61, 33), (48, 48), (32, 32)]):
        path = tmp_path / ("happy", "sad")[i % 2] / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(draws.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    data = by_path(tmp_path)
    paths = sorted(tmp_path.glob("*/*.png"))
    for image, path in zip(data.images[:], paths, strict=True):
        assert np.array_equal(image, central_square(path, SIZE))


@given(
    st.lists(st.tuples(st.sampled_from([*KINDS, "empty.png", "text.png"]), st.integers(0, 2)), min_size=4, max_size=9)
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_files_of_all_kinds_by_both_ways_and_by_list_or_folder(tmp_path_factory, monkeypatch, capsys, kinds):
    root = tmp_path_factory.mktemp("kinds")
    names = ("happy", "sad", "Fear")
    for i in range(60):
        write(root / "set" / names[i % 3] / f"good{i:02}.png", "png")
    for i, (kind, label) in enumerate(kinds[:3]):
        write(root / "set" / names[label] / f"{i}.{kind}", kind)
    files = sorted(path for path in (root / "set").glob("*/*"))
    rows = [f"set/{path.parent.name}/{path.name},{path.parent.name}" for path in files]
    (root / "list.csv").write_text("\n".join(["path,expression", *rows, ""]))
    found = {}
    for source in (root / "set", root / "list.csv"):
        found[source.name] = by_path(source)
        assert_same(found[source.name], by_prepare(monkeypatch, source, root / f"home-{source.name}"))
    capsys.readouterr()
    folder, listed = found.values()
    assert torch.equal(folder.images[:], listed.images[:])
    assert torch.equal(folder.labels, listed.labels)


@pytest.mark.parametrize("reader", [name for name in TREES if name not in ("affwild", "csv", "folder")])
def test_every_reader_by_both_ways(tmp_path, monkeypatch, capsys, reader):
    """A release that is recognised needs no name, with a path as with `prepare`."""
    named = {"caers": "CAER-S", "morphset": "morphset"}
    root = tmp_path / named.get(reader, "release")
    root.mkdir()
    TREES[reader](root)
    refused = refusal(root)
    if refused:  # most of its images are not there
        assert main(["prepare", str(root), "--size", str(SIZE), "--to", str(tmp_path / "home")]) == 2
        assert refused.split("; all are in")[0] in capsys.readouterr().err
    else:
        assert_same(by_path(root), by_prepare(monkeypatch, root, tmp_path / "home"))


def refusal(path: Path) -> str:
    """What is said of data that cannot be used; "" of others."""
    try:
        by_path(path)
    except UserError as error:
        return str(error)
    return ""


def test_options_by_both_ways(tmp_path, monkeypatch, capsys):
    for number in range(1, 8):
        write(tmp_path / "set" / str(number) / "S1" / "a.png", "png")
        write(tmp_path / "set" / str(number) / "S2" / "a.png", "png")
    options = ("names=rafdb", "subjects=folder")
    assert_same(
        by_path(tmp_path / "set", *options), by_prepare(monkeypatch, tmp_path / "set", tmp_path / "h", *options)
    )
    assert main(["show", str(tmp_path / "set"), "--store", str(tmp_path / "s"), "--out", str(tmp_path / "o.png")]) == 2
    assert "names=rafdb" in capsys.readouterr().err
    parts = ["--option", "names=rafdb", "--store", str(tmp_path / "s"), "--out", str(tmp_path / "o.png")]
    assert main(["show", str(tmp_path / "set"), *parts]) == 0
    assert "surprise" in capsys.readouterr().out


def test_options_are_for_paths_alone(tmp_path):
    with pytest.raises(UserError, match=r"data.options=names=keep is for folders .* faces is a built-in set"):
        load.load_data(Data(options=("names=keep",), train_images=16, test_images=16))
    with pytest.raises(UserError, match="--option expects K=V, but got 'keep'"):
        by_path(picture(tmp_path / "happy" / "a.png").parents[1], "keep")
    options = Experiment.model_validate({"data": {"options": "names=surprise,fear,anger,va_range=1:9"}}).data.options
    assert options == ("names=surprise,fear,anger", "va_range=1:9")


@pytest.mark.parametrize("size", [31, 513])
def test_sizes_that_one_way_refuses_the_other_refuses(tmp_path, size):
    with pytest.raises(ValueError, match="image_size"):
        Data(image_size=size)
    assert main(["prepare", str(tmp_path), "--size", str(size)]) == 2


def test_one_class_is_refused_by_both_ways(tmp_path, capsys):
    for i in range(4):
        write(tmp_path / "set" / "happy" / f"{i}.png", "png")
    with pytest.raises(UserError, match="at least two expressions are needed, but all 4 photographs are 'happiness'"):
        by_path(tmp_path / "set")
    assert main(["prepare", str(tmp_path / "set"), "--size", "32", "--to", str(tmp_path / "home")]) == 2
    assert "at least two expressions are needed" in capsys.readouterr().err
    assert not list((tmp_path / "home").glob("*/32px"))


def test_a_cache_is_used_again_and_noticed_when_a_file_changes(tmp_path):
    for i in range(6):
        write(tmp_path / "set" / ("happy", "sad")[i % 2] / f"{i}.png", "png")
    first = by_path(tmp_path / "set", cache=tmp_path / "cache")
    (folder,) = (tmp_path / "cache").iterdir()
    state = (folder / "images.npy").stat().st_mtime_ns
    assert by_path(tmp_path / "set", cache=tmp_path / "cache").fingerprint == first.fingerprint
    assert (folder / "images.npy").stat().st_mtime_ns == state
    write(tmp_path / "set" / "happy" / "0.png", "wide.png")
    assert by_path(tmp_path / "set", cache=tmp_path / "cache").fingerprint != first.fingerprint
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_moved_set_is_the_same_set(tmp_path):
    for i in range(6):
        write(tmp_path / "set" / ("happy", "sad")[i % 2] / f"{i}.png", "png")
    first = by_path(tmp_path / "set")
    (tmp_path / "set").rename(tmp_path / "moved")
    assert by_path(tmp_path / "moved").fingerprint == first.fingerprint
    rows = [f"{path.parent.name}/{path.name},{path.parent.name}" for path in (tmp_path / "moved").glob("*/*")]
    found = set()
    for name in ("one.csv", "other.csv"):
        (tmp_path / "moved" / name).write_text("\n".join(["path,expression", *rows, ""]))
        found.add(by_path(tmp_path / "moved" / name).fingerprint)
    assert len(found) == 1


def test_two_processes_that_read_at_once(tmp_path):
    for i in range(200):
        write(tmp_path / "set" / ("happy", "sad")[i % 2] / f"{i}.png", "jpg")
    code = (
        "import sys; from pathlib import Path; from raysweep.config.experiment import Data; "
        "from raysweep.data.load import load_data; "
        f"print(load_data(Data(source={str(tmp_path / 'set')!r}, image_size=64), Path(sys.argv[1])).fingerprint)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "cache")]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [reader.communicate(timeout=300)[0] for reader in readers]
    assert [reader.returncode for reader in readers] == [0, 0]
    assert said[0] == said[1]
