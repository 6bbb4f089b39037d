"""A study is what its file says, a data set what it holds: names and paths only find them."""

from dataclasses import replace

import pytest

from raysweep.config.experiment import Experiment
from raysweep.launch.context import run_tags
from raysweep.maintenance import status
from raysweep.pipeline import Sets
from raysweep.store.store import Store
from raysweep.study import Axis, Search, Study, Uniform, find_study
from raysweep.study.cells import Cell
from raysweep.study.identity import SetIdentity, report_subject, same_subject, study_content, used_sets
from raysweep.study.launch_records import live_keys, read_records, superseded, write_record
from raysweep.study.plan import plan_cells
from raysweep.study.study import Arm, StudyOrigin
from tests.conftest import make_squares
from tests.pipeline.small_joint import make_a, make_b, small_joint
from tests.study.small_plans import SMALL

SAME = [
    "from raysweep.study import Axis, Study\nstudy = Study('T', [Axis.of('train.epochs', [1, 2])], {'epochs': '1'})",
    "# a comment\nfrom raysweep.study import *\nstudy=Study(axes=[Axis.of('train.epochs', (1.0, 2))],\n"
    "  reference={'epochs': '1'}, title='T', base={}, metric='macro_f1')",
    "from raysweep.study import Axis, Study\nvalues = {'1': {'train.epochs': 1}, '2': {'train.epochs': 2}}\n"
    "study = Study('T', [Axis('epochs', values)], {'epochs': '1'}, notes=())",
]
OTHER = [
    SAME[0].replace("'T'", "'U'"),
    SAME[0].replace("[1, 2]", "[1, 3]"),
    SAME[0].replace("[1, 2]", "[2, 1]"),  # the rows of its table
    SAME[0].replace("'epochs': '1'", "'epochs': '2'"),
    SAME[0].replace("'1'})", "'1'}, base={'labels.alpha': 0.5})"),
    SAME[0].replace("'1'})", "'1'}, base={'labels.alpha': 0.25})"),
    SAME[0].replace("'1'})", "'1'}, notes=('more',))"),
]


def content_of(text, folder):
    file = folder / "my.py"
    file.write_text(text)
    name, study = find_study(str(file))
    assert (name, study.origin.file) == ("my", str(file))
    return study.origin.content


def test_what_a_study_says(tmp_path):
    """However it is written; a narrowed axis is still the same study."""
    one = {content_of(text, tmp_path) for text in SAME}
    assert len(one) == 1
    others = [content_of(text, tmp_path) for text in OTHER]
    assert len({*others, *one}) == len(OTHER) + 1
    _, study = find_study(str(tmp_path / "my.py"))
    assert replace(study, metric="accuracy").origin == study.origin


def test_a_search_is_part_of_what_a_study_says():
    def searched(high, **words):
        return study_content(Study("T", search=Search(space={"labels.alpha": Uniform(0, high)}, **words)))

    assert searched(1) == searched(1.0) == searched(1, trials=None)
    assert len({searched(1), searched(0.5), searched(1, trials=3), searched(1, sampler="random")}) == 4


def test_what_a_search_found_is_not():
    study = Study("T", search=Search(space={"labels.alpha": Uniform(0, 1)}))
    assert study_content(study.tuned({"": {"labels.alpha": 0.5}})) != study_content(study)  # it has one more axis
    assert study_content(replace(study, found={"": {}})) == study_content(study)


def test_every_data_set_of_a_launch():
    a, b, c = make_a(), make_b(), make_a(seed=3)
    plain, joint = small_joint(joint__method="target", joint__extra=()), small_joint(joint__extra=("/x/l.csv", "D"))
    other = make_b(seed=9, name="B")
    tuned = small_joint(joint__finetune="/y/c.csv")
    used = used_sets([plain, joint], [Sets(a), Sets(a, (b, other))])
    assert [(own.name, own.source) for own in used] == [("A", "faces"), ("B", "/x/l.csv"), ("B", "D")]
    assert len({own.fingerprint for own in used}) == 3
    scored, *rest = used_sets([tuned], [Sets(a, (b,), c)])
    assert (scored.fingerprint, scored.source) == (c.fingerprint, "/y/c.csv")
    assert [own.fingerprint for own in rest] == [a.fingerprint, b.fingerprint]
    (again, _) = used_sets([small_joint(joint__finetune="target")], [Sets(a, (b,), a)])
    assert again.fingerprint == a.fingerprint


