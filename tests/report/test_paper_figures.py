"""Figures in the manner of the papers' own: what they are drawn from, and that nothing is drawn without it."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.patches import Ellipse
from scipy.stats import multivariate_normal

from raysweep.artifacts.labelled_faces import LabelledFaces
from raysweep.artifacts.predictions import ImagePredictions
from raysweep.report import Results, stale_together, summarise, write_together
from raysweep.report.build import stale_files, write_report
from raysweep.report.figures.attention import gallery
from raysweep.report.figures.catalog import FIGURES, WITH_FACES, draw_pictures
from raysweep.report.figures.papers.adapted_faces import adapted_arm, adapted_faces_figure
from raysweep.report.figures.papers.attention_datasets import attention_together, chosen_face
from raysweep.report.figures.papers.fusion import MOST_FACES, fused_arms, fusion_figure
from raysweep.report.figures.papers.gaussians import POINTS, fitted_gaussians, gaussians_figure
from raysweep.report.figures.papers.plane import draw_margins, margin_planes, plane_figure
from raysweep.report.figures.papers.strategies import strategies, strategies_figure
from raysweep.report.figures.papers.va_errors import predicted_va, va_errors_figure
from raysweep.report.figures.style import contents, style
from tests.report import test_report_attention as attention
from tests.report.conftest import CENTRES, CLASSES

NEW = ("arms", "gaussians", "fusion", "va_errors", "plane", "adapted_faces")
K = len(CLASSES)


def faces_of(alpha, method="gaussian", flipped=(), extra=None, seed=0):
    """A face a class; `flipped`: classes whose label is the next one; `extra`: ((new labels), shift of VA)."""
    rng = np.random.default_rng(seed)
    labels = np.asarray([(k + 1) % K if k in flipped else k for k in range(K)])
    mixed = rng.dirichlet(np.ones(K), K) if method != "one_hot" else np.full((K, K), np.nan)
    fused = alpha * np.eye(K)[labels] + (1 - alpha) * mixed if method != "one_hot" else np.eye(K)[labels]
    arrays = {
        "pixels": np.random.default_rng(9).integers(0, 255, (K, 16, 16, 3), dtype=np.uint8),
        "labels_true": np.arange(K), "labels": labels, "va": CENTRES, "mixed": mixed, "fused": fused,
    }  # fmt: skip
    if method == "gaussian":
        covariances = np.tile(np.asarray([[0.04, 0.01], [0.01, 0.02]]), (K, 1, 1))
        arrays |= {"priors": np.asarray([0.4, 0.3, 0.3, 0.0]), "means": CENTRES, "covariances": covariances}
    if extra:
        arrays |= {
            "extra_pixels": arrays["pixels"], "extra_labels_given": np.arange(K),
            "extra_labels_new": np.asarray(extra[0]), "extra_va_given": CENTRES, "extra_va_new": CENTRES + extra[1],
        }  # fmt: skip
    return LabelledFaces(**arrays)


def told(results, **readers):
    """The study with `readers` of complete cells: name to a function of a cell."""
    cells = tuple(
        replace(c, **{name: (lambda make=make, c=c: make(c)) for name, make in readers.items()}) if c.complete else c
        for c in results.cells
    )
    return Results(results.study, cells)


@pytest.fixture(scope="module")
def alpha(shared):
    return shared.load("ablation_alpha")


@pytest.fixture(scope="module")
def noise(shared):
    return shared.load("ablation_noise_rate")


@pytest.fixture(scope="module")
def methods(shared):
    return shared.load("dcjt_methods")


class TestFusion:
    def by_alpha(self, cell):
        level = float(cell.coordinates["alpha"])
        return faces_of(level, "one_hot" if level == 1 else "gaussian", flipped=(1,))

    def with_alpha(self, results):
        cells = [replace(c, config={"labels.alpha": c.coordinates["alpha"]}) for c in results.cells]
        return told(Results(results.study, tuple(cells)), faces=self.by_alpha)

    def test_one_arm_a_mixed_label_with_alpha_in_the_middle(self, alpha):
        replicate, arms = fused_arms(summarise(self.with_alpha(alpha)))
        assert (replicate, [(arm.name, arm.alpha) for arm in arms]) == (0, [("alpha=0.5", 0.5)])

    def test_bars_are_the_labels(self, alpha):
        summary = summarise(self.with_alpha(alpha))
        (arm,) = fused_arms(summary)[1]
        figure, caption = fusion_figure(summary)
        rows = min(K, MOST_FACES)
        bars = [axes for axes in figure.axes if axes.patches]
        assert len(bars) == 3 * rows
        for m in range(rows):
            given, mixed, fused = (
                [patch.get_width() for patch in axes.patches[:K]] for axes in bars[3 * m : 3 * m + 3]
            )
            assert given == pytest.approx(np.eye(K)[arm.faces.labels[m]])
            assert (mixed, fused) == (pytest.approx(arm.faces.mixed[m]), pytest.approx(arm.faces.fused[m]))
        assert len(bars[3].patches) == K + 1  # the label before noise
        assert "Hatched: the label before label noise" in caption

    def test_nothing_to_fuse_is_no_figure(self, alpha):
        assert fusion_figure(summarise(told(alpha, faces=lambda c: faces_of(1, "one_hot")))) is None
        assert fusion_figure(summarise(alpha)) is None


class TestGaussians:
    def test_probabilities_are_posteriors(self, noise):
        (arm,) = fitted_gaussians(summarise(told(noise, faces=lambda c: faces_of(0.5))))
        fitted = arm.fitted
        joint = np.stack(
            [
                fitted.priors[k] * multivariate_normal(fitted.means[k], fitted.covariances[k]).pdf(POINTS)
                for k in range(K)
            ],
            axis=1,
        )
        assert arm.at_points == pytest.approx(joint / joint.sum(1, keepdims=True))

    def test_ellipses_reach_one_and_two_standard_deviations(self, noise):
        figure, _ = gaussians_figure(summarise(told(noise, faces=lambda c: faces_of(0.5))))
        ellipses = [patch for patch in figure.axes[0].patches if isinstance(patch, Ellipse)]
        assert len(ellipses) == 2 * 3  # a class of prior 0 has none
        values = np.sqrt(np.linalg.eigvalsh([[0.04, 0.01], [0.01, 0.02]]))[::-1]
        for reach, ellipse in zip((1, 2), ellipses, strict=False):
            assert (ellipse.width, ellipse.height) == pytest.approx(tuple(2 * reach * values))
            (edge,) = ellipse.get_transform().transform_path(ellipse.get_path()).to_polygons()
            back = figure.axes[0].transData.inverted().transform(edge) - CENTRES[0]
            squared = np.einsum("ni,ij,nj->n", back, np.linalg.inv([[0.04, 0.01], [0.01, 0.02]]), back)
            assert squared.max() == pytest.approx(reach**2, rel=1e-2)

    def test_other_soft_labels_have_none(self, noise):
        assert gaussians_figure(summarise(told(noise, faces=lambda c: faces_of(0.5, "euclidean")))) is None


class TestVaErrors:
    def predictions(self, cell):
        rng = np.random.default_rng(cell.replicate)
        va = rng.uniform(-1, 1, (40, 2)).astype(np.float32)
        va[:3] = np.nan
        labels = np.arange(40) % K
        return ImagePredictions(np.arange(40), np.eye(K)[labels], va + 0.1, labels, va)

    def test_points_and_errors(self, alpha):
        summary = summarise(told(alpha, predictions=self.predictions))
        arms = predicted_va(summary)
        assert [arm.name for arm in arms] == ["alpha=0", "alpha=0.3", "alpha=0.5"]
        values = [c.scores["rmse_valence"] for c in alpha.of({"alpha": "0.3"})]
        assert arms[1].errors[0] == f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"
        figure, _ = va_errors_figure(summary)
        points = np.concatenate([one.get_offsets() for one in figure.axes[0].collections])
        expected = self.predictions(alpha.cells[0])
        assert len(points) == 37
        assert sorted(points[:, 0]) == pytest.approx(sorted(expected.va[3:, 0]))
        assert f"valence: RMSE {arms[0].errors[0]}" in figure.axes[0].get_title()

    def test_without_valence_and_arousal(self, alpha, noise):
        assert va_errors_figure(summarise(alpha)) is None
        blank = told(alpha, predictions=lambda c: replace(self.predictions(c), va=np.full((40, 2), np.nan)))
        assert va_errors_figure(summarise(blank)) is None
        assert va_errors_figure(summarise(told(noise, predictions=self.predictions))) is None  # no score of it


class TestPlane:
    def test_histograms_are_of_all_images_of_a_class(self, methods):
        summary = summarise(methods)
        _, planes = margin_planes(summary)
        assert list(planes) == ["given", "pseudo"]
        with style():
            figure = draw_margins(planes, CLASSES)
        main, above, beside = figure.axes[:3]
        for axes, column in ((above, 0), (beside, 1)):
            stairs = [patch.get_data() for patch in axes.patches]
            assert len(stairs) == K
            for k, (shares, edges, _) in enumerate(stairs):
                values = planes["given"].va_N2[planes["given"].labels_N == k, column]
                inside = np.histogram(values, edges)[0]
                assert shares == pytest.approx(inside / inside.sum())
        assert above.get_xlim() == main.get_xlim()
        assert beside.get_ylim() == main.get_ylim()

    def test_studies_without_an_extra_set_have_none(self, alpha):
        assert plane_figure(summarise(alpha)) is None


class TestAdaptedFaces:
    def made(self, cell):
        if cell.coordinates["method"] != "DCJT":
            return faces_of(1, "one_hot")
        new = {"none": [0, 1, 2, 3], "moderate": [0, 1, 3, 3], "strong": [1, 1, 3, 3]}[cell.coordinates["shift"]]
        return faces_of(1, "one_hot", extra=(new, 0.0 if cell.coordinates["shift"] == "moderate" else 0.1))

    def test_the_arm_that_changes_most(self, methods):
        summary = summarise(told(methods, faces=self.made))
        arm = adapted_arm(summary)
        assert (arm.name, arm.replicate) == ("shift=strong, method=DCJT", 0)
        figure, _ = adapted_faces_figure(summary)
        words = [(text.get_text(), text.get_color()) for text in figure.axes[0].texts]
        assert [text for text, color in words if color == "#B03A00"] == ["happiness", "surprise"]
        assert "+.70, +.20" in dict(words)  # (0.6, 0.1) moved by 0.1

    def test_cells_of_before_have_none(self, methods):
        assert adapted_faces_figure(summarise(methods)) is None


class TestStrategies:
    def test_a_row_an_arm_of_one_axis_of_words(self, noise):
        cells = tuple(
            replace(c, coordinates={"method": c.coordinates["method"]}, arm=f"method={c.coordinates['method']}")
            for c in noise.cells if c.coordinates["noise"] == "0.3"
        )  # fmt: skip
        axis = next(axis for axis in noise.study.axes if axis.name == "method")
        summary = summarise(Results(replace(noise.study, axes=(axis,), cells=()), cells))
        rows = strategies(summary)
        assert list(rows) == ["one-hot", "Euclidean", "Gaussian"]
        assert [point.is_reference for point in rows.values()] == [True, False, False]
        assert [point.flagged for point in rows.values()] == [True, False, True]
        values = [c.scores["macro_f1"] for c in cells if c.coordinates["method"] == "Euclidean"]
        assert rows["Euclidean"].spread.mean == pytest.approx(np.mean(values))
        figure, caption = strategies_figure(summary)
        assert "Open: some cells are missing or degenerate" in caption
        assert [text.get_text() for text in figure.axes[0].texts][1] == f"{np.mean(values):.3f}"

    def test_numbers_and_two_axes_have_figures_of_their_own(self, alpha, noise):
        assert strategies(summarise(alpha)) == strategies(summarise(noise)) == {}


class TestReport:
    @pytest.fixture(autouse=True)
    def new_figures_alone(self, monkeypatch):
        monkeypatch.setattr("raysweep.report.figures.catalog.FIGURES", {name: FIGURES[name] for name in NEW})

    def test_faces_can_be_left_out(self, noise):
        summary = summarise(told(noise, faces=lambda c: faces_of(0.5)))
        stems = {faces: {picture.stem for picture in draw_pictures(summary, "s", faces)} for faces in (True, False)}
        assert {"fusion", "adapted_faces"} < set(WITH_FACES)
        assert stems[True] - stems[False] == {"s_fusion"}

    def test_words_do_not_meet_or_leave_the_figure(self, noise, methods):
        for results, make in ((noise, lambda c: faces_of(0.5)), (methods, TestAdaptedFaces().made)):
            for picture in draw_pictures(summarise(told(results, faces=make)), "s"):
                figure = picture.figure
                figure.draw_without_rendering()
                boxes = [axes.title.get_window_extent() for axes in figure.axes if axes.get_title()]
                boxes += [text.get_window_extent() for axes in figure.axes[:1] for text in axes.texts]
                assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2)), picture.stem
                assert all(box.x0 >= -1 and box.x1 <= figure.bbox.width + 1 for box in boxes), picture.stem

    def test_check_knows_what_is_drawn(self, noise, tmp_path, monkeypatch):
        monkeypatch.setattr("raysweep.report.figures.catalog.FIGURES", {"fusion": FIGURES["fusion"]})
        results = told(noise, faces=lambda c: faces_of(0.5))
        write_report(results, tmp_path)
        assert stale_files(results, tmp_path) == []
        other = told(noise, faces=lambda c: faces_of(0.5, seed=1))
        assert [name.split()[0] for name in stale_files(other, tmp_path)] == [
            f"figures/ablation_noise_rate_fusion.{kind}" for kind in ("png", "pdf")
        ]

    def test_equal_data_are_equal_figures(self, noise):
        digests = {
            contents(gaussians_figure(summarise(told(noise, faces=lambda c: faces_of(0.5))))[0]) for _ in range(2)
        }
        assert len(digests) == 1


class TestAttentionTogether:
    """DDAF, Figure 6."""

    @pytest.fixture
    def sets(self, noise):
        """The study on three data sets, the last of which has no maps."""
        with_maps, _ = attention.with_maps(noise, attention.maps_of)
        names = ("first", "second", "third")
        return [
            replace(one, study=replace(noise.study, data=replace(noise.study.data, name=name, fingerprint=name)))
            for name, one in zip(names, (with_maps, with_maps, noise), strict=True)
        ]

    def test_a_row_a_data_set_each_of_another_class(self, sets):
        summaries = [summarise(one) for one in sets]
        figure, caption = attention_together(summaries)
        shown = gallery(summaries[0])
        assert [chosen_face(shown, row)[0] for row in range(5)] == [0, 1, 2, 3, 0]
        (axes,) = figure.axes
        assert len(axes.images) == 2 * (1 + len(shown.columns)) == 14
        words = [text.get_text() for text in axes.texts]
        assert {"first", "second", "neutral", "happiness", "one-hot", "noise=0.3"} <= set(words)
        assert "Without maps in their runs: third." in caption
        assert attention_together(summaries[1:]) is None

    def test_words_do_not_meet(self, sets):
        figure, _ = attention_together([summarise(one) for one in sets])
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in figure.axes[0].texts]
        assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))

    def test_files_and_no_faces(self, sets, tmp_path):
        write_together(sets, tmp_path)
        file = tmp_path / "figures" / "ablation_noise_rate_together_attention.png"
        assert file.exists()
        assert stale_together(sets, tmp_path) == []
        left = stale_together(sets, tmp_path, faces=False)
        assert "figures/ablation_noise_rate_together_attention.png (left over)" in left
        write_together(sets, tmp_path, faces=False)
        assert not file.exists()
        assert "--no-faces" in (tmp_path / "ablation_noise_rate_together.md").read_text()
