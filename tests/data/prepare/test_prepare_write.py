"""Preparing whole sets: what is stored, the same bit for bit whatever happens, and what is refused."""

import hashlib
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from raysweep.core.errors import UserError
from raysweep.data.listing import FaceRecord, Problem
from raysweep.data.prepare import finalize as finish
from raysweep.data.prepare import staging as drafts
from raysweep.data.prepare import writer as write
from raysweep.data.prepare.chunks import cut
from raysweep.data.prepare.crop import Crop
from raysweep.data.prepare.manifest import IMAGES, LABELS, MANIFEST, PROBLEMS, read_manifest
from raysweep.data.prepare.parquet_rows import problem_rows
from raysweep.data.prepare.staging import draft_folder
from raysweep.data.prepare.verify import find_fault
from raysweep.data.prepare.writer import prepare_listing
from raysweep.store.unusable import StoreUnusable
from tests.data.prepare.listings import CLASSES, contents, listing, photograph, small_set
from tests.data.reference import central_square

ROOT = Path(__file__).parents[3]


def prepare(root: Path, target: Path, entries=None, **options):
    entries = small_set(root) if entries is None else entries
    known = {"crop": Crop(32), "max_bad": 0.2, "chunk_size": 5, "min_classes": 1, **options}
    fields = known.pop("fields", {})
    return prepare_listing(listing(root, iter(entries), **fields), target, **known)


@pytest.fixture
def stored(tmp_path):
    entries = small_set(tmp_path / "raw")
    manifest = prepare(tmp_path / "raw", tmp_path / "set" / "32px", entries)
    return entries, tmp_path / "set" / "32px", manifest


def test_images_and_labels_agree_with_the_records(stored):
    entries, folder, manifest = stored
    records = {r.where: r for r in entries if isinstance(r, FaceRecord)}
    images = np.load(folder / IMAGES, mmap_mode="r")
    rows = pq.read_table(folder / LABELS).to_pylist()
    assert images.shape == (24, 3, 32, 32)
    assert len(rows) == manifest.images == 24
    assert (
        [row["expression"] for row in rows[-4:]] == [-1] * 4 == [row["expression"] for row in rows if row["frame"]][-4:]
    )
    wheres = [int(row["where"].partition(":")[2]) for row in rows]
    assert wheres[:20] == sorted(wheres[:20])
    assert wheres[20:] == sorted(wheres[20:])
    for image, row in zip(images, rows, strict=True):
        record = records[row["where"]]
        assert row["path"] == record.path.name
        assert row["expression"] == (CLASSES.index(record.expression) if record.expression else -1)
        assert np.array_equal([row["valence"], row["arousal"]], np.float32(record.va), equal_nan=True)
        assert row["votes"] == (list(record.votes) or None)
        assert (row["subject"], row["frame"]) == (record.subject, -1)
        assert row["split"] == ("train", "validation", "test").index(record.split)
        assert row["digest"] == hashlib.sha256(image.tobytes()).hexdigest()[:16]
        if record.box is None and record.path.suffix == ".png":
            assert np.array_equal(image, central_square(record.path, 32))


def test_the_manifest_counts_what_is_stored(stored):
    entries, folder, manifest = stored
    assert read_manifest(folder) == manifest
    assert (manifest.images, manifest.va_only, manifest.left_out) == (24, 4, 3)
    assert manifest.problems == {"bad row": 1, "image missing": 1, "no majority": 1}
    rows = list(problem_rows(folder / PROBLEMS))
    assert [(row["where"], row["kind"], row["path"], row["fatal"]) for row in rows] == [
        ("list.csv:99", "image missing", "gone.png", "yes"),
        ("list.csv:100", "bad row", "", "yes"),
        ("list.csv:101", "no majority", "", "yes"),
    ]
    records = [r for r in entries if isinstance(r, FaceRecord) and r.where != "list.csv:99"]
    for split in ("train", "validation", "test"):
        for name in (*CLASSES, ""):
            mine = [r for r in records if r.split == split and r.expression == name]
            assert manifest.counts[split].get(name, 0) == len(mine)
            va = np.float32([r.va for r in mine if not math.isnan(r.va[0])]).astype(float)
            spread = manifest.va[split].get(name)
            assert (spread is None) == (len(va) == 0)
            if spread:
                assert spread.count == len(va)
                assert spread.mean == pytest.approx(va.mean(0).tolist())
                assert spread.std == pytest.approx(va.std(0).tolist(), abs=1e-9)
                assert spread.covariance == pytest.approx(np.cov(va.T, bias=True)[0, 1], abs=1e-9)


