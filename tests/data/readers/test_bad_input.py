"""Every kind of bad input in every data set where it can occur: `problems.csv` names file and row."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raysweep.cli.data import main
from raysweep.config.sections import Data
from raysweep.core.errors import UserError
from raysweep.data.dataset import FaceData
from raysweep.data.listing import Problem
from raysweep.data.load import load_data
from raysweep.data.prepare.crop import Crop
from raysweep.data.prepare.manifest import IMAGES, PROBLEMS
from raysweep.data.prepare.parquet_rows import problem_rows
from raysweep.data.prepare.writer import prepare_listing
from raysweep.data.readers import READERS, read_listing
from tests.data.readers.trees import (
    CAERS,
    affectnet_csv,
    affectnet_npy,
    affectnet_row,
    affwild,
    annotate,
    caers,
    class_folder,
    fer2013,
    ferplus,
    morphset,
    npy_values,
    photographs,
    picture,
    rafdb,
    votes_row,
    write_lines,
    write_rows,
)

SIDE = 24
LISTS = "Manually_Annotated_file_lists"


def prepare(name: str, path: Path, target: Path, **options: str):
    """The manifest and (where, path, kind, fatal) of every problem."""
    manifest = prepare_listing(
        read_listing(name, path, options), target, Crop(SIDE * 2, 0.0), max_bad=1.0, min_classes=1
    )
    rows = problem_rows(target / PROBLEMS)
    return manifest, [(row["where"], row["path"], row["kind"], row["fatal"] == "yes") for row in rows]


def halves() -> Image.Image:
    """Bright on the left, dark on the right, so that a turned or mirrored one is another."""
    pixels = np.full((SIDE, SIDE), 40, np.uint8)
    pixels[:, : SIDE // 2] = 200
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def turned() -> bytes:
    """Lying on its side, with the mark that says so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(halves().convert("RGB").transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=exif)


def checksum_broken() -> bytes:
    whole = bytearray(encoded(halves(), "PNG"))
    whole[45] ^= 0xFF
    return bytes(whole)


