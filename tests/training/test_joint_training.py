"""The joint training itself (DCJT, Algorithm 3) and SCN's head: which images, in which order, towards which labels."""

from dataclasses import replace

import pytest
import torch

from raysweep.config.experiment import Experiment
from raysweep.core.errors import UserError
from raysweep.data.dataset import TRAIN, FaceData
from raysweep.data.splits import all_trained, for_protocol, subset
from raysweep.models import build_model
from raysweep.training import DegenerateLoss, Trainer, TrainingPart, build_targets, given_labels, weights_hash
from raysweep.training.device_dataset import DeviceImages
from tests.pipeline.small_joint import make_a, make_b, small_joint

A, B = make_a(with_va=True), make_b(count=120)


def part(experiment, data: FaceData) -> TrainingPart:
    """All training images of a set, with the labels it came with."""
    given = given_labels(experiment.labels, data, experiment.seeds.noise)
    return TrainingPart(data, build_targets(experiment.labels, experiment.objective, data.classes, given, data.name))


def joint_trainer(experiment, extra=B, **more) -> Trainer:
    ours = for_protocol(A, experiment.selection, experiment.seeds.split)
    extras = [part(experiment, all_trained(extra))] if extra is not None else []
    return Trainer(experiment, A, trained=[part(experiment, ours)], extra=extras, **more)


def recorded(trainer, monkeypatch) -> list[list[tuple[str, torch.Tensor]]]:
    """The batches of every epoch, filled while it trains."""
    epochs, steps = [], trainer._steps

    def record():
        epochs.append([])
        for which, batch in steps():
            epochs[-1].append((which, batch))
            yield which, batch

    monkeypatch.setattr(trainer, "_steps", record)
    return epochs


def order(epoch):
    return "".join(which[0] for which, _ in epoch)


def drawn(epoch, which):
    return torch.cat([batch for kind, batch in epoch if kind == which])


def fitted(trainer):
    return [result.metrics for result in trainer.epochs()]


def trained_rows(experiment):
    return for_protocol(A, experiment.selection, experiment.seeds.split).rows(TRAIN)


class TestOrder:
    def test_a_pass_over_b_follows_the_pass_over_a(self, monkeypatch):
        experiment = small_joint()
        trainer = joint_trainer(experiment)
        epochs = recorded(trainer, monkeypatch)
        metrics = fitted(trainer)
        assert [order(epoch) for epoch in epochs] == ["ttt", "ttt", "ttt", "ttteeeee", "ttt", "ttteeeee"]
        for epoch in epochs:
            assert torch.equal(drawn(epoch, "train").sort().values, trained_rows(experiment))
        for epoch in (epochs[3], epochs[5]):  # each of B's images once, after A's in number
            assert torch.equal(drawn(epoch, "extra").sort().values, torch.arange(len(A), len(A) + len(B)))
        assert not torch.equal(drawn(epochs[3], "extra"), drawn(epochs[5], "extra"))
        assert ["extra/loss" in m for m in metrics] == [False, False, False, True, False, True]
        assert not any(name.startswith("extra/") for name in metrics[2])

    def test_batch_by_batch_one_of_a_and_one_of_b(self, monkeypatch):
        experiment = small_joint(joint__unit="batch")
        trainer = joint_trainer(experiment)
        epochs = recorded(trainer, monkeypatch)
        fitted(trainer)
        assert [order(epoch) for epoch in epochs] == ["ttt", "ttt", "ttt", "tetete", "ttt", "tetete"]
        assert torch.equal(drawn(epochs[3], "train").sort().values, trained_rows(experiment))
        theirs = drawn(epochs[3], "extra")
        assert len(theirs.unique()) == len(theirs) == 3 * 24
        passed = joint_trainer(small_joint())  # the same draw, only less of it
        in_passes = recorded(passed, monkeypatch)
        fitted(passed)
        assert torch.equal(theirs, drawn(in_passes[3], "extra")[: 3 * 24])

    def test_a_small_b_comes_round_again(self, monkeypatch):
        trainer = joint_trainer(small_joint(joint__unit="batch"), subset(B, TRAIN, 24))
        epochs = recorded(trainer, monkeypatch)
        fitted(trainer)
        assert order(epochs[3]) == "tetete"
        batches = [batch for which, batch in epochs[3] if which == "extra"]
        assert all(torch.equal(batch, batches[0]) for batch in batches)

    def test_two_sets_as_one_are_mixed(self, monkeypatch):
        experiment = small_joint()
        parts = [part(experiment, for_protocol(A, experiment.selection, 0)), part(experiment, B)]
        trainer = Trainer(experiment, A, trained=parts)
        epochs = recorded(trainer, monkeypatch)
        fitted(trainer)
        assert {order(epoch) for epoch in epochs} == {"t" * 8}  # 50 and 120 images, 24 a batch
        rows = torch.cat([trained_rows(experiment), torch.arange(len(A), len(A) + len(B))])
        for epoch in epochs:
            both = drawn(epoch, "train")
            assert torch.equal(both.sort().values, rows)
            assert all((batch < len(A)).any() and (batch >= len(A)).any() for _, batch in epoch[:-1])

    def test_several_extra_sets_join_together(self, monkeypatch):
        experiment = small_joint()
        ours = part(experiment, for_protocol(A, experiment.selection, 0))
        trainer = Trainer(experiment, A, trained=[ours], extra=[part(experiment, B), part(experiment, make_b(seed=9))])
        epochs = recorded(trainer, monkeypatch)
        fitted(trainer)
        assert torch.equal(drawn(epochs[3], "extra").sort().values, torch.arange(len(A), len(A) + len(B) + 80))