def test_a_prepared_set_is_intact_until_something_is_altered(stored):
    _, folder, manifest = stored
    assert find_fault(folder, manifest) is None
    whole = contents(folder)
    path = pq.read_table(folder / LABELS)["path"][3].as_py()

    def altered(name, change):
        (folder / name).write_bytes(change(whole[name]))
        fault = find_fault(folder, manifest)
        (folder / name).write_bytes(whole[name])
        return fault

    at = 128 + 3 * 3 * 32 * 32 + 7
    flipped = altered(IMAGES, lambda c: c[:at] + bytes([c[at] ^ 1]) + c[at + 1 :])
    assert f"image 3 ({path})" in flipped
    assert str(folder / IMAGES) in flipped
    assert "bytes instead of" in altered(IMAGES, lambda c: c[:-1])
    assert "not what was prepared" in altered(LABELS, lambda c: c[:100] + bytes([c[100] ^ 1]) + c[101:])
    assert "images.npy: the content" in altered(IMAGES, lambda c: b"X" + c[1:])
    (folder / PROBLEMS).unlink()
    assert find_fault(folder, manifest) == f"{folder / PROBLEMS}: missing"


@pytest.mark.parametrize("options", [{"workers": 2}, {"chunk_size": 1}, {"chunk_size": 1000}])
def test_the_same_store_whatever_the_workers_and_chunks(stored, tmp_path, options):
    entries, folder, _ = stored
    prepare(tmp_path / "raw", tmp_path / "again", entries, **options)
    assert contents(tmp_path / "again") == contents(folder)


@pytest.mark.parametrize("after", [0, 1, 3, 5])
def test_an_interrupted_preparation_goes_on(stored, tmp_path, after, monkeypatch):
    entries, folder, _ = stored
    target = tmp_path / "again"
    made = []

    def stop(done, total):
        if len(made) >= after:
            raise KeyboardInterrupt
        made.append(done)

    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "raw", target, entries, progress=stop)
    assert not target.exists()
    before = write.make_chunk
    anew = []
    monkeypatch.setattr(write, "make_chunk", lambda task, chunk: anew.append(chunk.number) or before(task, chunk))
    prepare(tmp_path / "raw", target, entries)
    assert all(number > after for number in anew)  # what was appended, and what was made ahead, is not made again
    assert contents(target) == contents(folder)
    assert not draft_folder(target).exists()


@pytest.mark.parametrize("broken", ["torn journal", "pixels without a line", "short pixels", "torn made", "dead draft"])
def test_what_a_killed_process_leaves_is_put_right(stored, tmp_path, broken):
    entries, folder, _ = stored
    target = tmp_path / "again"

    def stop(done, total):
        if done > 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "raw", target, entries, progress=stop)
    part = draft_folder(target)
    journal, images = part / "journal.jsonl", part / "store" / IMAGES
    if broken == "torn journal":
        journal.write_text(journal.read_text()[:-20])
    elif broken == "pixels without a line":
        images.write_bytes(images.read_bytes() + b"abc" * 5000)
    elif broken == "short pixels":
        images.write_bytes(images.read_bytes()[:-3000])
    elif broken == "torn made":
        for path in part.glob("chunks/*/made.json"):
            path.write_text("{")
    else:
        (part / "chunks" / "draft-1-x").mkdir()
        (part / "chunks" / "draft-1-x" / "faces").write_bytes(b"1")
    prepare(tmp_path / "raw", target, entries)
    assert contents(target) == contents(folder)


def test_lists_that_changed_meanwhile_are_read_anew(stored, tmp_path):
    entries, folder, _ = stored
    target = tmp_path / "again"

    def stop(done, total):
        if done > 16:
            raise KeyboardInterrupt

    changed = [replace(e, expression="sadness") if i == 7 else e for i, e in enumerate(entries)]
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "raw", target, changed, progress=stop)
    prepare(tmp_path / "raw", target, entries)
    assert contents(target) == contents(folder)
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "raw", tmp_path / "larger", entries, crop=Crop(48), progress=stop)
    os.rename(draft_folder(tmp_path / "larger"), draft_folder(tmp_path / "other"))
    prepare(tmp_path / "raw", tmp_path / "other", entries)  # another size was under way there
    assert contents(tmp_path / "other") == contents(folder)


SCRIPT = """
import sys
from pathlib import Path

if __name__ == "__main__":  # workers import this file, too
    from raysweep.data.prepare.crop import Crop
    from raysweep.data.prepare.writer import prepare_listing
    from raysweep.data.listing import FaceRecord
    from tests.data.prepare.listings import CLASSES, listing

    def entries(root):
        for i, path in enumerate(sorted(root.iterdir())):
            yield FaceRecord(path, CLASSES[i % 3], str(i))

    root, target, workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    say = lambda done, total: print(done, flush=True)
    prepare_listing(listing(root, entries(root)), target, Crop(32), workers, progress=say, chunk_size=4)
"""


