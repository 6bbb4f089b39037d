"""A printed number is compared with ours only where data, encoder and recipe are the paper's; else: what differs."""

import json
from dataclasses import replace

import pytest
import torch

from raysweep.artifacts.study_record import StudyRecord
from raysweep.config.sections import Data
from raysweep.core.errors import UserError
from raysweep.core.formatting import arm_name
from raysweep.data.dataset import DatasetInfo, FaceData
from raysweep.data.expressions import EXPRESSIONS
from raysweep.data.kind import kind_of
from raysweep.data.load import load_data
from raysweep.report.figures.scores import dependence
from raysweep.report.published import PUBLISHED
from raysweep.report.published.comparable import NOT_RECIPE, _phrase, comparable, differences, printed
from raysweep.report.render.csv_files import scores_csv
from raysweep.report.results.aggregate import summarise
from raysweep.report.results.records import CellRecord, Results
from raysweep.report.tables.arms import results_table
from raysweep.report.tables.datasets import together_table
from raysweep.report.tables.declared import declared_tables
from raysweep.report.text.caption import caption, notes
from raysweep.study import Axis, Study, find_study, make_cells
from raysweep.study.cells import with_axis, with_fixed
from raysweep.study.identity import SetIdentity
from raysweep.study.plan import Plan
from tests.data.readers.trees import TREES

SEVEN = EXPRESSIONS[:7]
AFFECTNET = ("affectnet-224", "affectnet", EXPRESSIONS)
RAFDB, CAERS, B = ("rafdb", "rafdb", SEVEN), ("caers", "caers", SEVEN), ("affectnet-7", "affectnet", SEVEN)
FERPLUS = ("ferplus", "ferplus", EXPRESSIONS)
KINDS = {"affectnet": AFFECTNET, "affwild": ("affwild", "affwild", SEVEN), "morphset": ("morphset", "morphset", SEVEN),
         "rafdb": RAFDB, "caers": CAERS, "ferplus": FERPLUS}  # fmt: skip


def faces(name, kind, classes, **options):
    count, nan = len(classes), float("nan")
    options = options or ({"gaussians": "affectnet", "gaussians_reader": "affectnet"} if kind == "affwild" else {})
    info = DatasetInfo() if kind == "faces" else DatasetInfo(reader=kind, options=options)
    return FaceData(
        name, tuple(classes), torch.zeros(count, 3, 4, 4, dtype=torch.uint8), torch.arange(count),
        torch.full((count, 2), nan), torch.full((count, count), nan), torch.full((count,), -1),
        torch.zeros(count, dtype=torch.int64), f"print of {name}", info=info,
    )  # fmt: skip


def planned(study, data=AFFECTNET, changes=None, extras=(), target=None, preset="paper", axes=()):
    """The summary of a launch on such data sets, of which no cell has run yet: through the plan that MLflow keeps."""
    name, study = (study, find_study(study)[1]) if isinstance(study, str) else ("mine", study)
    for axis, words in axes:
        study = with_axis(study, axis, words)
    study, left = with_fixed(study.at(preset), changes or {})
    source = (target or data)[0]
    cells = make_cells(study, preset, [0], {"data.source": source, **left})
    others = [faces(*of) for of in extras] + ([faces(*target)] if target else [])
    scored = faces(*data)
    used = [SetIdentity(own.name, own.fingerprint, own.name) for own in (scored, *others)]
    plan = Plan(name, study, preset, cells, scored, others, {}, frozenset(), [], used=used,
                first=others[-1] if target else None)  # fmt: skip
    record = StudyRecord.read(json.loads(json.dumps(plan.record("command").describe())), "launch")
    rows = (CellRecord(c.coordinates, c.arm, c.replicate, c.key) for c in record.cells)
    return summarise(Results(record, tuple(rows)))


def said(summary):
    return " ".join(words for _, words in notes(summary) if "comparable" in words or "unknown" in words)


def number(summary, dataset, **where):
    (arm,) = [a.coordinates for a in summary.arms if where.items() <= a.coordinates.items()]
    score = PUBLISHED[summary.study.published].scores(dataset)[0]
    return printed(summary, dataset, arm, score), comparable(summary, dataset, arm)