def test_tags_know_every_data_set():
    a, b = make_a(), make_b()
    cell = small_joint(joint__extra="/x/b.csv")
    study = Study("T", [Axis.of("train.epochs", [1])], origin=StudyOrigin("/s/my.py", "abc"))
    tags = run_tags("demo", study, cell, used_sets([cell], [Sets(a, (b,))]))
    assert b.fingerprint in tags["raysweep.extras"]
    assert "/x/b.csv" in tags["raysweep.extras"]
    assert (tags["raysweep.study_content"], tags["raysweep.study_file"]) == ("abc", "/s/my.py")
    assert (tags["raysweep.data"], tags["raysweep.data_fingerprint"]) == ("A", a.fingerprint)
    assert '"image_size":224' in tags["raysweep.data_fields"]
    many = [SetIdentity(str(i), "f" * 64, "s" * 100) for i in range(100)]
    parts = [run_tags("demo", study, cell, [many[0], *others])["raysweep.extras"] for others in (many[1:], many[2:])]
    assert parts[0] != parts[1]
    assert max(map(len, parts)) < 5000


SET = SetIdentity("l", "f1 20 of 40 in 0", "/a/l.csv")
B = SetIdentity("b", "fb", "/a/b.csv")


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (("my", "/a/my.py", "c1", [SET, B]), True),
        (("my", "/moved/my.py", "c1", [replace(SET, source="/moved/l.csv"), replace(B, source="/m/b.csv")]), True),
        (("my", "/a/my.py", "edited", [replace(SET, fingerprint="edited"), B]), True),  # the same files, later
        (("my", "/a/my.py", "c1", [replace(SET, fingerprint="f1"), B]), True),  # more of the same images
        (("my", "/b/my.py", "c2", [SET, B]), False),
        (("my", "", "c2", [SET, B]), False),
        (("other", "/a/my.py", "c1", [SET, B]), False),
        (("my", "/a/my.py", "c1", [SET]), False),
        (("my", "/a/my.py", "c1", [SET, replace(B, fingerprint="fc", source="/a/c.csv")]), False),
        (("my", "/a/my.py", "c1", [replace(SET, fingerprint="f2", source="/b/l.csv"), B]), False),
        (("my", "/a/my.py", "c1", [B, SET]), False),
    ],
)
def test_what_a_report_is_about(other, same):
    assert same_subject(report_subject("my", "/a/my.py", "c1", [SET, B]), report_subject(*other)) is same


def plan_on(store, source, data):
    base = Experiment().with_changes({**SMALL, "data.source": source})
    cell = Cell(Arm({"x": "1"}, {}), 0, base)
    study = Study("T", [Axis("x", {"1": {}})])
    return plan_cells("t", study, "demo", [cell], [Sets(data)], store)


def test_two_sets_of_one_name_do_not_make_each_other_s_cells_stale(tmp_path):
    """`--gc` removes what is superseded: an edited file's old cells, never those of another file of that name."""
    store = Store(tmp_path)
    ours, theirs, edited = (replace(make_squares(seed=seed), name="l") for seed in (1, 2, 3))
    plans = [plan_on(store, "/a/l.csv", ours), plan_on(store, "/b/l.csv", theirs)]
    for number, plan in enumerate(plans):
        write_record(store, plan, f"launch{number}")
    records = read_records(store)
    assert superseded(records) == []
    assert {cell.key for plan in plans for cell in plan.cells} <= live_keys(records)
    assert [one.data for one in status(store).studies] == ["l (/a/l.csv)", "l (/b/l.csv)"]
    moved = plan_on(store, "/moved/l.csv", ours)
    assert moved.cells[0].key == plans[0].cells[0].key
    write_record(store, plan_on(store, "/b/l.csv", edited), "launch2")
    (old,) = superseded(read_records(store))
    assert (old.key, old.reason) == (plans[1].cells[0].key, "data changed (l)")


def test_a_record_tells_two_sets_of_one_name_apart(tmp_path):
    a, b = replace(make_a(), name="l"), replace(make_b(), name="l")
    cell = Cell(Arm({"x": "1"}, {}), 0, small_joint(joint__extra="/b/l.csv"))
    plan = plan_cells("t", Study("T", [Axis("x", {"1": {}})]), "demo", [cell], [Sets(a, (b,))], Store(tmp_path))
    write_record(Store(tmp_path), plan, "one")
    (record,) = read_records(Store(tmp_path))
    assert sorted(record.fingerprints.values()) == sorted([a.fingerprint, b.fingerprint])
    assert "/b/l.csv" in record.sources.values()
