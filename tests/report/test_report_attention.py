"""Attention maps from the cell's file to the report: what is read, chosen, measured and drawn."""

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as grids
from matplotlib.backends.backend_agg import FigureCanvasAgg
from scipy import stats

from raysweep.artifacts.attention_maps import AttentionMaps, likeness
from raysweep.artifacts.study_record import AxisRecord
from raysweep.plotting import attention as attention_pictures
from raysweep.report import Results, summarise
from raysweep.report.figures.attention import attention_words, constancy, draw_attention, gallery
from raysweep.report.figures.catalog import draw_pictures
from raysweep.report.figures.chosen_arms import MOST_COLUMNS, second_axis, some
from raysweep.report.figures.style import style
from raysweep.report.results.statistics import spread
from tests.report.conftest import CLASSES

COUNT, EACH = 12, 3


def looks_of(seed=0, noise=0.0, own=0, places=(3, 3)):
    """Maps of three images a class: those of `seed`, and as much of others as `noise` says."""
    base, other = (np.random.default_rng(number).random((COUNT, *places)) for number in (seed, 1000 + own))
    shades = np.random.default_rng(5).integers(0, 250, (2 * len(CLASSES), 1, 1, 3), dtype=np.uint8)
    labels = np.repeat(np.arange(len(CLASSES)), EACH)
    probs = np.eye(len(CLASSES))[(labels + (np.arange(COUNT) == 0)) % len(CLASSES)]
    maps = ((1 - noise) * base + noise * other).astype(np.float32)
    shown = np.asarray([3 * k + i for k in range(len(CLASSES)) for i in range(2)])
    return AttentionMaps(100 + np.arange(COUNT), labels, maps, probs, shown, np.tile(shades, (1, 24, 24, 1)))


def maps_of(cell):
    """One-hot labels lose their maps to noise faster."""
    share = float(cell.coordinates["noise"]) * (2.0 if cell.coordinates["method"] == "one-hot" else 0.5)
    own = int(cell.key[:6], 16)
    return looks_of(cell.replicate, share, own)


def with_maps(results, made):
    """The same study, with what `made(cell)` gives as each complete cell's attention; counts who is asked."""
    asked = []

    def reader(cell):
        def read():
            asked.append(cell.name)
            return made(cell)

        return read

    cells = tuple(replace(c, attention=reader(c)) if c.complete else c for c in results.cells)
    return Results(results.study, cells), asked


@pytest.fixture
def noise(shared):
    return shared.load("ablation_noise_rate")


@pytest.fixture
def summary(noise):
    return summarise(with_maps(noise, maps_of)[0])


class TestLikeness:
    @settings(max_examples=50)
    @given(*[grids(np.int64, (4, 3, 2), elements=st.integers(0, 3)) for _ in range(2)])
    def test_against_scipy(self, ours, theirs):
        found = likeness(ours.astype(np.float32), theirs.astype(np.float32))
        for a, b, value in zip(ours, theirs, found, strict=True):
            flat = [np.ptp(one) == 0 for one in (a, b)]
            if all(flat):
                assert np.isnan(value)
            elif any(flat):
                assert value == 0
            else:
                assert value == pytest.approx(stats.pearsonr(a.ravel(), b.ravel()).statistic, abs=1e-12)

    def test_scale_and_offset_do_not_count(self):
        maps = looks_of().maps
        assert likeness(maps, 1e-30 * maps) == pytest.approx(np.ones(COUNT))
        assert likeness(maps, 3 * maps + 1) == pytest.approx(np.ones(COUNT))

    def test_one_place_is_nothing_to_compare(self):
        assert np.isnan(likeness(np.ones((2, 1, 1)), np.zeros((2, 1, 1)))).all()