def test_killed_for_good_in_the_midst_it_goes_on_and_leaves_no_workers(tmp_path):
    root = tmp_path / "raw"
    for i in range(60):
        photograph(root / f"{i:03}.jpg", i, size=(900, 900))
    script = tmp_path / "prepare_it.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(root), str(tmp_path / "a"), "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env=environment, text=True, start_new_session=True
    ) as killed:
        assert killed.stdout is not None
        assert int(killed.stdout.readline()) == 4
        os.kill(killed.pid, signal.SIGKILL)
    assert not (tmp_path / "a").exists()
    while _alive(killed.pid):  # the session's workers end by themselves
        time.sleep(0.05)
    records = [FaceRecord(path, CLASSES[i % 3], str(i)) for i, path in enumerate(sorted(root.iterdir()))]
    inodes = (draft_folder(tmp_path / "a") / "store" / IMAGES).stat().st_ino
    prepare(root, tmp_path / "a", records, chunk_size=4)
    assert (tmp_path / "a" / IMAGES).stat().st_ino == inodes  # the same file went on
    prepare(root, tmp_path / "b", records, chunk_size=16)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def _alive(session: int) -> bool:
    """Whether any process of a session runs."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            return True
    return False


def test_too_many_problems_refuse_the_set_and_leave_their_list(tmp_path):
    target = tmp_path / "set" / "32px"
    with pytest.raises(UserError) as error:
        prepare(tmp_path / "raw", target, max_bad=0.05)
    assert "at most 5% of the rows may be bad (--max-bad), but 2 of the 26 that were read are" in str(error.value)
    assert "image missing (1)" in str(error.value)
    assert f"the first: list.csv:99: gone.png: no such file; all are in {target / PROBLEMS}" in str(error.value)
    assert list(contents(tmp_path / "set")) == ["32px/problems.csv"]
    prepare(tmp_path / "raw", target)
    assert read_manifest(target) is not None


def test_a_hopeless_set_is_refused_before_all_of_it_is_read(tmp_path):
    read = []

    def entries():
        for i in range(1000):
            read.append(i)
            yield FaceRecord(tmp_path / f"{i}.png", "neutral", str(i))

    with pytest.raises(UserError, match=r"at most 5% of the rows .* are: image missing"):
        prepare(tmp_path, tmp_path / "set", entries(), max_bad=0.05, fields={"total": 1000})
    assert len(read) < 100


def test_without_images_there_is_no_set(tmp_path):
    for entries in ([], [Problem("a:1", "not a face", "code 10")] * 9):
        with pytest.raises(UserError, match="has no images"):
            prepare(tmp_path, tmp_path / "set", entries)
        assert not (tmp_path / "set" / MANIFEST).exists()


def test_what_is_prepared_already_stays(stored, tmp_path):
    entries, folder, manifest = stored
    before = contents(folder)
    assert prepare(tmp_path / "raw", folder, entries) == manifest
    with pytest.raises(UserError, match=r"with other options \(none, not classes=7\): choose --as"):
        prepare(tmp_path / "raw", folder, entries, fields={"options": {"classes": "7"}})
    assert contents(folder) == before


@pytest.mark.parametrize("change", ["another size", "gone", "come"])
def test_other_photographs_under_the_same_lists_are_noticed(stored, tmp_path, change):
    entries, folder, _ = stored
    if change == "another size":
        photograph(tmp_path / "raw" / "004.png", 99, size=(60, 60))
    elif change == "gone":
        (tmp_path / "raw" / "004.png").unlink()
    else:
        photograph(tmp_path / "raw" / "gone.png", 1)
    with pytest.raises(UserError, match="added, removed or changed in size: choose --as"):
        prepare(tmp_path / "raw", folder, entries)


def test_a_copy_of_a_set_is_the_same_set(stored, tmp_path):
    entries, folder, manifest = stored
    shutil.copytree(tmp_path / "raw", tmp_path / "copy")  # with other dates
    moved = [replace(e, path=tmp_path / "copy" / e.path.name) if isinstance(e, FaceRecord) else e for e in entries]
    assert prepare(tmp_path / "copy", folder, moved) == manifest


def test_a_manifest_of_an_earlier_version_knows_no_photographs(stored, tmp_path):
    entries, folder, manifest = stored
    plain = manifest.model_dump(mode="json")
    assert len(plain.pop("photographs")) == 16
    (folder / MANIFEST).write_text(json.dumps(plain))
    (tmp_path / "raw" / "004.png").unlink()
    assert prepare(tmp_path / "raw", folder, entries).photographs == ""


def test_two_at_once_are_refused(tmp_path):
    def entries():
        with pytest.raises(UserError, match="another process prepares it just now"):
            prepare(tmp_path / "raw", tmp_path / "set")
        yield from small_set(tmp_path / "raw")

    prepare(tmp_path / "raw", tmp_path / "set", entries())


def test_names_of_any_kind(tmp_path):
    odd = os.fsdecode(b"ol\xe9.png")
    names = ["grün 顔 \U0001f600.png", "x" * 240 + ".png", 'a,"b"\n.png', odd]
    deep = tmp_path / "raw" / ("d" * 200) / ("e" * 200)
    records = [FaceRecord(photograph(deep / name, i), "neutral", f"row {i}") for i, name in enumerate(names)]
    records.append(FaceRecord(deep / os.fsdecode(b"gone\xe9\n.png"), "neutral", "row 9"))
    prepare(tmp_path / "raw", tmp_path / "set", records)
    paths = pq.read_table(tmp_path / "set" / LABELS)["path"].to_pylist()
    assert [path.rpartition("/")[2] for path in paths] == [*names[:3], "ol\\udce9.png"]
    (problem,) = problem_rows(tmp_path / "set" / PROBLEMS)
    assert problem["path"].endswith("gone\\udce9\n.png")


def test_the_fingerprint_follows_pixels_labels_and_options(stored, tmp_path):
    entries, _, manifest = stored
    seen = {manifest.fingerprint}
    swapped = [entries[1], entries[0], *entries[2:]]
    other_va = [replace(entries[0], va=(0.9, 0.9)), *entries[1:]]
    for number, (some, options) in enumerate(
        [
            (swapped, {}),
            (other_va, {}),
            (entries, {"fields": {"options": {"classes": "7"}}}),
            (entries, {"crop": Crop(32, 0.3)}),
        ]
    ):
        seen.add(prepare(tmp_path / "raw", tmp_path / str(number), some, **options).fingerprint)
    photograph(tmp_path / "raw" / "000.png", 77)
    seen.add(prepare(tmp_path / "raw", tmp_path / "pixels", entries).fingerprint)
    assert len(seen) == 6


def test_lists_are_part_of_what_is_prepared(stored, tmp_path):
    entries, _, _ = stored
    path = tmp_path / "raw" / "list.csv"
    path.write_text("one")
    manifest = prepare(tmp_path / "raw", tmp_path / "a", entries, fields={"files": [path]})
    assert manifest.lists == {"list.csv": hashlib.sha256(b"one").hexdigest()}
    path.write_text("two")
    with pytest.raises(UserError, match="with other lists"):
        prepare(tmp_path / "raw", tmp_path / "a", entries, fields={"files": [path]})


def test_a_full_disk_is_said_and_can_be_gone_on_from(stored, tmp_path, monkeypatch):
    entries, folder, _ = stored
    real, calls = drafts.shutil.copyfileobj, []

    def full(*args):
        calls.append(1)
        if len(calls) == 5:
            raise OSError(28, "No space left on device")
        return real(*args)

    monkeypatch.setattr(drafts.shutil, "copyfileobj", full)
    with pytest.raises(StoreUnusable, match="make room and run the same command again"):
        prepare(tmp_path / "raw", tmp_path / "again", entries)
    prepare(tmp_path / "raw", tmp_path / "again", entries)
    assert contents(tmp_path / "again") == contents(folder)


def test_frames_of_a_video_stay_in_one_chunk():
    films = [FaceRecord(Path(f"{v}.mp4"), "neutral", "", frame=f) for v in range(3) for f in range(7)]
    films.insert(3, Problem("x", "VA out of range", "", path="0.mp4"))
    stills = [FaceRecord(Path(f"{i}.png"), "neutral", "") for i in range(9)]
    assert [len(chunk.entries) for chunk in cut([*stills, *films], 4)] == [4, 4, 9, 7, 7]
    assert len({chunk.name for chunk in cut(stills, 4)}) == 3


def anonymous() -> int:
    """Kilobytes of this process that are no file's."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", status)[1])


def test_memory_does_not_grow_with_the_number_of_images(tmp_path, monkeypatch):
    monkeypatch.setattr(finish, "GROUP", 1 << 10)

    def peak(count):
        def entries():
            for i in range(count):
                pixels = i.to_bytes(4, "little")
                yield FaceRecord(Path("."), CLASSES[i % 3], str(i), pixels=pixels, va=(0.1, 0.2), subject=str(i))

        seen = []
        target = tmp_path / str(count)
        prepare(Path("/none"), target, entries(), chunk_size=256, progress=lambda *_: seen.append(anonymous()))
        return max(*seen, anonymous())

    peak(500)  # libraries take their buffers
    few, many = peak(1_000), peak(8_000)
    assert many - few < 6_000  # the 7,000 further images alone are 21,500
