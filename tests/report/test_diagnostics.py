"""What predictions say beyond scores: by class, confusions against the reference, calibration and its scaling."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from torchmetrics.functional.classification import multiclass_f1_score, multiclass_recall

from raysweep.artifacts.predictions import ImagePredictions, ValidationPredictions
from raysweep.metrics.calibration import COLDEST, at_temperature, fitted_temperature, log_loss, reliability
from raysweep.metrics.registry import calibration_error, negative_log_likelihood
from raysweep.report import Results, summarise
from raysweep.report.build import stale_files, write_report
from raysweep.report.figures.catalog import FIGURES, draw_pictures
from raysweep.report.figures.diagnostics.classes import classes_figure
from raysweep.report.figures.diagnostics.confusion import confusion_panels
from raysweep.report.figures.diagnostics.reliability import reliability_figure, reliability_panels
from raysweep.report.results.diagnostics import diagnosed, of_cell
from raysweep.report.tables.diagnostics import diagnostic_files


def probs_of(seed, count=200, classes=4, sharpness=2.0):
    """Logits and labels that they say something about."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    logits = rng.normal(0, 1, (count, classes)) + 1.5 * np.eye(classes)[labels]
    return torch.softmax(sharpness * torch.from_numpy(logits), 1).numpy().astype(np.float32), labels


def predictions_of(seed, cls=ImagePredictions, **how):
    probs, labels = probs_of(seed, **how)
    nothing = np.full((len(labels), 2), np.nan, np.float32)
    return cls(np.arange(len(labels)), probs, nothing, labels, nothing)