class TestGallery:
    def test_clean_columns_then_noisy_ones(self, summary, noise):
        shown = gallery(summary)
        methods = ("one-hot", "Euclidean", "Gaussian")
        assert shown.columns == tuple((f"noise={level}", method) for level in ("0", "0.3") for method in methods)
        assert shown.replicate == 0
        assert (shown.places, shown.fixed, shown.flat) == ((3, 3), {}, 0)
        assert list(shown.faces) == [0, 1, 2, 3]
        for (words, method), looks in zip(shown.columns, shown.looks, strict=True):
            cell = noise.of({"noise": words.removeprefix("noise="), "method": method})[0]
            assert (looks.maps[looks.shown[shown.faces[2]]] == maps_of(cell).maps[2 * EACH]).all()
        assert (shown.looks[0].pixels[shown.faces[1]] == looks_of().pixels[2]).all()

    def test_only_the_cells_that_are_shown_are_read(self, noise):
        results, asked = with_maps(noise, maps_of)
        gallery(summarise(results))
        assert set(asked) == {f"noise={n}, method={m} #0" for n in ("0", "0.3") for m in noise.study.axes[1].levels}

    def test_first_replicate_that_has_all_columns(self, noise):
        def lost(*replicates):
            cells = tuple(
                replace(c, state="failed") if c.arm == "noise=0, method=Gaussian" and c.replicate in replicates else c
                for c in noise.cells
            )
            return gallery(summarise(with_maps(Results(noise.study, cells), maps_of)[0]))

        assert lost(0).replicate == 1
        fewer = lost(0, 1, 2, 3, 4)
        assert (fewer.replicate, len(fewer.columns), len(fewer.looks)) == (0, 5, 5)

    def test_other_images_are_left_out(self, noise):
        def made(cell):
            looks = maps_of(cell)
            return replace(looks, pixels=looks.pixels + 1) if cell.coordinates["noise"] == "0.3" else looks

        shown = gallery(summarise(with_maps(noise, made)[0]))
        assert {group for group, _ in shown.columns} == {"noise=0"}
        assert constancy(summarise(with_maps(noise, made)[0])).lines[0].points[-1].x == 0.2

    def test_launches_of_earlier_versions_ask_once(self, noise):
        results, asked = with_maps(noise, lambda cell: None)
        assert gallery(summarise(results)) is None
        assert len(asked) == 1
        assert constancy(summarise(results)) is None

    def test_nothing_complete(self, noise):
        cells = tuple(replace(c, state="failed") for c in noise.cells)
        assert gallery(summarise(Results(noise.study, cells))) is None

    def test_no_face_kept(self, noise):
        def bare(cell):
            looks = maps_of(cell)
            return replace(looks, shown=looks.shown[:0], pixels=looks.pixels[:0])

        assert gallery(summarise(with_maps(noise, bare)[0])) is None

    def test_one_axis(self, shared):
        results = with_maps(shared.load("ablation_alpha"), lambda cell: looks_of(cell.replicate))[0]
        shown = gallery(summarise(results))
        assert shown.columns == tuple(("alpha", level) for level in ("0", "0.3", "0.5", "0.7", "1"))
        assert constancy(summarise(results)) is None

    def test_levels_in_words(self, shared):
        results = with_maps(shared.load("dcjt_methods"), lambda cell: looks_of(cell.replicate))[0]
        shown = gallery(summarise(results))
        assert {group for group, _ in shown.columns} == {"shift=none", "shift=strong"}
        assert [method for _, method in shown.columns[:3]] == ["target only", "combination", "DCJT"]
        assert constancy(summarise(results)) is None

    def test_further_axes_stand_still(self, noise):
        axes = (*noise.study.axes, replace(noise.study.axes[1], name="head", levels=("plain", "scn")))
        cells = tuple(
            replace(c, coordinates={**c.coordinates, "head": head}, arm=f"{c.arm}, head={head}")
            for c in noise.cells
            for head in axes[2].levels
        )
        shown = gallery(summarise(with_maps(Results(replace(noise.study, axes=axes), cells), maps_of)[0]))
        assert shown.fixed == {"head": "plain"}
        assert len(shown.columns) == MOST_COLUMNS

    def test_some_of_many_levels(self):
        levels = [str(number) for number in range(10)]
        assert some(levels, 4, "8") == ["0", "4", "8", "9"]
        assert some(levels, 1, "3") == ["3"]
        assert some(levels, 1) == ["9"]
        for most, always in itertools.product(range(1, 12), [None, *levels]):
            found = some(levels, most, always)
            assert len(found) == min(most, 10)
            assert always is None or always in found