PLACES = [(name, dataset) for name, table in PUBLISHED.items() for dataset in table.settings]


@pytest.mark.parametrize(("name", "dataset"), PLACES)
def test_the_paper_s_arms_on_the_paper_s_data_are_comparable_every_one(name, dataset, tmp_path):
    table = PUBLISHED[name]
    setting = table.settings[dataset]
    encoder = {"model.backbone": setting.encoder} if setting.encoder else {}
    extras = {"joint.extra": "+".join("affectnet-7" if k == "affectnet" else k for k in setting.extras)}
    tuned = {"joint.finetune": setting.data} if setting.target else {}
    changes = {**encoder, **(extras if setting.extras else {}), **tuned}
    sets = [B if kind == "affectnet" else KINDS[kind] for kind in setting.extras]
    data = KINDS[setting.data] if setting.classes in (None, EXPRESSIONS) else (setting.data, setting.data, SEVEN)
    target = KINDS[setting.target] if setting.target else None
    study = find_study(table.study)[1]
    axes = []
    for axis in study.axes:
        for level in axis.offered:
            if level.endswith("MS-Celeb") and "resnet18" in encoder.values():
                parts = [*axis.levels, f"{level}={tmp_path / 'msceleb.pth'}"]
                axes.append((axis.name, [word_of(text) for text in parts]))
    summary = planned(table.study, data, changes, sets, target, axes=axes)
    assert summary.study.published == name
    with_number = [arm for arm in summary.arms
                   if dataset not in table.rows or any(printed(summary, dataset, arm.coordinates, s)
                                                       for s in table.scores(dataset))]  # fmt: skip
    assert len(with_number) >= len(table.rows.get(dataset, [1]))
    for arm in with_number:
        assert differences(summary, dataset, arm.coordinates).none, arm.name
    assert f"{dataset}: comparable with ours" in said(summary) or f"{dataset} and " in said(summary)


def word_of(text):
    from raysweep.config.values import Word

    return Word(text)


