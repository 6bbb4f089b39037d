"""Videos: the frames that a list names, each from one pass of the decoder. Real MP4 and AVI files."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from raysweep.core.errors import UserError
from raysweep.data.listing import FaceRecord, Problem
from raysweep.data.prepare import video
from raysweep.data.prepare.crop import Crop
from raysweep.data.prepare.manifest import IMAGES, LABELS, PROBLEMS
from raysweep.data.prepare.parquet_rows import problem_rows
from raysweep.data.prepare.video import read_frames
from raysweep.data.prepare.writer import prepare_listing
from tests.data.prepare.listings import listing

av = pytest.importorskip("av")


def shade(number: int) -> int:
    return 30 + 6 * number


def film(path: Path, frames: int = 30, size=(96, 64)) -> Path:
    """Every frame has its own brightness; the right half is dark."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = "libx264" if path.suffix == ".mp4" else "mpeg4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.bit_rate = 2_000_000
        for number in range(frames):
            pixels = np.zeros((size[1], size[0], 3), np.uint8)
            pixels[:, : size[0] // 2] = shade(number)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def records_of(path: Path, frames, **fields):
    return [
        FaceRecord(path, "neutral", f"{path.name}:{f}", frame=f, **{"box": (2, 2, 40, 60), **fields}) for f in frames
    ]


@pytest.mark.parametrize("kind", ["mp4", "avi"])
def test_each_record_gets_its_frame(tmp_path, kind):
    path = film(tmp_path / f"a.{kind}")
    wanted = [0, 1, 7, 7, 20, 29]
    still = FaceRecord(Path(), "happiness", "still", pixels=bytes([9]) * 16)
    manifest = prepare_listing(
        listing(tmp_path, [*records_of(path, wanted), still]), tmp_path / "set", Crop(32, 0.0), min_classes=1
    )
    images = np.load(tmp_path / "set" / IMAGES)
    rows = pq.read_table(tmp_path / "set" / LABELS).to_pylist()
    assert manifest.images == 7
    assert [(row["path"], row["frame"]) for row in rows[:6]] == [(path.name, frame) for frame in wanted]
    for image, frame in zip(images, wanted, strict=False):
        assert image[:, :, :20].mean() == pytest.approx(shade(frame), abs=2.5)
    assert images[0][:, :, -1].mean() < 60  # the box reaches beyond the bright half


def test_frames_that_a_video_does_not_have_are_problems(tmp_path):
    path = film(tmp_path / "short.mp4", frames=10)
    entries = [*records_of(path, [3, 9, 10, 400]), Problem("short.mp4:9", "VA out of range", "2", path=str(path))]
    entries += records_of(path, [5], box=(500, 500, 3, 3))
    entries += records_of(tmp_path / "gone.mp4", [0])
    prepare_listing(listing(tmp_path, entries), tmp_path / "set", Crop(32), max_bad=0.8, min_classes=1)
    problems = [(row["where"], row["kind"], row["detail"][:40]) for row in problem_rows(tmp_path / "set" / PROBLEMS)]
    assert problems[:2] == [
        ("short.mp4:10", "image missing", "frame 10: the video ends before this frame"[:40]),
        ("short.mp4:400", "image missing", "frame 400: the video ends before this frame"[:40]),
    ]
    assert [kind for _, kind, _ in problems[2:]] == ["VA out of range", "box outside", "image missing"]


def test_a_video_that_breaks_off_gives_what_is_whole(tmp_path):
    path = film(tmp_path / "broken.avi", frames=30)
    path.write_bytes(path.read_bytes()[:6000])
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    entries = records_of(path, range(30)) + records_of(tmp_path / "text.mp4", [0])
    entries += records_of(tmp_path / "empty.mp4", [0])
    manifest = prepare_listing(listing(tmp_path, entries), tmp_path / "set", Crop(32), max_bad=1.0, min_classes=1)
    assert 0 < manifest.images < 30
    rows = list(problem_rows(tmp_path / "set" / PROBLEMS))
    assert manifest.images + len(rows) == 32
    assert [row["kind"] for row in rows[-2:]] == ["image unreadable"] * 2


def test_only_what_is_asked_for_is_decoded(tmp_path, monkeypatch):
    turned = []
    real = video._upright
    monkeypatch.setattr(video, "_upright", lambda *words: turned.append(1) or real(*words))
    path = film(tmp_path / "a.mp4")
    assert [number for number, _ in read_frames(path, {4, 11})] == [4, 11]
    assert len(turned) == 2


def test_without_the_package_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    path = tmp_path / "a.mp4"
    with pytest.raises(UserError, match=r"pip install 'raysweep\[video\]'"):
        prepare_listing(listing(tmp_path, records_of(path, [0])), tmp_path / "set", Crop(32))
    assert not (tmp_path / "set").exists()