class TestConstancy:
    def test_against_plain_loops(self, summary, noise):
        along = constancy(summary)
        assert (along.axis.name, along.first, along.images, along.flat) == ("noise", "0", COUNT, 0)
        assert [line.name for line in along.lines] == ["one-hot", "Euclidean", "Gaussian"]
        assert [line.is_reference for line in along.lines] == [True, False, False]

        def mean(one, other):
            pairs = zip(maps_of(one).maps, maps_of(other).maps, strict=True)
            return np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs])

        for line in along.lines:
            clean = noise.of({"noise": "0", "method": line.name})
            assert [point.x for point in line.points] == [0.1, 0.2, 0.3]
            for point in line.points:
                noisy = noise.of({"noise": f"{point.x:g}", "method": line.name})
                wanted = {a.replicate: mean(a, b) for a, b in zip(clean, noisy, strict=True) if b.complete}
                assert point.values == pytest.approx(wanted, abs=1e-6)
                assert point.spread == spread(list(point.values.values()))
            between = [mean(a, b) for a, b in itertools.combinations(clean, 2)]
            assert along.between[line.name] == pytest.approx(np.mean(between), abs=1e-6)
        lost, kept = (along.lines[i].points[-1] for i in (0, 1))
        assert lost.spread.mean < kept.spread.mean - 0.2
        assert (lost.spread.n, kept.spread.n) == (4, 5)  # one cell failed

    def test_the_lowest_level_counts_wherever_it_stands(self, noise):
        axes = (replace(noise.study.axes[0], levels=("0.3", "0.1", "0.2", "0")), noise.study.axes[1])
        summary = summarise(with_maps(Results(replace(noise.study, axes=axes), noise.cells), maps_of)[0])
        assert constancy(summary).first == "0"
        assert [group for group, _ in gallery(summary).columns] == ["noise=0"] * 3 + ["noise=0.3"] * 3

    def test_flat_maps_are_told_and_do_not_make_nan(self, noise):
        def made(cell):
            looks = maps_of(cell)
            return replace(looks, maps=looks.maps * (np.arange(COUNT) >= 3)[:, None, None])

        summary = summarise(with_maps(noise, made)[0])
        along = constancy(summary)
        assert along.flat == pytest.approx(0.25)
        assert gallery(summary).flat == 6
        assert all(np.isfinite(point.spread.mean) for line in along.lines for point in line.points)
        words = attention_words(gallery(summary), along)
        assert "25.0 % of all maps are the same everywhere" in words
        assert "A grey face without colour" in words

    def test_one_place_has_no_correlation(self, noise):
        def made(cell):
            looks = maps_of(cell)
            return replace(looks, maps=looks.maps[:, :1, :1])

        summary = summarise(with_maps(noise, made)[0])
        assert constancy(summary) is None
        assert gallery(summary).places == (1, 1)

    def test_one_level_left(self, noise):
        axes = (replace(noise.study.axes[0], levels=("0.3",)), noise.study.axes[1])
        cells = tuple(c for c in noise.cells if c.coordinates["noise"] == "0.3")
        summary = summarise(with_maps(Results(replace(noise.study, axes=axes), cells), maps_of)[0])
        assert second_axis(summary.study) is None
        assert constancy(summary) is None
        assert gallery(summary).columns == tuple(("method", name) for name in ("one-hot", "Euclidean", "Gaussian"))
        assert gallery(summary).fixed == {"noise": "0.3"}
        assert "(replicate 0, noise=0.3)" in attention_words(gallery(summary), None)

    def test_two_axes_of_numbers(self, noise):
        """Levels of the compared axis are numbers, too: the heading says of what."""
        names = {"one-hot": "0", "Euclidean": "0.5", "Gaussian": "1"}
        axes = (noise.study.axes[0], AxisRecord("alpha", tuple(names.values())))
        cells = tuple(
            replace(c, coordinates={"noise": c.coordinates["noise"], "alpha": names[c.coordinates["method"]]})
            for c in noise.cells
        )
        study = replace(noise.study, axes=axes, reference={"alpha": "1"})
        made = with_maps(Results(study, cells), lambda cell: looks_of(cell.replicate))[0]
        assert gallery(summarise(made)).columns[:2] == (("noise=0, alpha:", "0"), ("noise=0, alpha:", "0.5"))