class TestData:
    def test_seven_classes_of_affectnet_are_not_the_table_of_eight(self):
        summary = planned("ablation_alpha", ("affectnet-7", "affectnet", SEVEN))
        assert number(summary, "AffectNet", alpha="0.5") == ("0.333", False)
        assert "AffectNet: not comparable with ours (7 expressions instead of 8" in said(summary)
        assert not any("same data" in column.group for column in together_table([summary]).columns)

    @pytest.mark.parametrize("data", [
        ("affectnet-mine", "csv", EXPRESSIONS),
        ("affectnet", "csv", EXPRESSIONS),
        ("affectnet", "folder", EXPRESSIONS),
        ("affectnet", "", EXPRESSIONS),
        ("AffectNet-8", "ferplus", EXPRESSIONS),
        ("affectnet", "affectnet", EXPRESSIONS[1:]),
        ("affectnet", "affectnet", (*EXPRESSIONS[:7], "calm")),
    ])  # fmt: skip
    def test_a_set_that_is_merely_called_so_is_another(self, data):
        summary = planned("ablation_alpha", data)
        assert number(summary, "AffectNet", alpha="0.5") == ("0.333", False)
        assert dependence(summary) is None or not any(panel.paper for panel in dependence(summary).panels)
        assert not any("same data" in column.group for column in together_table([summary]).columns)

    @pytest.mark.parametrize(("name", "same"), [("Aff-Wild", True), ("affwild2", False), ("aff-wild2-224", False),
                                                ("affwild-mine", False), ("aff_wild", True)])  # fmt: skip
    def test_in_a_plan_that_names_no_reader_the_whole_name_decides_and_that_is_said(self, name, same):
        new = planned("ablation_noise_rate", (name, "affwild", SEVEN))
        record = replace(new.study, data=replace(new.study.data, kind=None))
        summary = replace(new, study=record)
        assert any("same data" in c.group for c in together_table([summary]).columns) == same
        assert not comparable(summary, "Aff-Wild", summary.arms[0].coordinates)
        unknown = "Aff-Wild: whether ours may be compared with these numbers is unknown" in said(summary)
        assert unknown == same
        assert f"(scored on {name})." in said(summary)

    def test_a_class_that_was_counted_as_another_is_told(self):
        changes = {"data.map": "contempt:disgust"}
        summary = planned("ablation_noise_rate", ("morphset", "morphset", SEVEN), changes)
        assert "data.map contempt:disgust instead of none" in said(summary)

    def test_photographs_of_raf_db_that_nobody_aligned(self):
        summary = planned("dcjt_methods", RAFDB, {"joint.extra": "affectnet-7"}, [B])
        data = replace(summary.study.data, options=(("images", "original"),))
        other = replace(summary, study=replace(summary.study, data=data))
        assert "RAF-DB read with images=original" in said(other)
        assert "images=original" not in said(summary)

    @pytest.mark.parametrize(("reader", "kind"), [("affectnet", "affectnet"), ("rafdb", "rafdb"), ("caers", "caers"),
                                                  ("morphset", "morphset"), ("ferplus", "ferplus")])  # fmt: skip
    def test_what_a_reader_knows_is_kept_with_the_set(self, tmp_path, reader, kind):
        root = tmp_path / {"caers": "CAER-S", "morphset": "MorphSet"}.get(reader, "release")
        root.mkdir()
        TREES[reader](root)
        try:
            data = load_data(Data(source=str(root), image_size=32))
        except UserError:
            pytest.skip("the tree's images are not there")
        assert kind_of(data) == kind

    def test_a_folder_that_is_called_nearly_so_is_the_user_s(self, tmp_path):
        for name in ("caer-mine", "CAER"):
            (tmp_path / name).mkdir()
            TREES["caers"](tmp_path / name)
            assert kind_of(load_data(Data(source=str(tmp_path / name), image_size=32))) == "folder"

    @pytest.mark.parametrize("stem", ["affectnet", "rafdb", "morphset-mine"])
    def test_a_list_of_the_user_s_is_that_whatever_it_is_called(self, tmp_path, stem):
        from PIL import Image

        lines = ["image,label,valence,arousal,subject"]
        for number, name in enumerate(SEVEN * 3):
            Image.new("L", (32, 32), 9 * number).save(tmp_path / f"{number}.png")
            lines.append(f"{number}.png,{name},0.1,{number / 100},s{number}")
        (tmp_path / f"{stem}.csv").write_text("\n".join(lines))
        data = load_data(Data(source=str(tmp_path / f"{stem}.csv"), image_size=32))
        assert (data.name, kind_of(data)) == (stem.removesuffix("-mine"), "csv")

    def test_built_in_faces_are_that(self):
        assert kind_of(load_data(Data(source="faces", image_size=32, train_images=16, test_images=16))) == "faces"