class TestDraw:
    UNEVEN = replace(B, labels=torch.where(torch.arange(120) % 12 == 0, 3, torch.arange(120) % 3))

    def test_plain_takes_each_once(self, monkeypatch):
        trainer = joint_trainer(small_joint(joint__warm_up=0, joint__frequency=1.0), self.UNEVEN)
        epochs = recorded(trainer, monkeypatch)
        fitted(trainer)
        for epoch in epochs:
            counts = torch.bincount(drawn(epoch, "extra") - len(A), minlength=120)
            assert (counts == 1).all()

    def test_balanced_takes_classes_evenly(self, monkeypatch):
        experiment = small_joint(joint__warm_up=0, joint__frequency=1.0, joint__draw="balanced", train__epochs=10)
        trainer = joint_trainer(experiment, self.UNEVEN)
        epochs = [list(self.at(trainer, epoch)) for epoch in range(1, 11)]
        labels = torch.cat([self.UNEVEN.labels[drawn(epoch, "extra") - len(A)] for epoch in epochs])
        assert all(len(drawn(epoch, "extra")) == 120 for epoch in epochs)
        counts = torch.bincount(labels, minlength=4).double()
        chi_square = float(((counts - 300) ** 2 / 300).sum())
        assert chi_square < 16.3  # 0.1 % lie beyond, with three degrees of freedom
        assert len({tuple(drawn(epoch, "extra").tolist()) for epoch in epochs}) == 10

    def test_a_s_pass_is_drawn_the_same_either_way(self):
        plain, balanced = (joint_trainer(small_joint(joint__draw=draw)) for draw in ("plain", "balanced"))
        ours, theirs = (drawn(list(self.at(trainer, 4)), "train") for trainer in (plain, balanced))
        assert torch.equal(ours, theirs)

    @staticmethod
    def at(trainer, epoch):
        trainer.epoch = epoch
        return trainer._steps()


class TestWithout:
    def test_b_that_never_joins_leaves_no_trace(self):
        never = joint_trainer(small_joint(joint__frequency=None))
        alone = joint_trainer(small_joint(), extra=None)
        for ours, theirs in zip(fitted(never), fitted(alone), strict=True):
            assert {k: v for k, v in ours.items() if k != "seconds"} == {
                k: v for k, v in theirs.items() if k != "seconds"
            }
        assert weights_hash(never.model.state_dict()) == weights_hash(alone.model.state_dict())

    def test_before_b_joins_there_is_no_difference_and_then_there_is(self):
        joint, alone = joint_trainer(small_joint()), joint_trainer(small_joint(), extra=None)
        equal = []
        for _ in zip(joint.epochs(), alone.epochs(), strict=True):
            equal.append(weights_hash(joint.model.state_dict()) == weights_hash(alone.model.state_dict()))
        assert equal == [True, True, True, False, False, False]


