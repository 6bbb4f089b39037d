"""Studies with an extra data set (DCJT): what is read, said and shown of the labels that are adapted."""

import json
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from raysweep.artifacts.adapted_labels import AdaptedLabels
from raysweep.artifacts.study_record import StudyRecord
from raysweep.metrics.registry import METRICS, OWN_VA, needing
from raysweep.plotting import adapted_labels as label_pictures
from raysweep.plotting.scores import draw_shares
from raysweep.report import Results, build_report, summarise
from raysweep.report.figures.adapted_labels import MOST_ARMS, arm_planes, truth_panels
from raysweep.report.figures.scores import dependence, drawn_axis
from raysweep.report.results.load import headline_scores
from raysweep.report.tables.arms import results_table
from raysweep.report.text.caption import caption, notes
from raysweep.report.text.caption_joint import joint_recipe
from raysweep.tracking.writer import _json_within
from tests.report.conftest import CENTRES, METHODS, SHIFTS, adapted_labels, method_scores

CLASSES = ("neutral", "happiness", "sadness", "surprise")
DCJT = {"shift": "strong", "method": "DCJT"}


@pytest.fixture
def methods(shared):
    return shared.load("dcjt_methods")


def notes_of(results):
    return " ".join(text for _, text in notes(summarise(results)))


class TestScores:
    def test_all_have_a_title_and_a_direction(self):
        assert set(needing("labels")) <= METRICS.keys()

    def test_test_score_counts_where_both_exist(self):
        assert headline_scores({"labels/ece": 0.3, "test/ece": 0.1, "labels/pseudo_ccc": 0.9}) == {
            "ece": 0.1,
            "pseudo_ccc": 0.9,
        }

    def test_read_from_the_cells_that_have_them(self, methods):
        cell = methods.of(DCJT)[2]
        assert {name: cell.scores[name] for name in needing("labels") if name not in OWN_VA.values()} == pytest.approx(
            method_scores(DCJT, 2)
        )
        assert not set(needing("labels")) & methods.of({"shift": "strong", "method": "SCN joint"})[2].scores.keys()

    def test_an_arm_without_them_is_a_dash_and_no_remark(self, methods):
        summary = summarise(methods)
        table = results_table(summary)
        index = [column.title for column in table.columns].index("share of B kept")
        shown = {(row[0].text, row[1].text): row[index].plain for row in table.rows}
        assert shown[("strong", "target only")] == "–"
        assert shown[("strong", "DCJT")].startswith("0.30")
        assert summary.remarks == ()

    def test_a_cell_that_lacks_what_its_arm_has_is_a_remark(self, methods):
        spoilt = methods.of(DCJT)[1]
        scores = {name: value for name, value in spoilt.scores.items() if name != "kept_share"}
        cells = tuple(replace(c, scores=scores) if c is spoilt else c for c in methods.cells)
        assert summarise(Results(methods.study, cells)).remarks == (
            "1 complete cell has no finite kept_share and is left out of its mean.",
        )


class TestRead:
    def test_labels_are_read_on_demand(self, methods):
        arrays = methods.of(DCJT)[3].labels().arrays()
        written = adapted_labels(SHIFTS["strong"], 3).arrays()
        assert arrays.keys() == written.keys()
        assert all(np.array_equal(arrays[name], written[name]) for name in written)

    def test_none_where_there_are_none(self, methods, shared):
        assert methods.of({"shift": "none", "method": "target only"})[0].labels() is None
        assert shared.load("ablation_alpha").cells[0].labels() is None

    def test_a_damaged_file_is_one_sentence(self, tracking, fabricate, capsys):
        study = fabricate("damaged", {"a": ("b",)}, {}, lambda where: 0.5, replicates=1, epochs=1)
        study.labels = lambda where, replicate: adapted_labels(0.1)
        cell = tracking.write(study).load("damaged").cells[0]
        for file in (tracking.folder / "artifacts").rglob("labels.npz"):
            file.write_bytes(b"PK not a zip")
        assert cell.labels() is None
        assert "passed over labels.npz of run" in capsys.readouterr().err

    def test_config_of_every_cell(self, methods):
        assert {c.config["joint.extra"] for c in methods.cells} == {"faces-none", "faces-moderate", "faces-strong"}

    def test_extras_are_optional_and_distinct(self):
        plan = METHODS.plan()
        plan["data"]["extras"] *= 2
        assert [extra.name for extra in StudyRecord.read(plan, "x").data.extras] == [
            "faces-none",
            "faces-moderate",
            "faces-strong",
        ]
        del plan["data"]["extras"]
        assert StudyRecord.read(plan, "x").data.extras == ()

    def test_a_note_with_a_tag_of_another_kind(self, methods):
        from raysweep.report.results.load import _sentences

        assert _sentences('["a", "b"]') == ("a", "b")
        assert _sentences("cut [") == ("cut [",)

    def test_notes_are_cut_to_whole_sentences(self):
        sentences = ["x" * 100] * 100
        text = _json_within(sentences, 4000)
        assert len(text) <= 4000
        assert json.loads(text) == sentences[: len(json.loads(text))]


