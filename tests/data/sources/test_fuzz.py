"""Whatever is in a list: records, problems, or one `UserError`; and nothing else."""

import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raysweep.core.errors import UserError
from raysweep.data.record import PROBLEMS, SPLITS, Record
from raysweep.data.sources import READERS, read_listing, recognise
from raysweep.data.sources.affwild import read_box
from raysweep.data.sources.values import Rejected
from tests.data.sources.trees import PIXELS, TREES, affectnet_npy, fer2013, ferplus, pts, votes_row, write_lines

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
    """Everything that piece by piece must hold of a listing."""
    recognise(root)
    try:
        listing = read_listing(name, root, {option: values[-1] for option, values in READERS[name].options.items()})
    except UserError as error:
        words = str(error)
    else:
        check_entries(listing)
        return
    assert 1 <= len(words.splitlines()) <= 2
    assert len(words) < 2000


def check_entries(listing):
    for entry in listing.entries:
        entry.where.encode()
        if isinstance(entry, Record):
            assert entry.path.is_relative_to(listing.root)
            assert ".." not in entry.path.parts
            assert entry.expression in listing.classes or (not entry.expression and entry.va[0] == entry.va[0])
            assert all(value != value or -1 <= value <= 1 for value in entry.va)
            assert (entry.va[0] == entry.va[0]) == (entry.va[1] == entry.va[1])
            assert entry.split in ("", *SPLITS)
            assert len(entry.landmarks) in (0, 136)
            assert len(entry.pixels) in (0, 48 * 48)
            assert len(entry.votes) in (0, 8)
            assert not entry.votes or sum(entry.votes) > 0
            assert entry.box is None or (entry.box[2] > 0 and entry.box[3] > 0)
        else:
            assert entry.kind in PROBLEMS
            assert len(entry.detail.encode()) < 2000


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