def far_too_large() -> bytes:
    """A PNG of a few bytes whose header says 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


USABLE: dict[str, bytes] = {
    "colour": encoded(halves().convert("RGB"), "PNG"),
    "grey": encoded(halves(), "JPEG", quality=95),
    "CMYK": encoded(halves().convert("CMYK"), "JPEG", quality=95),
    "16 bits": encoded(Image.fromarray(np.asarray(halves()).astype(np.uint16) * 257), "PNG"),
    "EXIF": turned(),
}
BROKEN: dict[str, bytes | None] = {
    "zero bytes": b"",
    "truncated": encoded(halves().convert("RGB").resize((300, 300)), "JPEG")[:900],
    "no image": b"<!DOCTYPE html><html>404</html>",
    "checksum": checksum_broken(),
    "far too large": far_too_large(),
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n",
    "missing": None,
}
CONTENTS = [*USABLE.values(), *BROKEN.values()]


@dataclass(frozen=True)
class Faces:
    """A data set with as many faces as `make` is asked for. `face(i)`: `where` and path, relative to the set."""

    make: Callable[[Path, int], Path]
    face: Callable[[int], tuple[str, str]]
    others: int = 0


def _affectnet(root: Path, count: int) -> Path:
    return affectnet_csv(
        root, *(affectnet_row(f"1/{i}.jpg", box=(0, 0, SIDE, SIDE), landmarks="") for i in range(count))
    )


def _affectnet_npy(root: Path, count: int) -> Path:
    for i in range(count):
        annotate(root, "train_set", f"{i:02}", npy_values(landmarks=[]))
    annotate(root, "val_set", "0", npy_values())
    return root


def _caers(root: Path, count: int) -> Path:
    caers(root, train=CAERS[1:], test=CAERS)
    for i in range(count):
        picture(root / "train" / "Anger" / f"{i:02}.png")
    return root


def _folder(root: Path, count: int) -> Path:
    class_folder(root)
    for i in range(count):
        picture(root / "train" / "Anger" / f"{i:02}.png")
    return root


FACES = {
    "affectnet": Faces(
        _affectnet, lambda i: (f"{LISTS}/training.csv:{i + 2}", f"Manually_Annotated_Images/1/{i}.jpg"), 1
    ),
    "affectnet_npy": Faces(
        _affectnet_npy, lambda i: (f"train_set/annotations/{i:02}_exp.npy", f"train_set/images/{i:02}.jpg"), 1
    ),
    "morphset": Faces(
        lambda root, count: morphset(root, *((f"ü/{i}.png", "fear", 0, 0, f"s{i}") for i in range(count))),
        lambda i: (f"morphset.csv:{i + 2}", f"ü/{i}.png"),
    ),
    "rafdb": Faces(
        lambda root, count: rafdb(root, *(f"train_{i}.jpg 5" for i in range(count))),
        lambda i: (f"EmoLabel/list_patition_label.txt:{i + 1}", f"Image/aligned/train_{i}_aligned.jpg"),
    ),
    "caers": Faces(_caers, lambda i: (f"train/Anger/{i:02}.png",) * 2, 13),
    "ferplus": Faces(
        lambda root, count: ferplus(root, *(votes_row(f"{i}.png", fear=9) for i in range(count))),
        lambda i: (f"fer2013new.csv:{i + 2}", f"data/FER2013Train/{i}.png"),
    ),
    "folder": Faces(_folder, lambda i: (f"train/Anger/{i:02}.png",) * 2, 3),
    "csv": Faces(
        lambda root, count: photographs(root, *((f"顔/{i}.png", "fear", 0, 0) for i in range(count))),
        lambda i: (f"photographs.csv:{i + 2}", f"顔/{i}.png"),
    ),
}


@pytest.mark.parametrize("source", FACES)
def test_images_of_every_kind_in_every_data_set(tmp_path, source):
    """Usable ones come out upright with their brightness, broken ones as problems; in folders deep and not in ASCII."""
    root = tmp_path.joinpath(*["gesichter-ÄÖÜ-顔" * 4] * 6)
    root.mkdir(parents=True)
    faces = FACES[source]
    path = faces.make(root, len(CONTENTS))
    for i, content in enumerate(CONTENTS):
        image = root / faces.face(i)[1]
        if content is None:
            image.unlink(missing_ok=True)
        else:
            image.parent.mkdir(parents=True, exist_ok=True)
            image.write_bytes(content)
    folder_only = source in ("caers", "folder")  # a file that is not there is in no list
    expected = [
        (*faces.face(i), "image missing" if content is None else "image unreadable", True)
        for i, content in enumerate(CONTENTS)
        if i >= len(USABLE) and not (content is None and folder_only)
    ]
    manifest, problems = prepare(source.removesuffix("_npy"), path, tmp_path / "out")
    places = {faces.face(i)[0] for i in range(len(CONTENTS))}
    if source == "affectnet_npy":  # an annotation without its image says its own name only
        expected[-1] = (expected[-1][0], "", *expected[-1][2:])
    assert [problem for problem in problems if problem[3] and problem[0] in places] == expected
    assert manifest.images >= len(USABLE)
    assert manifest.problems["image unreadable"] == sum(content is not None for content in BROKEN.values())
    images = _stored(tmp_path / "out", places)
    assert len(images) == len(USABLE)
    for name, image in zip(USABLE, images, strict=True):
        left, right = image[:, :, : SIDE - 4].mean(), image[:, :, SIDE + 4 :].mean()
        assert (left, right) == (pytest.approx(200, abs=4), pytest.approx(40, abs=4)), name


def _stored(folder: Path, places: set[str]) -> list[np.ndarray]:
    import pyarrow.parquet as pq

    where = pq.read_table(folder / "labels.parquet")["where"].to_pylist()
    images = np.load(folder / IMAGES).astype(float)
    return [image for image, place in zip(images, where, strict=True) if place in places]


def test_videos_that_cannot_be_decoded(tmp_path):
    """A list of other files that calls itself a video is not followed to them."""
    pytest.importorskip("av")
    affwild(tmp_path, videos=("1", "2", "3", "4", "5"), frames=2, boxes=False)
    from tests.data.prepare.test_prepare_video import film

    for name in ("1", "2"):
        film(tmp_path / "videos/train" / f"{name}.mp4", 2)
    whole = (tmp_path / "videos/train/1.mp4").read_bytes()
    (tmp_path / "videos/train/2.mp4").write_bytes(whole[: len(whole) // 3])
    (tmp_path / "videos/train/3.mp4").write_bytes(b"")
    playlist = ["#EXTM3U", "#EXT-X-TARGETDURATION:9", "#EXTINF:9,", "1.mp4", "#EXT-X-ENDLIST"]
    write_lines(tmp_path / "videos/train/4.mp4", *playlist)
    write_lines(tmp_path / "videos/train/5.mp4", "ffconcat version 1.0", "file 1.mp4")
    manifest, problems = prepare("affwild", tmp_path, tmp_path / "out")
    assert manifest.images == 2
    assert problems == [
        (f"annotations/train/valence/{name}.txt:{row}", f"videos/train/{name}.mp4", "image unreadable", True)
        for name in ("2", "3", "4", "5")
        for row in (1, 2)
    ]


@pytest.mark.parametrize("name", READERS)
def test_a_missing_folder(tmp_path, name):
    with pytest.raises(UserError, match="no such file or folder"):
        read_listing(name, tmp_path / "ü" / "missing", {})


TABLES = {
    "affectnet": (affectnet_csv, f"{LISTS}/training.csv", True),
    "morphset": (morphset, "morphset.csv", False),
    "fer2013": (fer2013, "fer2013.csv", False),
    "ferplus": (ferplus, "fer2013new.csv", False),
    "csv": (photographs, "photographs.csv", False),
}
"""Lists with a header; of AffectNet's two, one is known to lack it."""