class TestEncoder:
    @pytest.mark.parametrize("order", [("resnet18", "arm"), ("arm", "resnet18")])
    def test_each_arm_has_the_number_of_its_own_encoder(self, order):
        axes = [("model.backbone", [word_of(text) for text in order])]
        summary = planned("dcjt_methods", RAFDB, {"joint.extra": "affectnet-7"}, [B], axes=axes)
        table = together_table([summary])
        column = [c.full_title for c in table.columns].index("paper, same data: accuracy")
        at = [axis.name for axis in summary.study.axes].index("backbone") + 1
        found = {(row[at].text, row[2].text): row[column].text for row in table.rows}
        assert [found["arm", m] for m in ("target only", "combination", "DCJT")] == ["0.9042", "0.8927", "0.9224"]
        assert [found["resnet18", m] for m in ("target only", "combination", "DCJT")] == ["0.8625", "0.8462", "0.8774"]
        own = results_table(summary)
        of_arm = [c.full_title for c in own.columns].index("paper, RAF-DB, ARM: accuracy")
        assert {row[of_arm].text for row in own.rows if row[at - 1].text == "resnet18"} == {"–"}
        assert said(summary).count("comparable with ours, which have") == 1
        on_caers = "CAER-S, ResNet-18: not comparable with ours (scored on rafdb (RAF-DB)"
        assert on_caers in said(summary)

    @pytest.mark.parametrize("order", [("resnet18", "arm"), ("arm", "resnet18")])
    @pytest.mark.parametrize(("study", "where", "numbers"), [
        ("dcjt_pseudo_labels", ("A", "DL"), {"resnet18": "0.8625", "arm": "0.9042"}),  # Table 1
        ("dcjt_pseudo_labels", ("A + subset", "DL & CLS"), {"resnet18": "0.8758", "arm": "0.9172"}),
        ("dcjt_mapping", ("CLS", "relabelled", "EDCLM"), {"resnet18": "0.8774", "arm": "0.9224"}),  # Table 2
        ("dcjt_mapping", ("CLE", "original", "none"), {"resnet18": "0.8627", "arm": "0.9061"}),
    ])  # fmt: skip
    def test_so_in_tables_1_and_2_whichever_encoder_comes_first(self, study, where, numbers, order):
        axes = [("model.backbone", [word_of(text) for text in order])]
        summary = planned(study, RAFDB, {"joint.extra": "affectnet-7"}, [B], axes=axes)
        table = together_table([summary])
        column = [c.full_title for c in table.columns].index("paper, same data: accuracy")
        found = {row[len(where) + 1].text: row[column].text for row in table.rows
                 if tuple(cell.text for cell in row[1 : len(where) + 1]) == where}  # fmt: skip
        assert found == numbers
        assert all(comparable(summary, "RAF-DB, ARM", arm.coordinates) == (arm.coordinates["backbone"] == "arm")
                   for arm in summary.arms)  # fmt: skip

    @pytest.mark.parametrize("first", ["resnet18", "arm"])
    def test_table_8_has_numbers_of_arm_alone_which_the_other_encoder_s_arms_are_not_compared_with(self, first):
        order = [first, *({"resnet18", "arm"} - {first})]
        axes = [("model.backbone", [word_of(text) for text in order])]
        summary = planned("dcjt_extra_size", RAFDB, {"joint.extra": "affectnet-7"}, [B], axes=axes)
        (dataset,) = [d for d in PUBLISHED[summary.study.published].settings if "RAF-DB" in d]
        for arm in summary.arms:
            expected = () if arm.coordinates["backbone"] == "arm" else ("encoder resnet18 instead of arm",)
            assert differences(summary, dataset, arm.coordinates).recipe == expected
        assert "encoder resnet18 instead of arm" in said(summary)

    def test_one_without_a_number_of_its_own_stands_beside_the_recipe_s_and_says_so(self):
        summary = planned("dcjt_methods", RAFDB, {"joint.extra": "affectnet-7", "model.backbone": "resnet50"}, [B])
        assert "encoder resnet50 instead of arm" in said(summary)
        table = together_table([summary])
        column = [c.full_title for c in table.columns].index("paper, same data: accuracy")
        assert "0.9224" in [row[column].text for row in table.rows]

    def test_an_arm_that_sets_its_own_encoder(self):
        """Table 6: ResNet-18, ResNet-50 and Res2Net on CAER-S alone."""
        summary = planned("dcjt_benchmark", CAERS, {"joint.extra": "affectnet-7"}, [B])
        numbers = {arm.name: printed(summary, "CAER-S", arm.coordinates, "accuracy") for arm in summary.arms}
        assert numbers == {
            "method=target only": "0.9154", "method=DCJT": "0.9457", "method=ResNet-18": "0.8467",
            "method=ResNet-50": "0.8481", "method=Res2Net": "0.8535",
        }  # fmt: skip
        assert all(comparable(summary, "CAER-S", arm.coordinates) for arm in summary.arms)

    def test_in_an_older_plan_the_runs_say_which_encoder_an_arm_has(self):
        axes = [("model.backbone", [word_of("resnet18"), word_of("arm")])]
        new = planned("dcjt_methods", RAFDB, {"joint.extra": "affectnet-7"}, [B], axes=axes)
        arms = tuple(
            replace(
                arm, cells=tuple(replace(c, config={"model.backbone": arm.coordinates["backbone"]}) for c in arm.cells)
            )
            for arm in new.arms
        )
        record = replace(new.study, configs={}, data=replace(new.study.data, kind=None))
        summary = replace(new, study=record, arms=arms)
        where = {"method": "DCJT", "backbone": "arm"}
        assert number(summary, "RAF-DB, ARM", **where) == ("0.9224", False)
        assert number(summary, "RAF-DB, ResNet-18", **where) == (None, False)


