"""The data half of the figures, and that equal data give equal files."""

from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from raysweep.report import Results, summarise
from raysweep.report.figures.curves import curves, monitored
from raysweep.report.figures.differences import draw_forest, forest
from raysweep.report.figures.scores import dependence, frame, numeric_axis
from raysweep.report.figures.style import save, shades, style


@pytest.fixture
def alpha(shared):
    return shared.load("ablation_alpha")


@pytest.fixture
def noise(shared):
    return shared.load("ablation_noise_rate")


class TestDependence:
    def test_one_axis_is_one_line(self, alpha):
        data = dependence(summarise(alpha))
        assert [panel.score for panel in data.panels] == ["macro_f1", "rmse_valence", "rmse_arousal", "accuracy"]
        (line,) = data.panels[0].lines
        assert [point.x for point in line.points] == [0, 0.3, 0.5, 0.7, 1]
        assert [point.is_reference for point in line.points] == [False] * 4 + [True]
        assert len(line.points[0].values) == 5

    def test_second_axis_gives_lines(self, noise):
        lines = {line.name: line for line in dependence(summarise(noise)).panels[0].lines}
        assert list(lines) == ["one-hot", "Euclidean", "Gaussian"]
        assert lines["one-hot"].is_reference
        assert [point.flagged for point in lines["one-hot"].points] == [False, False, False, True]

    def test_paper_has_panels_of_its_own_for_other_images(self, alpha):
        data = dependence(summarise(alpha))
        assert [panel.dataset for panel in data.paper] == ["AffectNet", "MorphSet"]
        assert data.paper[0].lines[0].points[2] == (0.5, 0.6066)
        assert data.panels[0].paper == ()

    def test_a_plan_that_does_not_say_what_it_ran_shares_no_axes(self, alpha):
        """Whether they are the paper's images and recipe is not known (`test_comparable` has plans that say it)."""
        study = replace(alpha.study, preset="paper", data=replace(alpha.study.data, name="AffectNet"))
        data = dependence(summarise(Results(study, alpha.cells)))
        assert data.panels[0].paper == ()
        assert [panel.dataset for panel in data.paper] == ["AffectNet", "MorphSet"]

    def test_arms_without_scores_have_no_point(self, alpha):
        cells = tuple(replace(c, state="failed") if c.arm == "alpha=0.5" else c for c in alpha.cells)
        points = dependence(summarise(Results(alpha.study, cells))).panels[0].lines[0].points
        assert [point.x for point in points] == [0, 0.3, 0.7, 1]

    def test_nothing_complete_is_no_figure(self, alpha):
        cells = tuple(replace(c, state="missing", scores={}) for c in alpha.cells)
        assert dependence(summarise(Results(alpha.study, cells))) is None

    def test_words_are_no_numeric_axis(self, alpha):
        axis = replace(alpha.study.axes[0], levels=("0.5", "none"))
        assert numeric_axis(replace(alpha.study, axes=(axis,))) is None


class TestForest:
    def test_rows_are_the_comparisons(self, noise):
        rows = forest(summarise(noise))
        assert [(row.group, row.name) for row in rows[:3]] == [
            ("noise=0", "Euclidean"),
            ("noise=0", "Gaussian"),
            ("noise=0.1", "Euclidean"),
        ]
        assert len(rows) == 8

    @pytest.mark.parametrize("reference", ["method=one-hot", "pseudo VA=CLE, remainder=original, mapping=none"])
    def test_nothing_is_cut_off(self, noise, reference):
        """Words beside the axes must lie on the paper."""
        with style():
            figure = draw_forest(forest(summarise(noise)), "macro_f1", reference)
            figure.draw_without_rendering()
            boxes = [text.get_window_extent() for text in (*figure.axes[0].texts, figure.axes[0].xaxis.label)]
        assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)