class TestTemperature:
    @settings(max_examples=20)
    @given(st.integers(0, 1000), st.floats(0.3, 4))
    def test_is_where_the_derivative_of_the_loss_is_zero(self, seed, sharpness):
        probs, labels = probs_of(seed, sharpness=sharpness)
        logs = np.log(probs.astype(np.float64))

        def slope(beta):  # of the mean of -log p(label) by beta = 1 / T
            p = np.exp(beta * logs)
            p /= p.sum(1, keepdims=True)
            return float(((p * logs).sum(1) - logs[np.arange(len(labels)), labels]).mean())

        assert 1 / fitted_temperature(probs, labels) == pytest.approx(brentq(slope, 1e-3, 20), rel=1e-3)

    def test_scaling_is_a_softmax_of_smaller_logits(self):
        logits = torch.randn(50, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        scaled = at_temperature(torch.softmax(logits, 1).numpy(), 1.7)
        assert scaled == pytest.approx(torch.softmax(logits / 1.7, 1).numpy())

    def test_zeros_and_a_model_that_is_always_right(self):
        probs, labels = np.eye(3, dtype=np.float32)[[0, 1, 2]], np.arange(3)
        assert np.isfinite(at_temperature(probs, 2.0)).all()
        assert fitted_temperature(np.full((3, 3), 0.2) + 0.4 * np.eye(3), labels) == pytest.approx(COLDEST, rel=1e-3)

    @given(st.integers(0, 1000), st.floats(0.5, 9))
    def test_bins_and_loss_are_those_of_the_scores(self, seed, sharpness):
        probs, labels = probs_of(seed, 60, sharpness=sharpness)
        ours = reliability(probs, labels)
        pair = torch.from_numpy(probs), torch.from_numpy(labels)
        assert ours.error == pytest.approx(calibration_error(*pair), abs=1e-9)
        assert log_loss(probs, labels) == pytest.approx(negative_log_likelihood(*pair), rel=1e-5)
        assert ours.images.sum() == 60


class TestCell:
    def test_by_class_against_torchmetrics(self):
        predictions = predictions_of(3)
        made = diagnosed(predictions, None)
        pair = torch.from_numpy(predictions.probs), torch.from_numpy(predictions.labels)
        assert made.f1 == pytest.approx(multiclass_f1_score(*pair, 4, average="none").numpy(), abs=1e-6)
        assert made.recalls == pytest.approx(multiclass_recall(*pair, 4, average="none").numpy(), abs=1e-6)
        assert made.scaled is None

    def test_images_without_an_expression_and_classes_without_images(self):
        predictions = predictions_of(3)
        predictions.labels[predictions.labels == 2] = -1
        made = diagnosed(predictions, None)
        assert made.confusion.sum() == (predictions.labels >= 0).sum()
        assert np.isnan(made.f1).tolist() == np.isnan(made.recalls).tolist() == [False, False, True, False]
        assert diagnosed(replace(predictions, labels=np.full(200, -1)), None) is None

    def test_temperature_comes_from_validation_alone(self):
        test, held_out = predictions_of(1), predictions_of(2, ValidationPredictions, sharpness=5.0)
        made = diagnosed(test, held_out)
        assert made.scaled.temperature == pytest.approx(fitted_temperature(held_out.probs, held_out.labels), rel=1e-3)
        again = diagnosed(replace(test, labels=test.labels[::-1].copy()), held_out)
        assert again.scaled.temperature == made.scaled.temperature


@pytest.fixture(scope="module")
def results(shared):
    """The study with an axis of noise, whose complete cells have predictions; each replicate its own."""
    loaded = shared.load("ablation_noise_rate")

    def told(cell):
        seed = int(cell.key[:6], 16)
        sharpness = 3.0 if cell.coordinates["method"] == "one-hot" else 1.0
        return replace(
            cell,
            predictions=lambda: predictions_of(seed, sharpness=sharpness),
            validation=lambda: predictions_of(seed + 1, ValidationPredictions, count=80, sharpness=sharpness),
        )

    return Results(loaded.study, tuple(told(c) if c.complete else c for c in loaded.cells))


class TestKept:
    def test_files_are_read_once_and_again_for_check(self, results):
        asked = []
        cell = next(c for c in results.cells if c.complete)
        spied = replace(cell, predictions=lambda: asked.append(1) or cell.predictions())
        first, second = of_cell(spied), of_cell(spied)
        assert len(asked) == 1
        assert (first.confusion == second.confusion).all()
        assert first.scaled.temperature == second.scaled.temperature
        of_cell(replace(spied, again=True))
        of_cell(replace(spied, scores={"macro_f1": 0.123}))
        assert len(asked) == 3

    def test_what_is_damaged_is_made_anew(self, results, own_cache):
        cell = next(c for c in results.cells if c.complete)
        first = of_cell(cell)
        (kept,) = (own_cache / "diagnostics").iterdir()
        for text in ("{", "[]", '{"confusion": 1, "scaled": null}'):
            kept.write_text(text)
            assert (of_cell(cell).confusion == first.confusion).all()

    def test_incomplete_cells_have_none(self, results):
        assert of_cell(next(c for c in results.cells if not c.complete)) is None


class TestFigures:
    def test_differences_are_paired_with_the_reference_of_the_level(self, results):
        summary = summarise(results)
        panels = confusion_panels(summary)
        assert [(panel.name, panel.is_difference) for panel in panels] == [
            ("noise=0, method=one-hot", False),
            ("noise=0, method=Euclidean", True),
            ("noise=0, method=Gaussian", True),
            ("noise=0.3, method=one-hot", False),
            ("noise=0.3, method=Euclidean", True),
            ("noise=0.3, method=Gaussian", True),
        ]
        ours, theirs = ({c.replicate: of_cell(c) for c in results.of({"noise": "0.3", "method": m}) if c.complete}
                        for m in ("Gaussian", "one-hot"))  # fmt: skip
        both = sorted(ours.keys() & theirs.keys())
        assert panels[5].replicates == len(both) == 3  # one of each is missing
        expected = np.mean([ours[r].shares - theirs[r].shares for r in both], axis=0)
        assert panels[5].values_KK == pytest.approx(expected)
        assert panels[5].values_KK.sum(1) == pytest.approx(0)

    def test_overconfident_models_are_cooled(self, results):
        panels = {panel.name: panel for panel in reliability_panels(summarise(results))}
        sharp = panels["noise=0, method=one-hot"]
        assert min(sharp.temperatures) > 1.3
        assert sharp.error_after.mean < sharp.error.mean
        assert sharp.before.images.sum() == sharp.after.images.sum() == 5 * 200

    def test_why_nothing_is_scaled(self, results):
        cells = tuple(replace(c, validation=lambda: None) for c in results.cells)
        figure, caption = reliability_figure(summarise(Results(results.study, cells)))
        assert "No temperature is fitted: the runs, of an earlier version, kept no predictions" in caption
        assert "scaled" not in " ".join(axes.get_title() for axes in figure.axes)
        study = replace(results.study, protocol="last")
        assert "holds out no validation images" in reliability_figure(summarise(Results(study, cells)))[1]

    def test_cells_without_predictions_are_counted(self, results):
        first = next(c for c in results.cells if c.complete)
        cells = tuple(replace(c, predictions=lambda: None) if c is first else c for c in results.cells)
        assert (
            "1 complete cell without readable predictions is left out"
            in classes_figure(summarise(Results(results.study, cells)))[1]
        )

    def test_runs_without_predictions_have_none_of_it(self, shared):
        summary = summarise(shared.load("ablation_alpha"))
        stems = [picture.stem for picture in draw_pictures(summary, "s")]
        assert not {"s_classes", "s_confusion", "s_reliability"} & set(stems)
        assert diagnostic_files(summary) == {}

    def test_nothing_overlaps_or_is_cut(self, results):
        pictures = draw_pictures(summarise(results), "s")
        for picture in pictures:
            if picture.stem not in ("s_classes", "s_confusion", "s_reliability"):
                continue
            picture.figure.draw_without_rendering()
            boxes = [axes.title.get_window_extent() for axes in picture.figure.axes if axes.get_title()]
            assert all(box.x0 >= 0 and box.x1 <= picture.figure.bbox.width for box in boxes), picture.stem
            assert not any(
                one.overlaps(two) for i, one in enumerate(boxes) for two in boxes[:i] if one.width * two.width
            )


class TestFiles:
    def rows(self, text):
        return list(csv.DictReader(io.StringIO(text)))

    def test_numbers_of_every_arm(self, results):
        files = diagnostic_files(summarise(results))
        cells = [of_cell(c) for c in results.of({"noise": "0.1", "method": "Gaussian"})]
        row = next(
            r for r in self.rows(files["ablation_noise_rate_classes.csv"])
            if (r["noise"], r["method"], r["class"]) == ("0.1", "Gaussian", "sadness")
        )  # fmt: skip
        assert float(row["f1_mean"]) == pytest.approx(np.mean([c.f1[2] for c in cells]), rel=1e-5)
        assert float(row["recall_std"]) == pytest.approx(np.std([c.recalls[2] for c in cells], ddof=1), rel=1e-5)
        assert len(row["runs"].split()) == int(row["n"]) == 5
        row = next(
            r for r in self.rows(files["ablation_noise_rate_calibration.csv"])
            if (r["noise"], r["method"]) == ("0.1", "Gaussian")
        )  # fmt: skip
        assert float(row["temperature_mean"]) == pytest.approx(np.mean([c.scaled.temperature for c in cells]), rel=1e-5)
        assert float(row["ece_scaled_mean"]) == pytest.approx(
            np.mean([c.scaled.reliability.error for c in cells]), rel=1e-5
        )
        pairs = [r for r in self.rows(files["ablation_noise_rate_confusion.csv"]) if r["noise"] == "0.1"]
        assert len(pairs) == 3 * 16
        reference = [r for r in pairs if r["method"] == "one-hot"]
        assert {r["difference"] for r in reference} == {""}
        assert {r["reference"] for r in pairs if r["method"] == "Gaussian"} == {"noise=0.1, method=one-hot"}

    def test_check_finds_a_changed_digit_and_a_left_over(self, results, tmp_path, monkeypatch):
        monkeypatch.setattr("raysweep.report.figures.catalog.FIGURES", {"classes": FIGURES["classes"]})
        write_report(results, tmp_path / "report")
        assert stale_files(results, tmp_path / "report") == []
        file = tmp_path / "report" / "ablation_noise_rate_classes.csv"
        file.write_text(file.read_text().replace("0.", "1.", 1))
        assert stale_files(results, tmp_path / "report") == ["ablation_noise_rate_classes.csv (differs)"]
        without = Results(results.study, tuple(replace(c, predictions=lambda: None, again=True) for c in results.cells))
        assert "ablation_noise_rate_classes.csv (left over)" in stale_files(without, tmp_path / "report")
        write_report(without, tmp_path / "report")
        assert not file.exists()