class TestWeights:
    def test_88_48_stands_beside_the_arm_from_ms_celeb_alone(self, tmp_path):
        parts = [word_of(t) for t in ("target only", "DCJT", f"DCJT from MS-Celeb={tmp_path / 'w.pth'}")]
        changes = {"joint.extra": "affectnet-7", "model.backbone": "resnet18"}
        summary = planned("dcjt_methods", RAFDB, changes, [B], axes=[("method", parts)])
        where = "RAF-DB, ResNet-18"
        assert number(summary, where, method="DCJT from MS-Celeb") == ("0.8848", True)
        assert number(summary, where, method="DCJT") == ("0.8774", True)

    def test_and_in_table_2(self, tmp_path):
        parts = [word_of(t) for t in ("none", "EDCLM", f"EDCLM from MS-Celeb={tmp_path / 'w.pth'}")]
        changes = {"joint.extra": "affectnet-7", "model.backbone": "resnet18"}
        summary = planned("dcjt_mapping", RAFDB, changes, [B], axes=[("mapping", parts)])
        where = {"pseudo VA": "CLS", "remainder": "relabelled"}
        assert number(summary, "RAF-DB, ResNet-18", mapping="EDCLM from MS-Celeb", **where) == ("0.8848", True)
        assert number(summary, "RAF-DB, ResNet-18", mapping="EDCLM", **where) == ("0.8774", True)
        assert [
            a.name for a in summary.arms if number(summary, "RAF-DB, ResNet-18", **a.coordinates)[0] == "0.8848"
        ] == ["pseudo VA=CLS, remainder=relabelled, mapping=EDCLM from MS-Celeb"]

    def test_another_file_for_every_arm_is_no_imagenet(self):
        changes = {"joint.extra": "affectnet-7", "model.weights": "mine.pth"}
        summary = planned("dcjt_methods", RAFDB, changes, [B])
        assert number(summary, "RAF-DB, ARM", shift="affectnet-7", method="DCJT") == ("0.9224", False)
        assert "initial weights mine.pth instead of imagenet" in said(summary)

    def test_without_a_file_the_level_says_what_it_needs(self):
        parts = [word_of(t) for t in ("target only", "DCJT from MS-Celeb")]
        with pytest.raises(UserError, match=r'needs a file.*write "DCJT from MS-Celeb=VALUE"'):
            with_axis(find_study("dcjt_methods")[1], "method", parts)


DDAF_FIELDS = {
    "data.image_size": (48, "48 px instead of 224"),
    "train.epochs": (2, "2 epochs instead of 50"),
    "train.learning_rate": (1e-3, "train.learning_rate 0.001 instead of 0.00025"),
    "data.train_images": (3600, "3,600 training images instead of all"),
    "data.test_images": (800, "800 test images instead of all"),
    "data.leave_out": ("twins", "data.leave_out twins instead of none"),
    "labels.statistics": ("noisy", "labels.statistics noisy instead of clean"),
    "labels.within_std": (None, "labels.within_std none instead of 1"),
    "labels.squared": (False, "labels.squared false instead of true"),
    "labels.noise_kind": ("confusion", "labels.noise_kind confusion instead of symmetric"),
    "labels.va_noise": (0.1, "labels.va_noise 0.1 instead of 0"),
    "labels.alpha": (0.3, "labels.alpha 0.3 instead of 0.5"),
    "model.weights": (None, "initial weights none instead of imagenet"),
    "model.affect": ("linear", "model.affect linear instead of tanh"),
    "objective.class_weights": ("none", "objective.class_weights none instead of hard"),
    "objective.cosine": (False, "objective.cosine false instead of true"),
    "objective.weight_va": (2.0, "objective.weight_va 2 instead of 1"),
    "augment.rotate": (0.0, "augment.rotate 0 instead of 30"),
    "train.batch_size": (64, "train.batch_size 64 instead of 256"),
    "train.swa_start": (0.5, "train.swa_start 0.5 instead of 0.75"),
    "train.precision": ("bfloat16", "train.precision bfloat16 instead of float32"),
    "selection.weights": ("last", "selection.weights last instead of swa"),
    "selection.protocol": ("validation", "selection.protocol validation instead of last"),
}
DCJT_FIELDS = {
    "joint.warm_up": (10, "joint.warm_up 10 instead of 30"),
    "joint.frequency": (5, "joint.frequency 5 instead of 10"),
    "joint.unit": ("batch", "joint.unit batch instead of epoch"),
    "joint.draw": ("balanced", "joint.draw balanced instead of plain"),
    "joint.map_all": (True, "joint.map_all true instead of false"),
    "joint.extra_images": (500, "joint.extra_images 500 instead of none"),
    "joint.extra_share": (0.5, "joint.extra_share 0.5 instead of 1"),
    "joint.extra_weight": (2.0, "joint.extra_weight 2 instead of 1"),
    "joint.labeller_weight_va": (1.0, "joint.labeller_weight_va 1 instead of 15"),
    "objective.weight_va": (100.0, "objective.weight_va 100 instead of 15"),
    "selection.validation_share": (0.5, "selection.validation_share 0.5 instead of 0.15"),
    "train.epochs": (60, "60 epochs instead of 120"),
}