class TestWords:
    def test_caption(self, methods):
        text = " ".join(caption(summarise(methods)))
        assert "and 800 test images; extra data: faces-none (6,000 training images), faces-moderate" in text
        assert "Note on faces-none, faces-moderate and faces-strong: B's raters have habits of their own." in text
        assert (
            "Joint training (DCJT): lambda = 15 (squared errors of V and A averaged), warm-up on A alone for 30 epochs"
            ", then B joins every 10 epochs, as a pass after A's, each of its images once." in text
        )
        assert "Gaussians" not in text  # one-hot labels without class weights

    def test_only_what_all_dcjt_cells_share_is_said(self):
        config = {
            "joint.method": "dcjt",
            "joint.schedule": "joint",
            "joint.extra_part": "all",
            "joint.warm_up": "0.25",
            "joint.frequency": "10.0",
            "joint.unit": "batch",
            "joint.draw": "balanced",
            "objective.weight_va": "15.0",
            "objective.va_reduction": "mean",
        }
        other = {**config, "joint.frequency": "5.0", "objective.weight_va": "1.0"}
        assert joint_recipe([config, other, {"joint.method": "target", "joint.unit": "epoch"}]) == [
            "Joint training (DCJT): warm-up on A alone for 25 % of the epochs, B joins batch by batch with A, its "
            "classes drawn evenly, as in the authors' code."
        ]
        concatenated = {**config, "joint.schedule": "concatenate"}
        assert joint_recipe([concatenated]) == [
            "Joint training (DCJT): lambda = 15 (squared errors of V and A averaged)."
        ]
        assert joint_recipe([{"joint.method": "target"}, {}]) == []

    def test_statistics_are_named_where_any_cell_uses_them(self, methods):
        cells = tuple(
            replace(c, config={**c.config, "objective.class_weights": "hard"}) if c.arm.endswith("DCJT") else c
            for c in methods.cells
        )
        assert "class weights come from the clean labels" in " ".join(caption(summarise(Results(methods.study, cells))))

    def test_label_notes_name_their_arms_once(self, methods):
        text = notes_of(methods)
        assert text.count("EDCLM fell back") == 1
        assert "contempt (4 samples in B) (shift=strong, method=DCJT, numbers vary with the cell)." in text

    def test_label_notes_of_every_arm(self, methods):
        cells = tuple(replace(c, label_notes=("B has no VA.",)) for c in methods.cells)
        assert "Labels: B has no VA (every arm)." in notes_of(Results(methods.study, cells))

    def test_many_label_notes_are_cut(self, methods):
        cells = tuple(replace(c, label_notes=(f"odd {'x' * i}",)) for i, c in enumerate(methods.cells[:40], 1))
        assert "33 more notes on labels" in notes_of(Results(methods.study, (*cells, *methods.cells[40:])))

    def test_the_paper_knows_no_shift(self, methods):
        assert "The paper does not vary shift: its numbers repeat." in notes_of(methods)


