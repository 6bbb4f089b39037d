"""Which launch a report is about, and where the report goes: never another study's, never another data set's."""

import json
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from raysweep.config.sections import Data
from raysweep.core.errors import UserError
from raysweep.data.load import load_fresh
from raysweep.report.folder import default_folder, mark_folder
from raysweep.report.results.choose import AskedStudy, asked_study, launches_of, launches_on, other_extras
from raysweep.study.identity import SetIdentity, report_subject

FIELDS = {"image_size": 32, "train_images": None, "test_images": None, "leave_out": "none"}


@dataclass
class Run:
    """A launch as MLflow tells of it."""

    launch: str
    tags: dict = field(default_factory=dict)

    @property
    def data(self):
        return SimpleNamespace(tags={f"raysweep.{name}": value for name, value in self.tags.items()} | {
            "raysweep.launch": self.launch
        })  # fmt: skip


def of_study(launch, content, file="/a/my.py"):
    return Run(launch, {"study_content": content, "study_file": file})


def on_data(launch, source, fingerprint, name="l", **tags):
    values = {"data": name, "data_source": source, "data_fingerprint": fingerprint, "data_fields": json.dumps(FIELDS)}
    return Run(launch, {**values, **tags})


def names(runs):
    return [run.launch for run in runs]


A, EDITED, B, OLD = of_study("1", "a"), of_study("2", "a2"), of_study("3", "b", "/b/my.py"), Run("0")
BY_PATH = AskedStudy("my", "/a/my.py", "a", by_path=True)


@pytest.mark.parametrize(
    ("runs", "asked", "found"),
    [
        ([B, A], BY_PATH, ["1"]),
        ([EDITED, A], BY_PATH, ["1"]),  # edited, run, and edited back
        ([B, A], AskedStudy("my", "/moved/my.py", "b", by_path=True), ["3"]),
        ([B, A], AskedStudy("my", "/a/my.py", "a"), ["1"]),
        ([EDITED, A], AskedStudy("my"), ["2"]),  # one file, as it was run last
        ([of_study("4", "a", "/c/my.py"), A], AskedStudy("my"), ["4", "1"]),  # one study in two places
        ([A, OLD], BY_PATH, ["1", "0"]),
        ([OLD], BY_PATH, ["0"]),
    ],
)
def test_launches_of_a_study(runs, asked, found):
    assert names(launches_of(runs, asked)) == found


@pytest.mark.parametrize(
    ("runs", "asked", "words"),
    [
        ([B, A], AskedStudy("my", "/a/my.py", "new", by_path=True), "changed since it was launched.* --launch 1"),
        ([A], AskedStudy("my", "/a/my.py", "new"), "my has changed since it was launched"),
        ([B], BY_PATH, "/a/my.py has not been run: launches are 3 of /b/my.py"),
        ([B, A], AskedStudy("my"), "several studies are called 'my': launches are 3 of /b/my.py, 1 of /a/my.py"),
        ([B, A], AskedStudy("my", "/c/my.py", "c"), "several studies are called 'my'"),
    ],
)
def test_no_other_study_is_delivered(runs, asked, words):
    with pytest.raises(UserError, match=words):
        launches_of(runs, asked)