class TestRecipe:
    @pytest.mark.parametrize("path", DDAF_FIELDS)
    def test_a_changed_field_is_named_and_nothing_else(self, path):
        other, words = DDAF_FIELDS[path]
        summary = planned("ablation_noise_rate", AFFECTNET, {path: other})
        assert summary.study.preset == "paper"
        found = [differences(summary, "AffectNet", arm.coordinates) for arm in summary.arms]
        assert any(found)
        assert {word for d in found for word in (*d.data, *d.recipe)} == {words}
        assert words in said(summary)

    @pytest.mark.parametrize("path", DCJT_FIELDS)
    def test_and_of_joint_training(self, path):
        other, words = DCJT_FIELDS[path]
        summary = planned("dcjt_mapping", RAFDB, {"joint.extra": "affectnet-7", path: other}, [B])
        found = [differences(summary, "RAF-DB, ARM", arm.coordinates) for arm in summary.arms]
        assert {word for d in found for word in (*d.data, *d.recipe)} == {words}

    def test_several_fields_stand_in_one_sentence(self):
        changes = {"data.image_size": 48, "train.epochs": 2, "train.learning_rate": 0.01}
        summary = planned("ablation_alpha", AFFECTNET, changes)
        assert (
            "AffectNet: not comparable with ours (48 px instead of 224, 2 epochs instead of 50, "
            "train.learning_rate 0.01 instead of 0.00025)." in said(summary)
        )

    def test_a_field_that_cannot_matter_does_not_count(self):
        """One-hot labels have no distances; without B there is no schedule of it."""
        summary = planned("ablation_noise_rate", AFFECTNET, {"labels.squared": False})
        same = [a.coordinates["method"] for a in summary.arms if comparable(summary, "AffectNet", a.coordinates)]
        assert same == ["one-hot", "Gaussian"] * 4
        changes = {"joint.extra": "affectnet-7", "joint.warm_up": 10}
        summary = planned("dcjt_methods", RAFDB, changes, [B])
        same = [a.coordinates["method"] for a in summary.arms if comparable(summary, "RAF-DB, ARM", a.coordinates)]
        assert same == [
            "target only",
            "extra only",
            "combination",
            "pre-train + fine-tune",
            "SCN on target",
            "SCN joint",
        ]
        assert "at shift=affectnet-7, method=DCJT: joint.warm_up 10 instead of 30" in said(summary)

    @pytest.mark.parametrize("protocol", ["validation", "select_then_retrain", "best_on_test"])
    def test_what_chooses_dcjt_s_epoch_is_said_elsewhere(self, protocol):
        changes = {"joint.extra": "affectnet-7", "selection.protocol": protocol}
        try:
            summary = planned("dcjt_benchmark", RAFDB, changes, [B])
        except UserError:
            pytest.skip("not with an extra set")
        assert all(comparable(summary, "RAF-DB", arm.coordinates) for arm in summary.arms[:2])
        had_all = any("trained on all training images" in words for _, words in notes(summary))
        assert had_all == (protocol == "validation")

    def test_a_level_that_sweeps_a_field_of_the_recipe(self):
        axes = [("train.epochs", [word_of("50"), word_of("2")])]
        summary = planned("ablation_alpha", AFFECTNET, axes=axes)
        assert number(summary, "AffectNet", alpha="0.5", epochs="50") == ("0.333", True)
        assert number(summary, "AffectNet", alpha="0.5", epochs="2") == ("0.333", False)

    def test_a_study_of_one_s_own_is_measured_by_the_paper_s(self):
        """Its base changes the recipe; one of its levels is called as the paper's, and is another."""
        own = find_study("ablation_noise_rate")[1]
        method = Axis(
            "method", {**own.axis("method").levels, "Gaussian": {"labels.method": "euclidean", "labels.squared": False}}
        )
        study = Study("Mine", [own.axis("noise"), method], base={"labels.alpha": 0.5, "train.epochs": 20},
                      published="ddaf_table3", columns=("macro_f1",))  # fmt: skip
        summary = planned(study, AFFECTNET)
        assert "20 epochs instead of 50" in said(summary)
        arm = {"noise": "0", "method": "Gaussian"}
        assert "labels.method euclidean instead of gaussian" in differences(summary, "AffectNet", arm).recipe

    def test_caer_s_has_a_recipe_of_its_own(self):
        summary = planned("dcjt_methods", CAERS, {"joint.extra": "affectnet-7"}, [B])
        where = {"method": "DCJT"}
        assert number(summary, "CAER-S, ARM", **where) == ("0.9457", True)
        assert not number(summary, "RAF-DB, ARM", **where)[1]

    def test_every_field_that_does_not_count_has_its_reason(self):
        assert all(NOT_RECIPE.values())