class TestArrays:
    def test_planes(self):
        labels = adapted_labels(0.2, count=400)
        found = labels.planes(4)
        assert list(found) == ["pseudo", "given", "adapted"]
        assert np.abs(found["pseudo"].centres_K2 - CENTRES).max() < 0.05
        mean = labels.extra_va_given[labels.extra_labels_given == 1].mean(0)
        assert found["given"].centres_K2[1] == pytest.approx(mean, abs=1e-6)
        assert np.abs(found["adapted"].centres_K2 - CENTRES).max() < 0.12

    def test_any_subset_of_the_arrays(self):
        whole = adapted_labels(0.2)
        for name in whole.arrays():
            rest = replace(whole, **{name: None})
            assert isinstance(rest.planes(4), dict)
            rest.pseudo_pairs(), rest.va_errors(), rest.confusions(4)
        none = AdaptedLabels()
        assert none.planes(4) == {}
        assert none.pseudo_pairs() is none.va_errors() is none.confusions(4) is None

    def test_unknown_points_are_left_out_and_absent_classes_have_no_centre(self):
        va = np.array([[0.1, 0.2], [np.nan, 0.0], [0.3, 0.4]])
        found = AdaptedLabels(target_va=va, target_labels=np.array([0, 0, -1])).planes(3)["pseudo"]
        assert found.count == 1
        assert found.centres_K2[0] == pytest.approx([0.1, 0.2])
        assert np.isnan(found.centres_K2[1:]).all()

    def test_errors_and_confusions_are_of_the_remainder(self):
        labels = AdaptedLabels(
            extra_labels_given=np.array([0, 1, 1]),
            extra_labels_new=np.array([0, 0, 1]),
            extra_truth_labels=np.array([0, 0, 1]),
            extra_va_given=np.array([[0.0, 0], [0.3, 0.4], [0, 1]]),
            extra_va_new=np.array([[0.0, 0], [0, 0.1], [0, 0]]),
            extra_truth_va=np.zeros((3, 2)),
            extra_selected=np.array([True, False, False]),
        )
        errors, counts = labels.va_errors(), labels.confusions(2)
        assert errors.before == pytest.approx([0.5, 1])
        assert errors.after == pytest.approx([0.1, 0])
        assert counts.before.tolist() == [[0, 1], [0, 1]]
        assert counts.after.tolist() == [[1, 0], [0, 1]]
        assert replace(labels, extra_selected=None).confusions(2).before.sum() == 3

    def test_subsample_is_the_same_every_time(self):
        assert len(label_pictures.some_of(10_000)) == 4000
        assert np.array_equal(label_pictures.some_of(10_000), label_pictures.some_of(10_000))
        assert sorted(label_pictures.some_of(7)) == list(range(7))


class TestPicturesOfACell:
    def draw(self, labels, folder):
        label_pictures.draw_labels(labels, CLASSES, folder)
        return {file.name for file in folder.glob("*.png")}

    def test_both(self, tmp_path):
        assert self.draw(adapted_labels(0.3), tmp_path) == {"labels_va.png", "labels_truth.png"}

    def test_real_data_has_no_truth(self, tmp_path):
        labels = replace(adapted_labels(0.3), target_truth_va=None, extra_truth_va=None, extra_truth_labels=None)
        assert self.draw(labels, tmp_path) == {"labels_va.png"}

    def test_parts_of_the_truth(self, tmp_path):
        parts = adapted_labels(0.3).arrays()
        parts = {n: a for n, a in parts.items() if n.startswith("target") or n == "extra_labels_given"}
        assert self.draw(AdaptedLabels(**parts), tmp_path) == {"labels_va.png", "labels_truth.png"}

    def test_nothing_to_show(self, tmp_path):
        assert self.draw(AdaptedLabels(extra_selected=np.zeros(3, dtype=bool)), tmp_path) == set()

    def test_a_share_that_rounds_to_one_is_written_as_one(self):
        axes = Figure().subplots()
        draw_shares(axes, np.array([[399, 1], [0, 7]]))
        assert [text.get_text() for text in axes.texts] == ["1", ".00", "1"]

    def test_the_writer_logs_file_and_pictures(self, tracking, fabricate, monkeypatch):
        monkeypatch.setattr("raysweep.tracking.writer.draw_labels", label_pictures.draw_labels)
        study = fabricate("one", {"method": ("a", "b")}, {}, lambda where: 0.5, replicates=1, epochs=1)
        study.labels = lambda where, replicate: adapted_labels(0.1) if where["method"] == "a" else None
        files = [
            {file.path for file in tracking.client.list_artifacts(cell.run_id)}
            for cell in tracking.write(study).load("one").cells
        ]
        assert files[0] >= {"labels.npz", "labels_va.png", "labels_truth.png", "predictions.npz", "result.json"}
        assert files[1] == {"config.json", "predictions.npz", "result.json"}