def test_a_study_by_name_and_by_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "search_spaces").mkdir()
    text = "from raysweep.study import Axis, Study\nstudy = Study('T', [Axis.of('train.epochs', [1])])\n"
    for file in ("search_spaces/mine.py", "mine.py"):
        (tmp_path / file).write_text(text)
    by_name, by_path = asked_study("mine"), asked_study("./mine.py")
    assert by_name.content == by_path.content != ""
    assert by_path.file == str(tmp_path / "mine.py")
    assert asked_study("unheard of") == AskedStudy("unheard of")
    (tmp_path / "search_spaces" / "mine.py").write_text("1 / 0")
    assert asked_study("mine") == AskedStudy("mine")
    with pytest.raises(UserError, match="no such study file"):
        asked_study("none.py")


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """a/l.csv and b/l.csv, with other pixels."""
    monkeypatch.chdir(tmp_path)
    for seed, folder in enumerate("ab"):
        (tmp_path / folder).mkdir()
        lines = ["path,expression"]
        for i in range(12):
            pixels = np.random.default_rng(100 * seed + i).integers(0, 256, (32, 32, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{i}.png")
            lines.append(f"{i}.png,{('happiness', 'anger')[i % 2]}")
        (tmp_path / folder / "l.csv").write_text("\n".join(lines))
    return tmp_path


def fingerprint(path):
    return load_fresh(Data(source=str(path), **FIELDS)).fingerprint


class TestDataSets:
    @pytest.fixture
    def runs(self, folders):
        files = [folders / name / "l.csv" for name in "ba"]
        return [on_data(str(file.parent.name), str(file), fingerprint(file)) for file in files]

    def test_each_path_its_own(self, folders, runs):
        for way in ("a/l.csv", "./b/../a/l.csv", str(folders / "a" / "l.csv")):
            assert names(launches_on(runs, "s", way)[0]) == ["a"]
        assert names(launches_on(runs, "s", "b/l.csv")[0]) == ["b"]

    def test_the_same_content_elsewhere(self, folders, runs):
        (folders / "link").symlink_to("a")
        (folders / "b").rename(folders / "moved")
        (folders / "moved" / "l.csv").rename(folders / "moved" / "renamed.csv")
        assert names(launches_on(runs, "s", "link/l.csv")[0]) == ["a"]
        assert names(launches_on(runs, "s", "moved/renamed.csv")[0]) == ["b"]

    def test_content_that_changed_since(self, folders, runs):
        file = folders / "a" / "l.csv"
        file.write_text(file.read_text().replace("0.png,happiness", "0.png,anger"))
        with pytest.raises(UserError, match=r"a/l.csv holds something else now.*--launch a"):
            launches_on(runs, "s", "a/l.csv")
        file.write_text("path\nx")
        with pytest.raises(UserError, match="cannot be read any more"):
            launches_on(runs, "s", "a/l.csv")

    def test_changed_into_the_other_one(self, folders, runs):
        """What lies at a's path is b now: b's launch is shown, for it is on these images."""
        for file in (folders / "a").iterdir():
            file.write_bytes((folders / "b" / file.name).read_bytes())
        assert names(launches_on(runs, "s", "a/l.csv")[0]) == ["b"]

    def test_never_run(self, folders, runs):
        with pytest.raises(UserError, match=r"'s' has not been run on b/l.csv: .*; run it: .*--on b/l.csv"):
            launches_on(runs[1:], "s", "b/l.csv")

    def test_a_name_of_several(self, runs):
        with pytest.raises(UserError, match=r"several data sets are called 'l'.*name its path"):
            launches_on(runs, "s", "l")
        assert names(launches_on(runs[:1], "s", "l")[0]) == ["b"]

    def test_gone_since(self, folders, runs):
        (folders / "a" / "l.csv").unlink()
        found, remarks = launches_on(runs, "s", "a/l.csv")
        assert names(found) == ["a"]
        assert "not there any more" in remarks[0]

    def test_a_name_stays_a_name(self, folders):
        """A folder `faces` lies here, but no launch would read it."""
        (folders / "faces").mkdir()
        runs = [on_data("2", "faces", "v2", "faces"), on_data("1", "faces", "v1", "faces")]
        assert names(launches_on(runs, "s", "faces")[0]) == ["2", "1"]

    def test_launches_that_did_not_say(self, folders):
        old = Run("0", {"data": "l", "data_fingerprint": "f"})
        found, remarks = launches_on([old], "s", "a/l.csv")
        assert names(found) == ["0"]
        assert "by its name alone" in remarks[0]


def test_other_extras_are_mentioned():
    runs = [on_data("2", "A", "f 9 of 20 in 0", extras="[2]"), on_data("1", "A", "f", extras="[1]"),
            on_data("0", "B", "g", extras="[0]")]  # fmt: skip
    (said,) = other_extras(runs, runs[0])
    assert "2 is shown" in said
    assert "other extra sets: 1 " in said
    assert other_extras(runs[:1], runs[0]) == []


def subject(name="my", file="/a/my.py", content="c", data=(("l", "f", "/a/l.csv"),)):
    return report_subject(name, file, content, [SetIdentity(*own) for own in data])


class TestFolders:
    def take(self, root, *subjects):
        folder = default_folder(subjects, root)
        folder.mkdir(parents=True, exist_ok=True)
        mark_folder(folder, subjects)
        return folder.relative_to(root).as_posix()

    def test_no_report_lands_on_another(self, tmp_path):
        others = [
            subject(),
            subject(data=[("l", "g", "/b/l.csv")]),
            subject(data=[("l", "h", "/c/l.csv")]),
            subject(file="/b/my.py", content="d"),
            subject(data=[("l", "f", "/a/l.csv"), ("B", "b", "B")]),
            subject(data=[("l", "f", "/a/l.csv"), ("B", "b2", "/x/B")]),
        ]
        folders = [self.take(tmp_path, one) for one in others]
        assert folders[:2] == ["my", "my-l"]
        assert len(set(folders)) == len(folders)
        assert [self.take(tmp_path, one) for one in others] == folders  # each finds its own again

    def test_a_later_state_of_the_same_files_replaces(self, tmp_path):
        assert self.take(tmp_path, subject()) == "my"
        assert self.take(tmp_path, subject(content="edited", data=[("l", "edited", "/a/l.csv")])) == "my"
        assert self.take(tmp_path, subject(file="/b/my.py", content="c")) == "my-l"  # /a/my.py says something else now

    def test_a_common_report_has_a_mark_of_its_own(self, tmp_path):
        both = [subject(), subject(data=[("m", "g", "/a/m.csv")])]
        assert self.take(tmp_path, subject()) == "my"
        assert self.take(tmp_path, *both) == "my"
        assert self.take(tmp_path, both[0], subject(data=[("m", "h", "/b/m.csv")])) == "my-l_m"
        assert self.take(tmp_path, *both) == "my"

    def test_names_that_only_differ_in_what_files_cannot_hold(self, tmp_path):
        assert len({self.take(tmp_path, subject(name=name, file=name)) for name in ("my study", "my_study")}) == 2

    def test_a_mark_that_cannot_be_read_is_not_ours(self, tmp_path):
        self.take(tmp_path, subject())
        for text in ("", "{}", "[1]", "[{}]"):
            (tmp_path / "my" / ".subject.json").write_text(text)
            assert self.take(tmp_path, subject()) == "my-l"