class TestWhatAStepSees:
    def test_images_and_targets_of_their_own_set(self, monkeypatch):
        experiment = small_joint(labels__noise_rate=0.2)
        trainer = joint_trainer(experiment)
        ours, theirs = trainer.parts
        faces = trainer.faces
        assert [len(rows) for rows in faces.rows] == [50, 120]
        for offset, p in ((0, ours), (len(A), theirs)):
            rows = p.rows + offset
            assert torch.equal(faces.gather(rows), p.data.images[p.rows])
            assert torch.equal(faces.given_N[rows], p.targets.given_N[p.rows])
            assert torch.equal(faces.true_N[rows], p.data.labels[p.rows])
            assert torch.equal(faces.soft_NK[rows].argmax(1), p.targets.given_N[p.rows])
            assert torch.equal(faces.va_N2[rows], p.data.va[p.rows])
            assert int(faces.flipped_N[rows].sum()) == round(0.2 * len(rows))
        mixed = torch.tensor([len(A) + 3, 2, len(A), 7])
        expected = torch.stack([B.images[3], A.images[2], B.images[0], A.images[7]])
        assert torch.equal(DeviceImages([A, B], torch.device("cpu")).gather(mixed), expected)

    def test_losses_are_told_apart(self):
        """B's loss falls on another line than A's, and A's is that of A's images alone."""
        experiment = small_joint(**ONCE)
        joint, alone = joint_trainer(experiment), joint_trainer(experiment, extra=None)
        (ours,), (theirs,) = fitted(joint), fitted(alone)
        for name in ("train/loss", "train/ce", "train/va"):
            assert ours[name] == theirs[name]  # B's pass comes after
        assert ours["extra/loss"] == pytest.approx(ours["extra/ce"] + 5 * ours["extra/va"])

    def test_the_average_is_made_ready_on_a(self, monkeypatch):
        trainer = joint_trainer(small_joint(train__swa_start=0.5, selection__weights="swa"))
        fitted(trainer)
        seen, augmented = [], trainer.faces.augmented
        monkeypatch.setattr(trainer.faces, "augmented", lambda rows, epoch: seen.append(rows) or augmented(rows, epoch))
        trainer.finish()
        assert torch.equal(torch.cat(seen).sort().values, trained_rows(trainer.experiment))

    def test_a_is_scored_though_b_alone_is_trained_on(self):
        experiment = small_joint(joint__method="extra")
        trainer = Trainer(experiment, A, trained=[part(experiment, B)])
        fitted(trainer)
        predictions = trainer.finish().predictions["last"]
        assert torch.equal(predictions.rows, A.rows(2))
        again = trainer.ready_model("last").eval()(DeviceImages([A], torch.device("cpu")).plain(A.rows(2)))
        assert torch.allclose(predictions.probs_NK, again.logits.detach().softmax(1), atol=1e-6)

    def test_a_loss_on_b_that_is_no_number_is_said_so(self):
        trainer = joint_trainer(small_joint(), replace(B, va=torch.full_like(B.va, 1e30)))
        with pytest.raises(DegenerateLoss, match=r"^the loss became (inf|nan) in epoch 4$"):
            fitted(trainer)

    def test_a_b_of_one_image_is_refused(self):
        trainer = joint_trainer(small_joint(), replace(B, splits=torch.where(torch.arange(120) == 5, 0, 2)))
        with pytest.raises(UserError, match=r"a batch needs 2 images \(two a device\), but 1 are there"):
            fitted(trainer)


class TestStart:
    def test_all_weights_or_the_encoder_alone(self):
        experiment = small_joint()
        other = build_model(experiment.model, 4, seed=9).state_dict()
        trainer = joint_trainer(experiment, start=other)
        assert weights_hash(trainer.model.state_dict()) == weights_hash(other)
        encoder = {name: value for name, value in other.items() if name.startswith("encoder.")}
        state = joint_trainer(experiment, start=encoder).model.state_dict()
        fresh = build_model(experiment.model, 4, experiment.seeds.init).state_dict()
        for name, value in state.items():
            assert torch.equal(value, (other if name.startswith("encoder.") else fresh)[name])

    def test_weights_that_do_not_fit_are_an_error(self):
        experiment = small_joint()
        with pytest.raises(RuntimeError, match="size mismatch"):
            joint_trainer(experiment, start=build_model(experiment.model, 3, seed=9).state_dict())
        with pytest.raises(RuntimeError, match="Unexpected key"):
            joint_trainer(experiment, start={"encoder.nothing": torch.zeros(1)})