def _columns(file: Path) -> tuple[list[list[str]], int]:
    rows = [line.split(",") for line in file.read_text().splitlines()]
    return rows, len(rows[0])


@pytest.mark.parametrize("name", TABLES)
def test_every_column_is_needed_and_no_other(tmp_path, name):
    make, list_, _ = TABLES[name]
    path = make(tmp_path)
    rows, count = _columns(tmp_path / list_)
    needed = 2 if name == "csv" else count
    for lacking in range(needed):
        write_rows(tmp_path / list_, [[v for k, v in enumerate(row) if k != lacking] for row in rows])
        with pytest.raises(UserError, match=f"column '{rows[0][lacking]}' is missing"):
            read_listing(name, path if name == "csv" else tmp_path, {})
    write_rows(tmp_path / list_, [[*row, "age" if k == 0 else "31"] for k, row in enumerate(rows)])
    if name in ("csv", "morphset"):  # a user's own files have columns of their own
        remarks = read_listing(name, path if name == "csv" else tmp_path, {}).remarks
        assert any("not used: 'age'" in remark for remark in remarks)
        return
    with pytest.raises(UserError, match="unknown column 'age'"):
        read_listing(name, path if name == "csv" else tmp_path, {})


@pytest.mark.parametrize("name", TABLES)
def test_a_header_that_is_absent(tmp_path, name):
    make, list_, headless = TABLES[name]
    path = make(tmp_path)
    rows, _ = _columns(tmp_path / list_)
    write_rows(tmp_path / list_, rows[1:])
    if headless:
        assert list(read_listing(name, tmp_path, {}).entries)
        return
    with pytest.raises(UserError, match=f"column '{rows[0][0]}' is missing; the header is "):
        read_listing(name, path if name == "csv" else tmp_path, {})


def _affect(name: str, root: Path, valence: object, arousal: object) -> tuple[Path, str, str]:
    """A set with one face of this valence and arousal beside others; its `where`, and the path in its problem."""
    if name == "affectnet":
        row = affectnet_row("1/b.jpg", valence=valence, arousal=arousal, box=(0, 0, 8, 8), landmarks="")
        affectnet_csv(root, affectnet_row(), row)
        return root, f"{LISTS}/training.csv:3", picture(root / "Manually_Annotated_Images/1/b.jpg").name
    if name == "affectnet_npy":
        affectnet_npy(root)
        annotate(root, "train_set", "1", npy_values(valence=str(valence), arousal=str(arousal)))
        return root, "train_set/annotations/1_exp.npy", "1.jpg"
    if name == "affwild":
        from tests.data.prepare.test_prepare_video import film

        affwild(root, videos=("1", "2"), frames=1, boxes=False)
        for video in ("1", "2"):
            film(root / "videos/train" / f"{video}.mp4", 2)
        write_lines(root / "annotations/train/valence/1.txt", "0.1", str(valence))
        write_lines(root / "annotations/train/arousal/1.txt", "0.1", str(arousal))
        return root, "annotations/train/valence/1.txt:2", "1.mp4"
    if name == "morphset":
        morphset(root, ("a.png", "fear", 0, 0, "s"), ("b.png", "fear", valence, arousal, "t"))
        for image in ("a.png", "b.png"):
            picture(root / image)
        return root, "morphset.csv:3", "b.png"
    path = photographs(root, ("a.png", "fear", 0, 0), ("b.png", "fear", valence, arousal))
    for image in ("a.png", "b.png"):
        picture(root / image)
    return path, "photographs.csv:3", "b.png"