class TestFigures:
    def test_planes_of_arms_that_differ(self, methods):
        arms = arm_planes(summarise(methods))
        assert [arm.name for arm in arms] == [f"shift={shift}\nmethod=DCJT" for shift in SHIFTS]
        assert {arm.replicate for arm in arms} == {0}
        assert list(arms[0].planes) == ["pseudo", "given", "adapted"]

    def test_equal_labels_are_shown_once_and_at_most_some(self, methods):
        same = {
            "equal": adapted_labels(0.1),
            "other": [adapted_labels(0.1, seed) for seed in range(len(methods.cells))],
        }
        alike = tuple(replace(c, labels=lambda: same["equal"]) for c in methods.cells)
        assert len(arm_planes(summarise(Results(methods.study, alike)))) == 1
        differ = tuple(
            replace(c, labels=lambda a=arrays: a) for c, arrays in zip(methods.cells, same["other"], strict=True)
        )
        assert len(arm_planes(summarise(Results(methods.study, differ)))) == MOST_ARMS

    def test_truth_panels(self, methods):
        panels = truth_panels(summarise(methods))
        assert [panel.score for panel in panels] == ["pseudo_rmse", "kept_right", "relabelled_right", "mapped_va_rmse"]
        assert [(row.name, row.group) for row in panels[1].rows] == [("DCJT", f"shift={shift}") for shift in SHIFTS]
        assert panels[0].rows[0].before is None
        strong = panels[3].rows[2]
        assert strong.before.n == strong.after.n == 5
        assert strong.before.mean > strong.after.mean

    def test_rows_of_a_group_stand_together(self, methods):
        axes = methods.study.axes[::-1]  # the compared axis varies slowest
        cells = tuple(replace(c, coordinates=dict(reversed(c.coordinates.items()))) for c in methods.cells)
        cells = tuple(replace(c, scores=c.scores | {"pseudo_rmse": 0.1}) for c in cells)
        summary = summarise(Results(replace(methods.study, axes=axes), cells))
        groups = [row.group for row in truth_panels(summary)[0].rows]
        assert groups == [f"shift={shift}" for shift in SHIFTS for _ in range(4)]

    def test_several_compared_axes_are_one_name(self, methods):
        study = replace(methods.study, reference={"shift": "none", "method": "target only"})
        rows = truth_panels(summarise(Results(study, methods.cells)))[0].rows
        assert [(row.name, row.group) for row in rows] == [(f"{shift}, DCJT", "") for shift in SHIFTS]

    def test_no_truth_no_panels(self, shared):
        summary = summarise(shared.load("ablation_alpha"))
        assert truth_panels(summary) == []
        assert arm_planes(summary) == []

    def test_levels_in_words_are_places(self, methods):
        data = dependence(summarise(methods))
        assert drawn_axis(methods.study).name == "shift"
        assert [panel.score for panel in data.panels] == ["accuracy", "macro_f1", "ece"]
        lines = {line.name: line for line in data.panels[0].lines}
        assert next(iter(lines)) == "target only"
        assert lines["target only"].is_reference
        assert [point.x for point in lines["DCJT"].points] == [0, 1, 2]
        assert data.paper == ()  # the paper has no such axis

    def test_one_axis_of_words_has_no_such_figure(self, methods):
        assert drawn_axis(replace(methods.study, axes=methods.study.axes[1:])) is None

    def test_written(self, written):
        report, folder = written["dcjt_methods"]
        names = {path.name for path in report.paths}
        for figure in ("scores", "differences", "truth", "labels"):
            assert {f"dcjt_methods_{figure}.png", f"dcjt_methods_{figure}.pdf"} <= names
        assert "figures/dcjt_methods_labels.png" in (folder / "dcjt_methods.md").read_text()

    def test_bytes_are_stable(self, written, shared, tmp_path):
        report, _ = written["dcjt_methods"]
        again = build_report("dcjt_methods", tmp_path, shared.uri)
        for old, new in zip(report.paths, again.paths, strict=True):
            assert old.read_bytes() == new.read_bytes(), old.name


class TestThreeAxes:
    @pytest.fixture
    def mapping(self, tracking):
        study = replace(
            METHODS,
            name="dcjt_table2",
            axes={
                "pseudo VA": ("CLE", "CLS"),
                "remainder": ("original", "relabelled"),
                "mapping": ("none", "GCLM", "EDCLM"),
            },
            reference={"mapping": "none"},
            published="dcjt_table2",
            title="Mapping & relabelling, 100 % of B",
            level=lambda where: 0.6 + 0.02 * (where["mapping"] == "EDCLM"),
            columns=("accuracy", "mapped_va_rmse"),
            replicates=2,
            epochs=1,
            config=None,
            labels=None,
            label_notes=None,
            label_scores=lambda where, replicate: {"given_va_rmse": 0.2, "mapped_va_rmse": 0.1 + 0.01 * replicate},
        )
        return tracking.write(study)

    def test_report(self, mapping, tmp_path):
        report = build_report("dcjt_table2", tmp_path, mapping.uri)
        summary = summarise(mapping.load("dcjt_table2"))
        assert dependence(summary) is None
        rows = {tuple(entry.text for entry in row[:3]): row for row in results_table(summary).rows}
        assert rows[("CLS", "relabelled", "EDCLM")][-1].text == "0.8774"  # of the encoder that is ours, ResNet-18
        assert not any(entry.text == "0.9224" for row in rows.values() for entry in row)
        names = {path.name for path in report.paths}
        assert {"dcjt_table2_truth.png", "dcjt_table2_differences.png"} <= names
        assert r"Mapping \& relabelling, 100 \% of B" in (tmp_path / "dcjt_table2_paper.tex").read_text()
