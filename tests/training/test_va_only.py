"""Images with valence and arousal but no expression: trained on and scored for those alone (DDAF, Table 2)."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from raysweep.config.sections import Data, Objective, Selection
from raysweep.core.errors import UserError
from raysweep.data.classes import ClassChanges, changed_classes
from raysweep.data.dataset import TEST, TRAIN, VALIDATION
from raysweep.data.exclusions import leave_out
from raysweep.data.load import load_data
from raysweep.data.prepare.crop import Crop
from raysweep.data.prepare.location import Home
from raysweep.data.prepare.writer import prepare_listing
from raysweep.data.readers import read_listing
from raysweep.data.shared_images import same_images
from raysweep.data.splits import for_protocol, named_gaps, subset, with_test_split
from raysweep.metrics.compute import all_scores, confusion, expression_scores
from raysweep.pipeline import run_cell
from raysweep.pipeline.datasets import Sets, check_sets
from raysweep.pipeline.load_datasets import load_sets
from raysweep.report.results.verify import recomputed
from raysweep.store.store import Store
from raysweep.training import Trainer, prepare_targets
from raysweep.training.objective import loss_terms
from tests.conftest import make_squares
from tests.data.prepare.listings import photograph
from tests.data.readers.trees import affectnet_csv, affectnet_row


def mixed(count=160, alone=40, **options):
    """Squares, and after them `alone` further ones without an expression: 3 of 4 for training, the rest for testing."""
    data = make_squares(count + alone, **options)
    last = torch.arange(count + alone) >= count
    place = torch.arange(count + alone) - torch.where(last, count, 0)
    of = torch.where(last, alone, count)
    return replace(
        data,
        labels=torch.where(last, -1, data.labels),
        votes=torch.where(last[:, None], math.nan, data.votes),
        subjects=torch.full((count + alone,), -1),
        splits=torch.where(place < 3 * of // 4, TRAIN, TEST),
    )


def named(data):
    return data.take(torch.nonzero(data.labels >= 0).flatten())


class TestTheLoss:
    LOGITS = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    SAID = torch.tensor([[0.5, 0.0], [0.0, 0.5]])
    VA = torch.tensor([[0.0, 0.0], [0.0, 0.0]])

    def terms(self, logits, **config):
        soft = torch.tensor([[1.0, 0.0], [0.0, 0.0]])  # the second image has no expression
        return loss_terms(logits, self.SAID, soft, self.VA, torch.tensor([3.0, 1.0]), Objective(**config))

    def test_by_hand(self):
        terms = self.terms(self.LOGITS)
        p = 1 / (1 + math.exp(-2))  # of the first image's class
        assert float(terms["ce"]) == pytest.approx(3 * -math.log(p) / 2)
        assert float(terms["cs"]) == pytest.approx(3 * (1 - p / math.hypot(p, 1 - p)) / 2)
        assert float(terms["va"]) == pytest.approx((3 * 0.25 + 1 * 0.25) / 2)

    def test_expressions_of_such_an_image_are_not_pulled_anywhere(self):
        logits = self.LOGITS.clone().requires_grad_()
        self.terms(logits)["loss"].backward()
        assert torch.equal(logits.grad[1], torch.zeros(2))
        assert logits.grad[0].abs().sum() > 0


class TestTargets:
    @pytest.mark.parametrize("method", ["gaussian", "euclidean"])
    def test_statistics_noise_and_weights_are_those_of_the_images_with_an_expression(self, quick, method):
        experiment, data = quick.with_changes({"labels.method": method}), mixed()
        ours, plain = prepare_targets(experiment, data), prepare_targets(experiment, named(data))
        assert torch.equal(ours.class_weights_K, plain.class_weights_K)
        assert ours.noise_hash == plain.noise_hash
        for name in ("given_N", "soft_NK", "weights_N", "va_N2", "flipped_N"):
            of = getattr(ours, name)[:160]
            assert torch.equal(of.nan_to_num(nan=9), getattr(plain, name).nan_to_num(nan=9)), name

    def test_the_others_have_valence_and_arousal_alone(self, quick):
        data = mixed()
        targets = prepare_targets(quick, data)
        rows = torch.arange(160, 190)
        assert torch.equal(data.rows(TRAIN, va_only=True), torch.cat([data.rows(TRAIN), rows]))
        assert (targets.given_N[rows] == -1).all()
        assert (targets.soft_NK[rows] == 0).all()
        assert (targets.weights_N[rows] == 1).all()
        assert torch.equal(targets.va_N2[rows], data.va[rows])
        assert targets.weights_N[190:].isnan().all()
        assert targets.va_N2[190:].isnan().all()

    def test_noise_on_va_reaches_them(self, quick):
        targets = prepare_targets(quick.with_changes({"labels.va_noise": 0.1}), data := mixed())
        assert (targets.va_N2[160:190] != data.va[160:190]).any()

    def test_a_set_in_which_they_alone_have_va(self, quick):
        data = mixed()
        data = replace(data, va=torch.where((data.labels >= 0)[:, None], math.nan, data.va))
        assert data.knows_va
        with pytest.raises(UserError, match="needs valence and arousal"):
            prepare_targets(quick, data)
        targets = prepare_targets(quick.with_changes({"labels.method": "one_hot"}), data)
        assert int(targets.va_N2.isfinite().all(1).sum()) == 30


class TestTraining:
    def test_they_are_trained_on_and_scored_for_valence_and_arousal(self, quick):
        data = mixed()
        trainer = Trainer(quick, data)
        list(trainer.epochs())
        assert trainer.history[-1]["images"] == len(trainer.data.rows(TRAIN)) + 30
        predictions = trainer.finish().predictions["last"]
        assert predictions.rows.tolist() == [*range(120, 160), *range(190, 200)]
        scores = trainer.score(predictions)
        error = (predictions.affect_N2.double() - data.va[predictions.rows].double()).numpy()
        assert scores["rmse_valence"] == pytest.approx(math.sqrt((error[:, 0] ** 2).mean()))
        assert scores["rmse_arousal"] == pytest.approx(math.sqrt((error[:, 1] ** 2).mean()))
        said, true = predictions.probs_NK[:40].argmax(1), data.labels[120:160]
        assert scores["accuracy"] == pytest.approx(float((said == true).double().mean()))

    def test_they_count_nowhere_among_the_labels_that_are_fitted(self, quick):
        trainer = Trainer(quick.with_changes({"train.epochs": 1}), mixed())
        fit = next(trainer.epochs()).metrics
        assert 0 <= fit["fit/unflipped"] <= 1
        tallied = len(trainer.data.rows(TRAIN)) - int(trainer.targets.flipped_N.sum())
        assert fit["fit/unflipped"] * tallied == pytest.approx(round(fit["fit/unflipped"] * tallied))

    def test_a_cell_keeps_their_predictions_and_is_recomputed_from_them(self, quick, tmp_path):
        data = mixed()
        result = run_cell(quick, data, Store(tmp_path))
        assert result.predictions.labels.tolist() == data.labels[result.predictions.rows].tolist()
        assert (result.predictions.labels == -1).sum() == 10
        assert np.sum(result.facts["confusion"]) == 40
        for name, value in recomputed(result.predictions).items():
            assert result.scores[f"test/{name}"] == pytest.approx(value), name
        assert set(np.unique(result.attention.labels)) == {0, 1, 2, 3}
        from raysweep.plotting.scores import _scatter

        assert "no expression" in [text.get_text() for text in _scatter(result).legends[0].get_texts()]

    @pytest.mark.parametrize("protocol", ["last", "best_on_test", "select_then_retrain"])
    def test_under_every_protocol(self, quick, tmp_path, protocol):
        weights = {"selection.weights": "last" if protocol == "last" else "best"}
        experiment = quick.with_changes({"selection.protocol": protocol, "train.swa_start": None, **weights})
        result = run_cell(experiment, mixed(), Store(tmp_path))
        assert len(result.predictions.rows) == 50
        assert result.facts["trained_on"] == [150]  # nothing is held out at the end

    def test_scores_of_labels_alone(self):
        probs, labels = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]]), torch.tensor([0, -1, 0])
        assert expression_scores(probs, labels) == expression_scores(probs[[0, 2]], labels[[0, 2]])
        assert confusion(probs, labels).tolist() == [[1, 1], [0, 0]]
        va = torch.tensor([[0.0, 0.0], [0.5, 0.0], [0.0, 0.0]])
        scores = all_scores(probs, torch.zeros(3, 2), labels, va, torch.full((3, 2), math.nan))
        assert scores["rmse_valence"] == pytest.approx(math.sqrt(0.25 / 3))
        assert scores["accuracy"] == 0.5


class TestSplits:
    def test_people_who_are_held_out_take_theirs_along(self):
        data = mixed()
        data = replace(data, subjects=torch.arange(len(data)) % 16)
        held = for_protocol(data, Selection(protocol="validation"), seed=3)
        assert (held.splits[held.va_only & (held.splits == VALIDATION)] == VALIDATION).any()
        for parts in ((TRAIN, VALIDATION), (VALIDATION, TRAIN)):
            ours, theirs = (set(held.subjects[held.rows(part, va_only=True)].tolist()) for part in parts)
            assert not ours & theirs
        divided = with_test_split(replace(data, splits=torch.zeros(len(data), dtype=torch.int64)))
        ours, theirs = (set(divided.subjects[divided.rows(p, va_only=True)].tolist()) for p in (TRAIN, TEST))
        assert not ours & theirs

    def test_without_people_they_stay_in_training(self):
        held = for_protocol(mixed(), Selection(protocol="validation"), seed=3)
        assert len(held.rows(VALIDATION, va_only=True)) == len(held.rows(VALIDATION))
        assert int((held.va_only & (held.splits == TRAIN)).sum()) == 30

    def test_a_limited_set_has_its_share_of_them(self):
        some = subset(mixed(), TRAIN, 75)
        assert (len(some.rows(TRAIN)), len(some.rows(TRAIN, va_only=True))) == (60, 75)

    def test_classes_that_leave_or_merge_leave_them_alone(self):
        data = mixed()
        made = changed_classes(data, ClassChanges.of("data", None, data.classes[3], None, strict=True))
        assert (len(made), int(made.va_only.sum())) == (160, 40)
        assert f"{data.classes[3]} (40)" in made.notes[-1]
        merged = changed_classes(data, ClassChanges.of("data", None, None, f"{data.classes[3]}:neutral", strict=True))
        assert int(merged.va_only.sum()) == 40
        assert merged.labels[:160].max() == 2

    def test_twins_of_test_images_leave_training(self):
        data = mixed()
        pixels = data.images.clone()
        pixels[165] = pixels[150]  # trained on without an expression, tested with one
        pixels[3] = pixels[195]
        left = leave_out(replace(data, images=pixels, fingerprint="with twins"), "twins", 0.9)
        assert len(left) == 198
        assert int(left.va_only.sum()) == 39

    def test_another_label_is_another_set(self):
        data = mixed()
        last = replace(data, labels=torch.where(data.va_only, data.num_classes - 1, data.labels))
        assert not same_images(data, _kept(), last, _kept())
        assert same_images(data, _kept(), mixed(), _kept())

    def test_captions_count_them(self):
        (note,) = named_gaps(mixed()).notes
        assert note.startswith("images with valence and arousal but no expression: 30 training and 10 test; they count")
        assert not named_gaps(make_squares()).notes


def _kept():
    from raysweep.data.digests import NO_CACHES

    return NO_CACHES


class TestWhereTheyCannotBeUsed:
    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"joint.method": "combine", "joint.extra": "faces-b-none"}, "joint training and fine-tuning need"),
            (
                {"joint.method": "dcjt", "joint.extra": "faces-b-none", "joint.warm_up": 1, "joint.frequency": 1},
                "joint training and fine-tuning need",
            ),
            ({"model.head": "scn", "labels.method": "one_hot"}, "model.head=scn needs"),
        ],
    )
    def test_it_is_refused(self, quick, changes, words):
        data = mixed()
        sets = Sets(data, (make_squares(),) if "joint.extra" in changes else ())
        with pytest.raises(
            UserError, match=f"{words} an expression of every image, but 40 images of squares have none"
        ):
            check_sets(quick.with_changes(changes), sets)
        check_sets(quick, Sets(data))

    def test_the_way_out_is_named(self, quick):
        with pytest.raises(UserError, match="prepare it with --option none=drop --as squares-faces"):
            check_sets(quick.with_changes({"model.head": "scn", "labels.method": "one_hot"}), Sets(mixed()))


@pytest.fixture
def affectnet(tmp_path, monkeypatch):
    """AffectNet prepared with and without "none": 24 training faces of two classes, 6 of none; 4 and 2 for tests."""
    monkeypatch.setenv("RAYSWEEP_DATA", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "affectnet"
    rows = [affectnet_row(f"1/{i}.png", (0, 1, 8)[i % 3] if i < 18 else i % 2, i / 40, -i / 40, box=(0, 0, 40, 50))
            for i in range(30)]  # fmt: skip
    affectnet_csv(root, *rows)
    images = root / "Manually_Annotated_Images"
    for i in range(36):
        photograph(images / "1" / f"{i}.png", i)
    tests = [affectnet_row(f"1/{i}.png", (0, 1, 8)[i % 3], 0.3, i / 80, box=(0, 0, 40, 50)) for i in range(30, 36)]
    from tests.data.readers.trees import write_rows

    write_rows(root / "Manually_Annotated_file_lists" / "validation.csv", tests)
    for name, none in (("drop", "drop"), ("keep", "keep")):
        listing = read_listing("affectnet", root, {"none": none, "classes": "7"})
        prepare_listing(listing, Home(tmp_path / "home").folder(name, 32), Crop(32))
    return root


def test_none_keep_is_real(affectnet):
    drop, keep = (load_data(Data(source=name, image_size=32)) for name in ("drop", "keep"))
    assert [len(data.rows(split, va_only=True)) for data in (drop, keep) for split in (TRAIN, TEST)] == [24, 4, 30, 6]
    assert [len(keep.rows(split)) for split in (TRAIN, TEST)] == [24, 4]
    assert not drop.va_only.any()
    assert drop.fingerprint != keep.fingerprint
    assert any("no expression: 6 training and 2 test; they count for the loss" in note for note in keep.notes)
    assert torch.equal(keep.images[:28], drop.images[:])


def test_an_extra_set_s_leave_and_are_counted(affectnet, quick):
    changes = {"data.source": "drop", "joint.method": "combine", "joint.extra": "keep", "data.image_size": 32}
    (extra,) = load_sets(quick.with_changes({**changes, "data.leave_out": "keep"})).extras
    assert not extra.va_only.any()
    assert "8 images with valence and arousal but no expression left out" in extra.notes