class TestCurves:
    def test_mean_over_replicates(self, alpha):
        (panel,) = curves(summarise(alpha), "val/macro_f1")
        assert [curve.name for curve in panel.curves] == ["0", "0.3", "0.5", "0.7", "1"]
        cells = alpha.of({"alpha": "0.3"})
        first = [dict(cell.history("val/macro_f1"))[1] for cell in cells]
        assert panel.curves[1].means[0] == pytest.approx(sum(first) / 5)
        assert panel.curves[1].epochs == (1, 2, 3, 4, 5)

    def test_a_panel_for_each_level_of_the_other_axis(self, noise):
        panels = curves(summarise(noise), "fit/flipped")
        assert [panel.group for panel in panels] == ["noise=0.1", "noise=0.2", "noise=0.3"]

    def test_incomplete_cells_have_no_curve(self, noise):
        panel = curves(summarise(noise), "fit/flipped")[-1]
        assert {curve.name: len(curve.each) for curve in panel.curves} == {"one-hot": 4, "Euclidean": 5, "Gaussian": 4}

    def test_second_training_starts_at_epoch_one(self, alpha):
        history = {"val/macro_f1": [(1, 0.1), (2, 0.2)], "fit/unflipped": [(1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4)]}
        cells = tuple(replace(c, history=lambda name: history.get(name, [])) for c in alpha.cells)
        study = replace(alpha.study, protocol="select_then_retrain")
        summary = summarise(Results(study, cells))
        assert curves(summary, "fit/unflipped")[0].curves[0].epochs == (1, 2)
        assert curves(summary, "fit/unflipped")[0].curves[0].means == pytest.approx((0.3, 0.4))
        assert curves(summary, monitored(study))[0].curves[0].epochs == (1, 2)

    def test_replicates_of_unequal_length_are_cut_to_the_shortest(self, alpha):
        lengths = (3, 2, 4, 3, 5)

        def constant(length):
            return lambda name: [(epoch, float(length)) for epoch in range(1, length + 1)]

        cells = tuple(replace(cell, history=constant(lengths[cell.replicate])) for cell in alpha.cells)
        curve = curves(summarise(Results(alpha.study, cells)), "val/macro_f1")[0].curves[0]
        assert curve.epochs == (1, 2)
        assert curve.means == pytest.approx((3.4, 3.4))

    def test_best_on_test_watched_the_test_images(self, alpha):
        assert monitored(replace(alpha.study, protocol="best_on_test")) == "test_epoch/macro_f1"


def test_files_carry_no_date(tmp_path, monkeypatch):
    def draw(folder):
        with style():
            figure = Figure()
            figure.subplots().plot([1, 2])
            return [path.read_bytes() for path in save(figure, folder, "x")]

    first = draw(tmp_path / "a")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert draw(tmp_path / "b") == first
    assert b"CreationDate" not in first[1]
    assert b"matplotlib" not in first[0].lower()


def test_shades_differ_and_the_reference_is_ink():
    colors = shades([False, False, True, False])
    assert len(set(colors)) == 4
    assert colors[2] == "#222222"


class TestFrame:
    def panel(self, results):
        return dependence(summarise(results)).panels[0]

    def test_whole_intervals_are_shown_at_five_replicates(self, alpha):
        low, high, cut = frame(self.panel(alpha))
        points = self.panel(alpha).lines[0].points
        assert not cut
        assert low <= min(point.spread.low for point in points)
        assert high >= max(point.spread.high for point in points)

    def test_intervals_of_two_replicates_do_not_hide_the_values(self, alpha):
        """Student's factor is 12.7 there."""
        panel = self.panel(Results(alpha.study, tuple(c for c in alpha.cells if c.replicate < 2)))
        values = [value for point in panel.lines[0].points for value in point.values.values()]
        low, high, cut = frame(panel)
        assert cut
        assert high - low <= 3.001 * (max(values) - min(values))

    def test_one_equal_value_still_has_a_frame(self, alpha):
        cells = tuple(replace(c, scores={"macro_f1": 0.5}) for c in alpha.cells)
        low, high, _ = frame(self.panel(Results(alpha.study, cells)))
        assert low < 0.5 < high