WITH_VA = ("affectnet", "affectnet_npy", "affwild", "morphset", "csv")


@pytest.mark.parametrize("name", WITH_VA)
@pytest.mark.parametrize("missing", ["nan", "-2", "-5", ""])
def test_affect_that_is_missing(tmp_path, name, missing):
    """The face stays where it has an expression of its own; a CSV of photographs may leave both columns empty."""
    if name == "affwild":
        pytest.importorskip("av")
    path, where, _ = _affect(name, tmp_path / "set", missing, 0.5)
    manifest, problems = prepare(name.removesuffix("_npy"), path, tmp_path / "out")
    mine = [
        (place, kind, fatal) for place, _, kind, fatal in problems if place == where and kind != "landmarks missing"
    ]
    assert mine == ([] if name == "csv" else [(where, "VA missing", name == "affwild")])
    assert manifest.images == {"affectnet": 3, "affectnet_npy": 3, "affwild": 2, "morphset": 2, "csv": 2}[name]


@pytest.mark.parametrize("name", WITH_VA)
@pytest.mark.parametrize(
    ("value", "kind"), [("1.01", "VA out of range"), ("-1.5", "VA out of range"), ("x", "bad row")]
)
def test_affect_out_of_range(tmp_path, name, value, kind):
    if name == "affwild":
        pytest.importorskip("av")
    path, where, _ = _affect(name, tmp_path / "set", 0.5, value)
    _, problems = prepare(name.removesuffix("_npy"), path, tmp_path / "out")
    assert (where, kind, True) in [(place, found, fatal) for place, _, found, fatal in problems]


def _names(name: str, root: Path, *images: str) -> tuple[Path, str, int]:
    """A set that lists these images; its list, and the row of the first one."""
    if name == "affectnet":
        affectnet_csv(root, affectnet_row(), *(affectnet_row(image, box=(0, 0, 8, 8)) for image in images))
        return root, f"{LISTS}/training.csv", 3
    if name == "morphset":
        morphset(root, ("a.png", "fear", 0, 0, "s"), *((image, "fear", 0, 0, "s") for image in images))
        picture(root / "a.png")
        return root, "morphset.csv", 3
    if name == "rafdb":
        rafdb(root, "train_00001.jpg 1", *(f"{image.replace(' ', '')} 1" for image in images))
        return root, "EmoLabel/list_patition_label.txt", 2
    if name == "ferplus":
        ferplus(root, votes_row(fear=9), *(votes_row(image, fear=9) for image in images))
        return root, "fer2013new.csv", 3
    path = photographs(root, ("a.png", "fear", 0, 0), *((image, "fear", 0, 0) for image in images))
    picture(root / "a.png")
    return path, "photographs.csv", 3


ESCAPES = ("../outside/secret.jpg", "..\\outside\\secret.jpg", "/etc/passwd", "C:\\a.jpg", "a/../../outside/secret.jpg")


@pytest.mark.parametrize("name", ["affectnet", "morphset", "rafdb", "ferplus", "csv"])
def test_paths_of_lists_that_lead_out_or_that_no_file_has(tmp_path, name):
    picture(tmp_path / "outside" / "secret.jpg")
    long = "train_" + "ü" * 200 + ".jpg"
    path, list_, first = _names(name, tmp_path / "set", *ESCAPES, long)
    manifest, problems = prepare(name, path, tmp_path / "out")
    kinds = ["path escapes"] * len(ESCAPES) + ["image missing"]
    expected = [(f"{list_}:{row}", kind, True) for row, kind in enumerate(kinds, first)]
    assert [(where, kind, fatal) for where, _, kind, fatal in problems if fatal] == expected
    assert manifest.images == (2 if name == "affectnet" else 1)


@pytest.mark.parametrize("name", ["affectnet", "morphset", "rafdb", "csv"])
def test_rows_that_are_there_twice(tmp_path, name):
    twice = "train_1.jpg"
    path, list_, first = _names(name, tmp_path / "set", twice, twice)
    folder = {"affectnet": "Manually_Annotated_Images/train_1.jpg", "rafdb": "Image/aligned/train_1_aligned.jpg"}
    picture(tmp_path / "set" / folder.get(name, twice))
    _, problems = prepare(name, path, tmp_path / "out")
    assert [(w, k, f) for w, _, k, f in problems if f] == [(f"{list_}:{first + 1}", "duplicate row", True)]