@pytest.mark.parametrize("unit", ["epoch", "batch"])
@pytest.mark.parametrize("head", ["plain", "scn"])
def test_resuming_after_any_epoch_changes_nothing(unit, head):
    experiment = small_joint(
        joint__unit=unit,
        model__head=head,
        scn__relabel_from=3.0,
        scn__relabel_margin=0.0,
        joint__draw="balanced",
        train__swa_start=0.5,
    )
    straight = joint_trainer(experiment)
    fitted(straight)
    for stop in (3, 4, 5):
        broken = joint_trainer(experiment)
        for _ in broken.epochs(until=stop):
            pass
        resumed = joint_trainer(experiment)
        resumed.load_state_dict(broken.state_dict())
        assert [result.epoch for result in resumed.epochs()] == list(range(stop + 1, 7))
        assert weights_hash(resumed.model.state_dict()) == weights_hash(straight.model.state_dict())
        assert torch.equal(resumed.faces.given_N, straight.faces.given_N)
        ours, theirs = resumed.finish(), straight.finish()
        for kind in ("last", "swa", "best"):
            assert torch.equal(ours.predictions[kind].probs_NK, theirs.predictions[kind].probs_NK)


def scn(**changes):
    return small_joint(**{"model__head": "scn", "scn__relabel_from": 3.0, "scn__relabel_margin": 0.1, **changes})


def lowest(importance, high_share):
    """Places of those that are not among the floor(share * N) most important, ties in their order."""
    ordered = sorted(range(len(importance)), key=lambda place: -importance[place])
    return set(ordered[int(high_share * len(importance) + 1e-9) :])


ONCE = {"train__epochs": 1, "joint__warm_up": 0, "joint__frequency": 1.0}