class TestFigure:
    def test_caption(self, summary):
        (picture,) = (p for p in draw_pictures(summary, "x") if p.stem == "x_attention")
        for words in (
            "in the manner of DDAF's Figure 6 (replicate 0): the first test image of 4 expressions",
            "feature maps of 3 x 3 places",
            "Pearson's correlation between the map of an image at noise=0 and at a further level",
            "mean over 12 test images",
            "Crosses: the same between two replicates at noise=0",
        ):
            assert words in picture.caption
        assert "everywhere" not in picture.caption

    def test_caption_compares_with_the_reference_by_replicate(self, summary):
        along = constancy(summary)
        ours, theirs = (
            next(line for line in along.lines if line.name == name).points[-1].values
            for name in ("Gaussian", "one-hot")
        )
        shared = sorted(ours.keys() & theirs.keys())
        tested = stats.ttest_rel([ours[r] for r in shared], [theirs[r] for r in shared])
        low, high = tested.confidence_interval()
        mean = np.mean([ours[r] - theirs[r] for r in shared])
        words = attention_words(gallery(summary), along)
        said = re.search(r"against one-hot: .*Gaussian ([^ ]+) \[([^,]+), ([^\]]+)\]", words)
        assert [float(word.replace("−", "-")) for word in said.groups()] == pytest.approx([mean, low, high], abs=6e-4)

    def test_it_is_left_out_when_faces_must_not_be_shown(self, summary):
        stems = [picture.stem for picture in draw_pictures(summary, "x")]
        without = [picture.stem for picture in draw_pictures(summary, "x", faces=False)]
        assert without == [stem for stem in stems if stem != "x_attention"]

    def test_nothing_is_cut_off_and_equal_data_give_equal_pixels(self, summary):
        pixels = []
        with style():
            for _ in range(2):
                figure = draw_attention(gallery(summary), constancy(summary), CLASSES)
                figure.set_dpi(50)
                canvas = FigureCanvasAgg(figure)
                canvas.draw()
                pixels.append(np.asarray(canvas.buffer_rgba()))
                boxes = [text.get_window_extent() for axes in figure.axes for text in axes.texts]
        assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)
        assert all(box.y0 >= 0 and box.y1 <= figure.bbox.height for box in boxes)
        assert np.array_equal(*pixels)

    def test_two_models_are_enough(self, shared):
        results = shared.load("ablation_alpha")
        axes = (replace(results.study.axes[0], levels=("0.5", "1")),)
        cells = tuple(c for c in results.cells if c.coordinates["alpha"] in axes[0].levels)
        shorter = Results(replace(results.study, axes=axes), cells)
        summary = summarise(with_maps(shorter, lambda cell: looks_of(cell.replicate))[0])
        with style():
            draw_attention(gallery(summary), None, CLASSES).draw_without_rendering()


class TestFiles:
    @pytest.fixture
    def two(self, tracking, fabricate):
        """A study of two cells; one has maps."""
        study = fabricate("two", {"method": ("a", "b")}, {}, lambda where: 0.5, replicates=1, epochs=1)
        study.attention = lambda where, replicate: looks_of() if where["method"] == "a" else None
        return tracking, study

    def test_read_on_demand(self, two):
        tracking, study = two
        with_it, without = tracking.write(study).load("two").cells
        assert without.attention() is None
        for name, array in looks_of().arrays().items():
            assert np.array_equal(getattr(with_it.attention(), name), array)

    def test_the_writer_logs_file_and_picture(self, two, monkeypatch):
        tracking, study = two
        monkeypatch.setattr("raysweep.tracking.writer.draw_attention", attention_pictures.draw_attention)
        cells = tracking.write(study).load("two").cells
        files = [{file.path for file in tracking.client.list_artifacts(cell.run_id)} for cell in cells]
        assert files[0] - files[1] == {"attention.npz", "attention.png"}

    def test_a_damaged_file_is_one_sentence(self, two, tmp_path, capsys):
        tracking, study = two
        cell = tracking.write(study).load("two").cells[0]
        (file,) = (tracking.folder / "artifacts").rglob("attention.npz")
        np.savez(file, rows=np.arange(3))
        assert cell.attention() is None
        assert "passed over attention.npz of run" in capsys.readouterr().err


class TestPictureOfACell:
    def draw(self, folder, **arrays):
        attention_pictures.draw_attention(replace(looks_of(), **arrays), CLASSES, folder)
        return [file.name for file in folder.glob("*.png")]

    def test_drawn(self, tmp_path):
        assert self.draw(tmp_path) == ["attention.png"]

    def test_maps_of_zero_and_of_one_place(self, tmp_path):
        assert self.draw(tmp_path, maps=np.zeros((COUNT, 1, 1), np.float32)) == ["attention.png"]

    def test_no_face(self, tmp_path):
        assert self.draw(tmp_path, shown=np.empty(0, np.int64), pixels=np.empty((0, 9, 9, 3), np.uint8)) == []

    def test_words_below_a_face(self):
        figure = attention_pictures.draw_faces(looks_of(), CLASSES)
        parts = [(text.get_text(), text.get_color()) for text in figure.axes[0].texts]
        assert parts[:3] == [("neutral", "black"), ("happiness 1.00", attention_pictures.WRONG), ("happiness", "black")]
        assert parts[3] == ("happiness 1.00", attention_pictures.RIGHT)

    def test_clear_where_the_map_is_0_and_yellow_at_its_top(self):
        face = np.full((30, 20, 3), 200, np.uint8)
        grey = attention_pictures.overlaid(face, np.zeros((3, 3), np.float32))
        assert grey.shape == (112, 75, 3)
        assert (grey == grey[0, 0, 0]).all()
        left = attention_pictures.overlaid(face, np.array([[4.0, 0.0]], np.float32))
        red, green, blue = left[50, 2].tolist()
        assert red > 200
        assert blue < green < red
        assert (left[:, -5:] == grey[:, -5:]).all()
