"""Whatever is in a list: records, problems, or one `UserError`; and nothing else."""

import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raysweep.data.readers.affwild import read_box
from raysweep.data.readers.values import Rejected
from tests.data.readers.fuzz.__main__ import Bench
from tests.data.readers.fuzz.contract import check_reader, last_options
from tests.data.readers.fuzz.targets import Target
from tests.data.readers.trees import PIXELS, TREES, affectnet_npy, fer2013, ferplus, pts, votes_row, write_lines

CELLS = [
    "",
    "0",
    "-2",
    "7",
    "8",
    "10",
    "1e999",
    "nan",
    "-5",
    "1_0",
    "²",
    "９",
    "../../x",
    "/x",
    "a\0",
    "\r",
    '"',
    "'",
    "#",
]
CELLS += ["ü", "\u2028", "\ufeff", "x" * 300, "x" * 140_000, "Training", "train", "fear", "a.png", ";", "1;2", "\x85"]
values = st.one_of(st.sampled_from(CELLS), st.text(max_size=8), st.floats().map(str), st.integers().map(str))
bytes_ = st.binary(max_size=200)


@st.composite
def mutations(draw, original: bytes):
    """A list with cells, rows or bytes changed, or something else altogether."""
    how = draw(st.sampled_from(["cells", "rows", "bytes", "anything"]))
    if how == "anything":
        return draw(bytes_)
    if how == "bytes":
        start = draw(st.integers(0, len(original)))
        return (
            original[:start]
            + draw(st.one_of(st.binary(max_size=6), st.just(b"\xef\xbb\xbf")))
            + original[start + draw(st.integers(0, 6)) :]
        )
    lines = original.decode().split("\n")
    for _ in range(draw(st.integers(1, 4))):
        i = draw(st.integers(0, len(lines) - 1))
        if how == "rows":
            j = draw(st.integers(0, len(lines) - 1))
            lines[i] = draw(st.sampled_from([lines[j], "", lines[i][: draw(st.integers(0, 40))], lines[i] + lines[j]]))
        else:
            separator = "," if "," in lines[i] else " "
            cells = lines[i].split(separator)
            cells[draw(st.integers(0, len(cells) - 1))] = draw(values)
            lines[i] = separator.join(cells)
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def check(name, root):
    check_reader(name, root, last_options(name))


FILES = {
    "affectnet": ["Manually_Annotated_file_lists/training.csv", "Manually_Annotated_file_lists/validation.csv"],
    "affwild": ["annotations/train/valence/1.txt", "annotations/train/arousal/1.txt", "bboxes/train/1/1.pts"],
    "morphset": ["morphset.csv"],
    "rafdb": ["EmoLabel/list_patition_label.txt"],
    "fer2013": ["fer2013.csv"],
    "ferplus": ["fer2013new.csv"],
    "csv": ["photographs.csv"],
}
quick = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
EVERY = [(name, file) for name, files in FILES.items() for file in files]


@pytest.mark.parametrize(("name", "file"), EVERY, ids=[f"{name}-{file.split('/')[-1]}" for name, file in EVERY])
def test_any_list(name, file, tmp_path):
    root = tmp_path / "set"
    root.mkdir()
    made = TREES[name](root)
    root = made if name == "csv" else root
    path = root if name == "csv" else root / file
    original = path.read_bytes()

    @given(mutations(original))
    @quick
    def fuzz(content):
        path.write_bytes(content)
        check(name, root)

    fuzz()


@pytest.mark.parametrize("list_", ["fer2013.csv", "fer2013new.csv"])
def test_any_pair_of_votes_and_pixels(list_, tmp_path):
    fer2013(ferplus(tmp_path, *(votes_row(f"{i}.png", fear=9) for i in range(5))), *[(0, PIXELS, "Training")] * 5)
    shutil.rmtree(tmp_path / "data")
    original = (tmp_path / list_).read_bytes()

    @given(mutations(original))
    @quick
    def fuzz(content):
        (tmp_path / list_).write_bytes(content)
        check("ferplus", tmp_path)

    fuzz()


@pytest.mark.parametrize("suffix", ["exp", "val", "lnd"])
def test_any_annotation(suffix, tmp_path):
    path = affectnet_npy(tmp_path) / "train_set" / "annotations" / f"0_{suffix}.npy"
    original = path.read_bytes()
    header = st.one_of(
        st.sampled_from(["(", "'", "**", "9" * 30, "|O", "<U", "L", "{", "True", "\n"]), st.text(max_size=5)
    )

    @given(st.data())
    @quick
    def fuzz(data):
        start, length = data.draw(st.integers(0, len(original))), data.draw(st.integers(0, 20))
        put = data.draw(st.one_of(st.binary(max_size=20), header.map(lambda text: text.encode("utf-8", "replace"))))
        path.write_bytes(original[:start] + put + original[start + length :])
        check("affectnet", tmp_path)

    fuzz()


@given(st.lists(values, min_size=3, max_size=12))
@quick
def test_any_box(tmp_path, words):
    file = write_lines(tmp_path / "1.pts", *pts()[:3])
    with file.open("a", encoding="utf-8", errors="replace") as stream:
        stream.write(" ".join(words) + "}")
    try:
        box = read_box(file)
    except Rejected:
        return
    assert box[2] > 0 < box[3]


def test_the_driver_of_long_runs(tmp_path):
    """`python -m tests.data.readers.fuzz`: one input of every kind, and the same ones again."""
    bench = Bench(tmp_path / "bench")
    kept = []
    for again in ("one", "two"):
        for number in range(len(bench.targets)):
            assert bench.try_input(5, number, tmp_path / again) == "", number
        kept.append(
            {p.relative_to(tmp_path / again): p.read_bytes() for p in (tmp_path / again).rglob("*") if p.is_file()}
        )
    assert kept[0] == kept[1]
    assert kept[0]


def test_the_driver_notices_what_it_should(tmp_path):
    """An exception that is no `UserError`, a look outside of the folder, something written into it."""
    bench = Bench(tmp_path / "bench")
    faults = {
        "ZeroDivisionError": lambda draw, root, target: 1 / 0,
        "outside: ": lambda draw, root, target: (root.parents[1] / "outside/secret.png").read_bytes(),
        "outside: ['os.": lambda draw, root, target: (root / "new").mkdir(),
    }
    for words, ask in faults.items():
        bench.targets = [Target("small", {"list.csv": b"a,b"}, ask)]
        assert words in bench.try_input(1, 0)