class TestSelfCure:
    def steps(self, trainer, monkeypatch):
        """(epoch, rows, probabilities, labels and soft labels it was trained towards, places of low importance) of
        every step."""
        seen, step = [], trainer._step

        def record(rows, count):
            faces = trainer.faces
            given, soft = faces.given_N[rows].clone(), faces.soft_NK[rows].clone()
            out, terms = step(rows, count)
            low = lowest(out.importance.tolist(), trainer.experiment.scn.high_share)
            seen.append((trainer.epoch, rows, out.logits.detach().softmax(1), given, soft, low))
            return out, terms

        monkeypatch.setattr(trainer, "_step", record)
        return seen

    @pytest.mark.parametrize("draw", ["plain", "balanced"])
    @pytest.mark.parametrize("among", ["low", "all"])
    def test_labels_change_at_the_end_of_the_epochs_that_relabel_and_stay_changed(self, monkeypatch, draw, among):
        trainer = joint_trainer(scn(labels__noise_rate=0.2, joint__draw=draw, scn__relabel_among=among))
        seen = self.steps(trainer, monkeypatch)
        clean = trainer.faces.given_N.clone()
        expected = clean.clone()  # the labels after each epoch, computed from what every step saw
        changes = []
        for result in trainer.epochs():
            new: dict[int, int] = {}
            for epoch, rows, probs, given, soft, low in seen:
                if epoch != result.epoch:
                    continue
                assert torch.equal(given, expected[rows])  # not before the epoch's end, and for good afterwards
                assert torch.equal(soft.argmax(1), given)
                assert torch.equal(soft.max(1).values, torch.ones(len(rows)))
                for place, (row, p, k) in enumerate(zip(rows.tolist(), probs, given.tolist(), strict=True)):
                    best = int(p.argmax())
                    may = among == "all" or place in low
                    if may and epoch >= 3 and best != k and float(p[best] - p[k]) > 0.1:
                        new[row] = max(best, new.get(row, -1))  # an image drawn twice
            for row, label in new.items():
                expected[row] = label
            changes.append(len(new))
            assert torch.equal(trainer.faces.given_N, expected)
        assert changes[:2] == [0, 0]
        assert changes[2] > 0  # A's
        b = torch.arange(len(A), len(A) + len(B))
        assert (expected[b] != clean[b]).any()  # B's, from the first epoch that it joins
        outside = torch.ones(len(expected), dtype=torch.bool)
        outside[torch.cat(trainer.faces.rows)] = False
        assert (expected[outside] == -1).all()

    def test_nothing_else_changes(self):
        trainer = joint_trainer(scn(labels__noise_rate=0.2))
        before = [t.clone() for t in (trainer.faces.true_N, trainer.faces.flipped_N, trainer.faces.weights_N)]
        targets = trainer.parts[0].targets.given_N.clone()
        fitted(trainer)
        after = (trainer.faces.true_N, trainer.faces.flipped_N, trainer.faces.weights_N)
        assert all(torch.equal(torch.nan_to_num(a), torch.nan_to_num(b)) for a, b in zip(before, after, strict=True))
        assert torch.equal(trainer.parts[0].targets.given_N, targets)  # parts are shared with other trainings

    def test_the_state_carries_labels_once_they_may_differ(self):
        trainer = joint_trainer(scn())
        given = [trainer.state_dict()["given"] for _ in trainer.epochs()]
        # of those that have taken part: a warm-up's state is the same whatever joins later
        assert [None if labels is None else len(labels) for labels in given] == [None, None, 80, 200, 200, 200]

    def test_never_relabelling(self, monkeypatch):
        trainer = joint_trainer(scn(scn__relabel_from=None))
        before = trainer.faces.given_N.clone()
        metrics = fitted(trainer)
        assert torch.equal(trainer.faces.given_N, before)
        assert not any("fit/relabelled" in m for m in metrics)

    def test_the_papers_rule_is_the_default_and_changes_fewer(self):
        assert Experiment().scn.relabel_among == "low"
        relabelled = {}
        for among in ("low", "all"):
            trainer = joint_trainer(scn(labels__noise_rate=0.2, scn__relabel_among=among, scn__relabel_margin=0.0))
            relabelled[among] = next(m["fit/relabelled"] for m in fitted(trainer) if "fit/relabelled" in m)
        assert 0 < relabelled["low"] < relabelled["all"]

    def test_metrics(self, monkeypatch):
        trainer = joint_trainer(scn(labels__noise_rate=0.2, scn__rank_weight=0.5, scn__margin=0.9))
        labels = [trainer.faces.given_N.clone()]
        metrics = []
        for result in trainer.epochs():
            metrics.append(result.metrics)
            labels.append(trainer.faces.given_N.clone())
        for number, m in enumerate(metrics, 1):
            assert 0 < m["train/rank"] <= 1
            assert m["train/loss"] == pytest.approx(m["train/ce"] + 5 * m["train/va"] + 0.5 * m["train/rank"], rel=1e-5)
            assert ("extra/rank" in m) == (number in (4, 6))
            assert ("fit/relabelled" in m) == (number >= 3)
        for number in (3, 4, 5, 6):
            seen = 50 + 120 * (number in (4, 6))
            changed = int((labels[number] != labels[number - 1]).sum())
            assert metrics[number - 1]["fit/relabelled"] == pytest.approx(changed / seen), f"epoch {number}"

    def test_the_importance_head_learns(self):
        trainer = joint_trainer(scn(scn__margin=0.9, **ONCE))
        weight = trainer.model.importance.weight
        before = weight.detach().clone()
        fitted(trainer)
        assert weight.grad.abs().sum() > 0
        assert not torch.equal(weight, before)
        with torch.no_grad():
            images = trainer.faces.plain(A.rows(2))
            importance = trainer.model.eval()(images).importance
        assert ((importance > 0) & (importance < 1)).all()
        assert importance.std() > 0

    def test_the_rank_term_pulls(self):
        with_, without = (joint_trainer(scn(scn__rank_weight=w, scn__margin=0.9, **ONCE)) for w in (1.0, 0.0))
        ranks = [fitted(trainer)[-1]["extra/rank"] for trainer in (with_, without)]  # B's pass comes second
        assert ranks[0] < ranks[1]

    def test_a_plain_head_knows_nothing_of_it(self):
        trainer = joint_trainer(small_joint())
        metrics = fitted(trainer)
        assert not any("rank" in name or "relabelled" in name for m in metrics for name in m)
        assert trainer.state_dict()["given"] is None
        assert trainer.model.importance is None

    def test_refused_with_fused_labels(self):
        with pytest.raises(UserError) as error:
            scn(labels__alpha=0.5)
        assert str(error.value) == "`model.head=scn` changes hard labels: set labels.method=one_hot or labels.alpha=1"
