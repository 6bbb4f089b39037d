"""Small whole data sets, what is done to their files, and what is asked of the code that reads them."""

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from raysweep.config.sections import Data
from raysweep.core.errors import UserError
from raysweep.data import load
from raysweep.data.listing import Listing
from raysweep.data.prepare.crop import Crop
from raysweep.data.prepare.manifest import LABELS, MANIFEST, PROBLEMS, parse_manifest, read_manifest
from raysweep.data.prepare.reader import read_prepared
from raysweep.data.prepare.stats import describe_manifest
from raysweep.data.prepare.verify import find_fault
from raysweep.data.prepare.writer import prepare_listing
from raysweep.data.readers import READERS
from tests.data.prepare.listings import listing, photograph, small_set
from tests.data.readers.fuzz.contract import check_faces, check_problem_list, check_reader, check_words
from tests.data.readers.fuzz.mutate import mutate
from tests.data.readers.trees import TREES, affectnet_npy, fer2013, ferplus, votes_row

Files = dict[str, bytes]
SIZE = 16


@dataclass(frozen=True)
class Target:
    """`files` of a whole data set; `ask` is given the folder they lie in after damage, and a folder to write to."""

    name: str
    files: Files
    ask: Callable[[Random, Path, Path], None]


def targets(folder: Path) -> list[Target]:
    """All of them, made in an empty folder."""
    made = [_reader_target(folder, name, name, make) for name, make in TREES.items()]
    made.append(_reader_target(folder, "affectnet_npy", "affectnet", affectnet_npy))
    made.append(_reader_target(folder, "ferplus_pixels", "ferplus", _votes_and_pixels))
    made.append(Target("csv_unprepared", made[list(TREES).index("csv")].files, _ask_csv))
    made.append(Target("folder_unprepared", made[list(TREES).index("folder")].files, _ask_folder))
    prepare_listing(listing(folder / "raw", iter(small_set(folder / "raw"))), folder / "store", Crop(SIZE), max_bad=1)
    store = _files_of(folder / "store")
    made.append(Target("prepared", store, _ask_prepared))
    made.append(Target("prepared_labels", store, _ask_labels))
    made.append(Target("manifest", {MANIFEST: store[MANIFEST]}, _ask_manifest))
    return made


def _votes_and_pixels(root: Path) -> Path:
    pixels = " ".join(["7"] * 48 * 48)
    fer2013(ferplus(root, *(votes_row(f"{i}.png", fear=9) for i in range(4))), *[(0, pixels, "Training")] * 4)
    shutil.rmtree(root / "data")
    return root


def _reader_target(folder: Path, name: str, reader: str, make: Callable[[Path], Path]) -> Target:
    root = folder / name
    root.mkdir()
    make(root)
    for number, path in enumerate(sorted(root.rglob("*.*"))):
        if path.suffix in (".png", ".jpg"):
            photograph(path, number, size=(30, 34))
        elif path.suffix in (".mp4", ".avi"):
            path.write_bytes(_film())
    if name == "csv":
        for number, image in enumerate(("a.png", "b.png")):
            photograph(root / image, number, size=(20, 20))

    def ask(draw: Random, root: Path, target: Path) -> None:
        _ask_reader(draw, reader, root, target)

    return Target(name, _files_of(root), ask)