PACKED = ("data.zip", "data.tar", "data.tar.gz", "data.rar", "data.part01.rar", "data.7z", "data.tgz", "data.tar.zst")


@pytest.mark.parametrize("archive", PACKED)
def test_archives_are_for_the_user_to_unpack(tmp_path, archive, capsys):
    """Nothing here unpacks any, so no path in one can lead out."""
    (tmp_path / archive).write_bytes(b"PK\x03\x04")
    for words in (["rafdb", str(tmp_path / archive)], [str(tmp_path / archive)]):
        assert main(["prepare", *words, "--to", str(tmp_path / "store")]) == 2
        assert "this is an archive; unpack it and give the folder" in capsys.readouterr().err
    with pytest.raises(UserError, match=rf"holds {archive}: unpack {archive} first"):
        read_listing("rafdb", tmp_path, {})
    assert not (tmp_path / "store").exists()


def unprepared(path: Path, size: int = 32) -> FaceData:
    return load_data(Data(source=str(path), image_size=size))  # which remembers sets by path and size


def test_photographs_that_are_not_prepared_are_told_in_a_line_as_well(tmp_path):
    """Without `prepare`: a picture far too large, PostScript, a pipe, a name with an end of line."""
    for number, name in enumerate(("fear", "anger")):
        for i in range(30):
            picture(tmp_path / name / f"{number}{i}.png")
    assert unprepared(tmp_path).info.bad_rows == ()
    (tmp_path / "fear" / "large.png").write_bytes(far_too_large())
    (tmp_path / "fear" / "script.png").write_bytes(BROKEN["PostScript"] or b"")
    os.mkfifo(tmp_path / "fear" / "pipe.png")
    problems = unprepared(tmp_path, 40).info.bad_rows
    assert [problem.split(":")[0] for problem in problems] == ["fear/large.png", "fear/pipe.png", "fear/script.png"]
    for i in range(9):
        (tmp_path / "fear" / f"a\nb{i}.png").write_bytes(b"")
    with pytest.raises(UserError, match="at most 5% of the rows may be bad") as error:
        unprepared(tmp_path, 48)
    assert len(str(error.value).splitlines()) == 2


def test_a_path_beyond_all_measure_is_shortened(tmp_path):
    photographs(tmp_path, *[("a/" * 3000 + f"{i}.png", "fear", 0, 0) for i in range(5)])
    with pytest.raises(UserError, match=r"the first: photographs.csv:2: ") as error:
        unprepared(tmp_path / "photographs.csv")
    assert len(str(error.value)) < 1000


def test_class_folders_whose_names_are_not_in_utf8(tmp_path):
    for name in (b"fear", b"\xff\xfe"):
        for i in range(3):
            picture(tmp_path / os.fsdecode(name) / os.fsdecode(b"\xe9%d.png" % i))
    with pytest.raises(UserError, match="is no name in UTF-8"):
        unprepared(tmp_path)


def test_a_header_beyond_all_measure_is_shortened(tmp_path):
    path = tmp_path / "photographs.csv"
    path.write_text("x" * 100_000 + ",expression\na.png,fear\n")
    for read_it in (unprepared, lambda path: read_listing("csv", path, {})):
        with pytest.raises(UserError, match="column 'path' is missing") as error:
            read_it(path)
        assert len(str(error.value)) < 1000


@pytest.mark.parametrize("name", ["affectnet_npy", "affwild"])
def test_pipes_are_not_waited_for(tmp_path, name):
    if name == "affwild":
        affwild(tmp_path, videos=("1", "2"))
        pipe = tmp_path / "bboxes/train/1/2.pts"
    else:
        annotate(affectnet_npy(tmp_path), "train_set", "1", npy_values())
        pipe = tmp_path / "train_set/annotations/1_exp.npy"
    pipe.unlink()
    os.mkfifo(pipe)
    problems = [
        entry for entry in read_listing(name.removesuffix("_npy"), tmp_path, {}).entries if isinstance(entry, Problem)
    ]
    assert [problem.kind for problem in problems] == ["bad row"]
    assert "is a pipe" in problems[0].detail