class TestExtras:
    def test_drawn_faces_are_not_affectnet(self):
        summary = planned("dcjt_benchmark", RAFDB, extras=[("faces-b-moderate", "faces", SEVEN)])
        assert number(summary, "RAF-DB", method="DCJT") == ("0.9224", False)
        assert number(summary, "RAF-DB", method="target only") == ("0.9042", True)
        assert "extra data faces-b-moderate (built-in faces) instead of AffectNet" in said(summary)

    def test_another_order_of_the_extra_sets_and_another_third_set(self):
        changes = {"joint.extra": "caers+affectnet-7", "joint.finetune": "ferplus"}
        summary = planned("dcjt_finetune", FERPLUS, changes, [CAERS, B], RAFDB)
        assert not number(summary, "FERPlus, ARM", **{"pre-training": "B only"})[1]
        assert number(summary, "FERPlus, ARM", **{"pre-training": "A only"}) == ("0.8809", True)

    def test_what_was_trained_on_before_counts(self):
        changes = {"joint.extra": "affectnet-7+rafdb", "joint.finetune": "ferplus"}
        summary = planned("dcjt_finetune", FERPLUS, changes, [B, RAFDB], CAERS)
        assert "trained before on CAER-S instead of RAF-DB" in said(summary)
        alone = planned("dcjt_benchmark", RAFDB, {"joint.extra": "affectnet-7", "joint.finetune": "rafdb"}, [B], CAERS)
        assert "trained before on CAER-S instead of nothing" in said(alone)