def _film() -> bytes:
    """Three frames in MP4; no film at all where PyAV is not installed."""
    try:
        import av
    except ImportError:
        return b"a video"
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        with av.open(file.name, "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
            for shade in (40, 120, 200):
                pixels = np.full((32, 48, 3), shade, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode())
        return Path(file.name).read_bytes()


def _files_of(root: Path) -> Files:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def _ask_reader(draw: Random, name: str, root: Path, target: Path) -> None:
    reader = name if draw.random() < 0.95 else draw.choice(list(READERS))
    path = root / "photographs.csv" if reader == "csv" else root
    options = {option: draw.choice(values) for option, values in READERS[reader].options.items()}
    found = check_reader(reader, path, options)
    if found is not None and draw.random() < 0.5:
        _prepare(found, target)


def _prepare(found: Listing, target: Path) -> None:
    try:
        prepare_listing(found, target, Crop(SIZE), max_bad=1, chunk_size=16)
    except UserError as error:
        check_words(error)
        if (target / PROBLEMS).exists():
            check_problem_list(target / PROBLEMS)
        assert not (target / MANIFEST).exists(), "a refused set looks finished"
        return
    check_problem_list(target / PROBLEMS)
    _read(target)
    manifest = read_manifest(target)
    assert manifest is not None
    assert find_fault(target, manifest) is None


def _read(folder: Path) -> None:
    try:
        data = read_prepared(folder, "small")
    except UserError as error:
        check_words(error)
        return
    check_faces(data)


def _ask_csv(draw: Random, root: Path, target: Path) -> None:
    _load(root / "photographs.csv")


def _ask_folder(draw: Random, root: Path, target: Path) -> None:
    _load(root)


def _load(path: Path) -> None:
    """As training does, without `prepare`."""
    load._load.cache_clear()
    try:
        check_faces(load.load_data(Data(source=str(path), image_size=32)))
    except UserError as error:
        check_words(error)


def _ask_manifest(draw: Random, root: Path, target: Path) -> None:
    content = (root / MANIFEST).read_bytes() if (root / MANIFEST).is_file() else b""
    try:
        describe_manifest(parse_manifest(content, "manifest.json"), "place/small/16px")
    except UserError as error:
        check_words(error)


def _ask_prepared(draw: Random, root: Path, target: Path) -> None:
    _read(root)
    try:
        manifest = read_manifest(root)
        if manifest is not None:
            describe_manifest(manifest, str(root))
            find_fault(root, manifest)
    except UserError as error:
        check_words(error)


ODD_LABELS: tuple[Callable[[Random, pa.Table], pa.Table], ...] = (
    lambda draw, table: table.drop_columns([draw.choice(table.column_names)]),
    lambda draw, table: table.slice(0, draw.randrange(len(table))),
    lambda draw, table: pa.concat_tables([table, table]),
    lambda draw, table: table.append_column("new", table["path"]),
    lambda draw, table: _with(table, draw.choice(table.column_names), pa.nulls(len(table), pa.int8())),
    lambda draw, table: _with(table, draw.choice(table.column_names), pa.array(["x"] * len(table))),
    lambda draw, table: _with(
        table, draw.choice(table.column_names), pa.array([draw.choice((-2, 0, 99))] * len(table))
    ),
    lambda draw, table: _with(table, "expression", pa.array([draw.choice((-1, 3, 100))] * len(table), pa.int8())),
    lambda draw, table: _with(
        table, "valence", pa.array([draw.choice((2.0, float("inf")))] * len(table), pa.float32())
    ),
    lambda draw, table: _with(
        table, "votes", pa.array([[draw.choice((1.0, -1.0))] * draw.choice((0, 7, 8, 9))] * len(table))
    ),
    lambda draw, table: _with(table, "votes", pa.array([[None] * 8] * len(table), pa.list_(pa.float32()))),
    lambda draw, table: _with(table, "subject", pa.array([None] * len(table), pa.string())),
    lambda draw, table: _with(table, "split", pa.array([draw.choice((-1, 3, 100))] * len(table), pa.int8())),
)


def _with(table: pa.Table, column: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(column), column, values)


def _ask_labels(draw: Random, root: Path, target: Path) -> None:
    try:
        table = pq.read_table(root / LABELS)
        for _ in range(draw.choice((1, 1, 2))):
            table = draw.choice(ODD_LABELS)(draw, table)
        pq.write_table(table, root / LABELS)
    except (OSError, pa.ArrowException, ValueError, KeyError, IndexError):  # damaged before, or twice in one column
        return
    _ask_prepared(draw, root, target)


def lay_out(draw: Random, target: Target, root: Path) -> None:
    """Write the files of a data set, a few of them damaged, missing, or of another kind of entry."""
    damaged = set(draw.choices(list(target.files), k=draw.choice((1, 1, 1, 2, 5))))
    lists = [name for name in target.files if not name.endswith((".png", ".jpg", ".mp4", ".avi", ".pts"))]
    damaged |= {draw.choice(lists)} if lists and draw.random() < 0.4 else set()
    for name, content in target.files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(mutate(draw, name, content) if name in damaged and draw.random() < 0.9 else content)
    if draw.random() < 0.15:
        _rearrange(draw, root, root / draw.choice(sorted(damaged)), MANIFEST in target.files)


NAMES = [
    os.fsdecode(b"\xff\xfe.png"),
    "new\nline.png",
    "x" * 240 + ".png",
    "ü\u202e.jpg",
    ".hidden.png",
    'a,b".png',
    " .jpg",
]


def _rearrange(draw: Random, root: Path, path: Path, own: bool) -> None:
    how = draw.randrange(9)
    if how < 4:
        path.unlink()
    if how == 0:
        path.mkdir()
    elif how == 1:
        path.symlink_to(draw.choice(("nowhere", path.name)))
    elif how == 2 and not own:
        os.mkfifo(path)
    elif how == 3:
        path.parent.rename(path.parent.with_name("elsewhere")) if path.parent != root else None
    elif how == 4:
        shutil.copyfile(path, path.with_name(draw.choice(NAMES)))
    elif how == 5:
        path.rename(path.with_name(draw.choice(NAMES)))
    elif how == 6:
        shutil.rmtree(path.parent) if path.parent != root else path.unlink()
    elif how == 7:
        (path.parent / draw.choice(("new", "train", "Happy.png", "0.mp4"))).mkdir(exist_ok=True)
    else:
        others = [p for p in sorted(root.rglob("*")) if p.is_file() and p != path]
        shutil.copyfile(draw.choice(others), path) if others else None