class TestFiles:
    def test_figures_share_axes_where_every_number_is_comparable(self):
        one, other = planned("ablation_alpha", AFFECTNET), planned("ablation_alpha", AFFECTNET, {"train.epochs": 2})
        for summary, drawn in ((one, True), (other, False)):
            filled = with_scores(summary)
            data = dependence(filled)
            assert any(panel.paper for panel in data.panels) == drawn
            assert [panel.dataset for panel in data.paper] == (["MorphSet"] if drawn else ["AffectNet", "MorphSet"])

    def test_csv_says_which_numbers_may_be_compared(self):
        summary = with_scores(planned("ablation_alpha", AFFECTNET))
        head, first, *_ = (line.split(",") for line in scores_csv(summary).splitlines())
        row = dict(zip(head, first, strict=True))
        assert (row["comparable AffectNet"], row["comparable MorphSet"]) == ("yes", "no")

    def test_a_pivot_stands_beside_the_paper_s_encoder_alone(self):
        changes = {"joint.extra": "affectnet-7", "model.backbone": "resnet18"}
        (table,) = declared_tables([planned("dcjt_pseudo_labels", RAFDB, changes, [B])])
        ours = {row[0].text: row[-1].text for row in table.rows}
        assert ours == {"ResNet-18": "–", "ARM": "n/r"}

    def test_peers_of_table_6_stand_in_the_paper_s_order(self):
        summary = with_scores(planned("dcjt_benchmark", CAERS, {"joint.extra": "affectnet-7"}, [B]))
        names = [row[0].text for row in declared_tables([summary])[0].rows]
        assert names[:9] == ["ResNet-18", "ResNet-50", "Res2Net", "CAER-NET-S", "MANET", "EASE", "EAC", "ARM",
                         "ARM + DCJT, with extra data"]  # fmt: skip

    def test_of_methods_that_are_not_ours_the_data_are_judged_too(self):
        summary = planned("ddaf_benchmark", AFFECTNET)
        assert "AffectNet, 8 classes: comparable with ours" in said(summary)
        other = planned("ddaf_benchmark", ("affectnet-7", "affectnet", SEVEN))
        assert "AffectNet, 8 classes: not comparable with ours (7 expressions instead of 8" in said(other)


def with_scores(summary):
    """The same with a score in every cell."""
    scores = dict.fromkeys(summary.study.columns, 0.5)
    cells = [replace(c, state="complete", scores=scores) for arm in summary.arms for c in arm.cells]
    return summarise(Results(summary.study, tuple(cells)))


@pytest.mark.parametrize(("options", "same"), [
    ({"gaussians": "any", "gaussians_reader": "affectnet"}, True),
    ({"gaussians": "affectnet", "gaussians_reader": "csv"}, False),  # a list that is called so
    ({"gaussians": "affectnet"}, False),
    ({"gaussians": ""}, False),
])  # fmt: skip
def test_aff_wild_s_classes_are_the_paper_s_where_affectnet_s_gaussians_give_them(options, same):
    summary = planned("ablation_noise_rate", KINDS["affwild"])
    told = replace(summary.study.data, options=tuple(options.items()))
    recipe = {**summary.study.recipe, "labels.method": "gaussian", "labels.alpha": "0.5"}
    summary = replace(summary, study=replace(summary.study, data=told, recipe=recipe))
    assert number(summary, "Aff-Wild", noise="0", method="one-hot")[1] is same
    borrowed = "gaussians_reader" in options  # else fitted to these images
    assert ("Gaussians come from" in " ".join(caption(summary))) is not borrowed
    assert ("instead of AffectNet's Gaussians" in said(summary)) is not same
    assert ("classes of the nearest published mean" in said(summary)) is not bool(options["gaussians"])


@pytest.mark.parametrize(("ours", "words"), [(1, "1 epoch instead of 50"), (2, "2 epochs instead of 50")])
def test_one_epoch_is_one(ours, words):
    assert _phrase("train.epochs", ours, 50) == words


def test_arms_are_found_by_their_names():
    summary = planned("ablation_noise_rate", AFFECTNET)
    assert list(summary.study.configs) == [arm_name(coordinates) for coordinates in summary.study.arms]


@pytest.mark.parametrize(("study", "data", "options", "said_so"), [
    ("ddaf_benchmark", "affectnet", {"none": "drop"}, True),
    ("ddaf_benchmark", "affectnet", {}, True),
    ("ddaf_benchmark", "affectnet", {"none": "keep"}, False),
    ("ddaf_benchmark", "rafdb", {}, False),
    ("ablation_alpha", "affectnet", {}, False),  # Table 4 does not say that it has them
])  # fmt: skip
def test_rmse_of_table_2_is_of_images_without_an_expression_too(study, data, options, said_so):
    summary = planned(study, KINDS[data])
    told = replace(summary.study.data, options=tuple(options.items()))
    summary = replace(summary, study=replace(summary.study, data=told))
    assert ("RMSE and CCC are also of images without an expression" in said(summary)) is said_so
