"""What DCJT's stages mean, worked out a second time here from their inputs (paper, sections 3.2 to 3.5)."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from raysweep.core.errors import UserError
from raysweep.data.borrowed import BorrowedGaussians
from raysweep.data.dataset import TEST, TRAIN, VALIDATION, DatasetInfo
from raysweep.data.splits import for_protocol, subset
from raysweep.labels.euclidean import class_means, euclidean_labels
from raysweep.labels.gaussians import ClassGaussians, class_gaussians, gaussian_labels
from raysweep.labels.noise import flip_labels
from raysweep.models import build_model
from raysweep.pipeline import Sets, build, main_chain, run_cell
from raysweep.pipeline.stage import Stage, ancestry
from raysweep.pipeline.stages.fit import chain, trainer_after
from raysweep.store.store import Store
from raysweep.training import Trainer, weights_hash
from tests.conftest import make_squares
from tests.pipeline.small_joint import fits, last_epoch, make_a, make_b, products, small_joint, stage_of

K = 4
A, A_VA = make_a(), make_a(with_va=True)
B = make_b()
D = make_b(seed=8, count=60, with_va=False, name="D")
C3 = replace(make_squares(60, 16, 3, seed=9), name="C")
SETS, OWN, THREE = Sets(A, (B,)), Sets(A_VA, (B,)), Sets(A, (B, D))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One for all tests of this file: what they have in common is trained once."""
    torch.set_num_threads(1)
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def made(store):
    """The graph of a cell, and what its stages give."""

    def make(sets=SETS, **changes):
        return build(small_joint(**changes), sets), products(store).product

    return make


def trained_rows(data=A, experiment=None):
    experiment = experiment or small_joint()
    return for_protocol(data, experiment.selection, experiment.seeds.split).rows(TRAIN)


def outputs(weights, data, rows, experiment=None, classes=K):
    """Probabilities and VA that these weights predict for images as they are."""
    model = build_model((experiment or small_joint()).model, classes, seed=99)
    model.load_state_dict(weights)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        out = model.eval()((data.images[rows].float() / 255 - mean) / std)
    return out.logits.softmax(1), out.affect


def parts_of(stage: Stage, product):
    """What one training sees: (trained, extra) parts."""
    inputs = {name: source for epoch in chain(stage) for name, source in epoch.inputs.items()}
    return tuple([product(inputs[n]) for n in sorted(inputs) if n.startswith(role)] for role in ("trained", "extra"))


def moments(points):
    return points.mean(0), np.cov(points.T)


def transported(points, source, target):
    """Equation 1: P Q^-1 (t - mu_B) + mu_A."""
    (mu_b, sigma_b), (mu_a, sigma_a) = moments(source), moments(target)
    p, q = np.linalg.cholesky(sigma_a), np.linalg.cholesky(sigma_b)
    return (p @ np.linalg.inv(q) @ (points - mu_b).T).T + mu_a


def nearest(points, centres):
    return np.square(points[:, None] - centres[None]).sum(2).argmin(1)


class TestStep1:
    @pytest.mark.parametrize("weights", ["best", "last"])
    def test_the_subset_is_what_m_a_agrees_with(self, made, weights):
        final, product = made(selection__weights=weights)
        state = product(last_epoch(final, "M_A"))
        probs, _ = outputs(state["best"]["weights"] if weights == "best" else state["model"], B, torch.arange(80))
        selected = product(stage_of(final, "select"))
        assert torch.equal(selected, probs.argmax(1) == B.labels)
        assert 40 < int(selected.sum()) < 70  # two thirds of the labels are A's

    def test_the_average_chooses_when_it_is_the_headline(self, made):
        final, product = made(selection__weights="swa", train__swa_start=0.5)
        averaged = trainer_after(last_epoch(final, "M_A"), products_of(product)).ready_model("swa").module
        probs, _ = outputs(averaged.state_dict(), B, torch.arange(80))
        assert torch.equal(product(stage_of(final, "select")), probs.argmax(1) == B.labels)

    def test_labels_are_never_made_with_an_epoch_that_test_images_chose(self, made):
        """`best_on_test` is for the final model; M_A and M_B take their last epoch."""
        final, product = made(selection__protocol="best_on_test")
        for title in ("M_A", "M_B"):
            state = product(last_epoch(final, title))
            assert state["best"]["epoch"] is None
            assert not any(name.startswith("test") for metrics in state["history"] for name in metrics)
        probs, _ = outputs(product(last_epoch(final, "M_A"))["model"], B, torch.arange(80))
        assert torch.equal(product(stage_of(final, "select")), probs.argmax(1) == B.labels)
        _, affect = outputs(product(last_epoch(final, "M_B"))["model"], A, A.rows(TRAIN))
        assert torch.allclose(product(stage_of(final, "pseudo_va"))[A.rows(TRAIN)], affect, atol=1e-6)
        assert product(last_epoch(final, "joint"))["best"]["epoch"] is not None

    def test_m_a_is_a_classifier_on_a_alone(self, made):
        final, product = made()
        m_a = last_epoch(final, "M_A")
        (part,), extra = parts_of(m_a, product)
        assert part.data is A
        assert torch.equal(part.rows, trained_rows())
        assert extra == []
        assert torch.equal(part.targets.soft_NK[part.rows], F.one_hot(A.labels[part.rows], K).float())

    def test_only_training_images_of_b_are_selected(self, made):
        with_test = replace(B, splits=torch.where(torch.arange(80) % 4 == 0, 2, torch.arange(80) % 2), fingerprint="t")
        final, product = made(Sets(A, (with_test,)))
        selected = product(stage_of(final, "select"))
        assert not selected[with_test.rows(TEST)].any()
        assert selected[with_test.rows(VALIDATION)].any()  # nothing is chosen on B, so all else is trained on
        _, (part,) = parts_of(main_chain(final)[-1], product)
        assert torch.equal(part.rows, torch.nonzero(with_test.splits != TEST).flatten())


class TestStep2:
    @pytest.mark.parametrize("pseudo", ["all", "subset"])
    def test_m_b_learns_expressions_and_va_of_b_or_its_subset(self, made, pseudo):
        final, product = made(joint__pseudo_va=pseudo)
        m_b = last_epoch(final, "M_B")
        (part,), extra = parts_of(m_b, product)
        assert part.data is B
        assert extra == []
        expected = product(stage_of(final, "select")) if pseudo == "subset" else torch.ones(80, dtype=torch.bool)
        assert torch.equal(part.rows, torch.nonzero(expected).flatten())
        assert torch.equal(part.targets.va_N2[part.rows], B.va[part.rows])
        assert torch.equal(part.targets.given_N[part.rows], B.labels[part.rows])
        assert m_b.experiment.objective.weight_va == 15  # not the joint training's 5

    @pytest.mark.parametrize("weights", ["best", "last"])
    def test_pseudo_va_are_what_m_b_predicts(self, made, weights):
        final, product = made(selection__weights=weights)
        state = product(last_epoch(final, "M_B"))
        rows = A.rows(TRAIN)
        _, affect = outputs(state["best"]["weights"] if weights == "best" else state["model"], A, rows)
        va = product(stage_of(final, "pseudo_va"))
        assert torch.allclose(va[rows], affect, atol=1e-6)
        assert va[A.rows(TEST)].isnan().all()

    def test_the_joint_training_learns_them(self, made):
        final, product = made()
        (part,), _ = parts_of(main_chain(final)[-1], product)
        assert torch.equal(part.rows, trained_rows())
        assert torch.equal(part.targets.va_N2[part.rows], product(stage_of(final, "pseudo_va"))[part.rows])
        assert torch.equal(part.targets.given_N[part.rows], A.labels[part.rows])

    def test_own_va(self, made):
        final, product = made(OWN, joint__pseudo_va="own")
        assert not [stage for stage in ancestry([final]) if stage.kind == "pseudo_va"]
        (part,), _ = parts_of(main_chain(final)[-1], product)
        assert torch.equal(part.targets.va_N2[part.rows], A_VA.va[part.rows])

    def test_none_means_that_a_has_no_va_to_learn(self, made):
        plain = {"joint__mapping": "none", "joint__relabel": False, "labels__method": "gaussian", "labels__alpha": 0.5}
        final, product = made(OWN, joint__pseudo_va="none", **plain)
        (ours,), (theirs,) = parts_of(main_chain(final)[-1], product)
        assert ours.targets.va_N2.isnan().all()
        assert torch.equal(ours.targets.soft_NK[ours.rows], F.one_hot(A.labels[ours.rows], K).float())
        assert torch.equal(theirs.targets.va_N2, B.va)
        assert (theirs.targets.soft_NK.max(1).values < 1).any()

    def test_pseudo_va_replace_those_that_a_has(self, made):
        final, product = made(OWN)
        (part,), _ = parts_of(main_chain(final)[-1], product)
        assert torch.equal(part.targets.va_N2[part.rows], product(stage_of(final, "pseudo_va"))[part.rows])


class TestStep3:
    def given(self, final, product):
        """A's pseudo VA and labels, B's VA, labels and who is kept, as arrays."""
        rows = trained_rows()
        a = product(stage_of(final, "pseudo_va"))[rows].double().numpy(), A.labels[rows].numpy()
        b = B.va.double().numpy(), B.labels.numpy(), product(stage_of(final, "select")).numpy()
        return a, b

    @pytest.mark.parametrize("map_all", [False, True])
    @pytest.mark.parametrize(
        ("mapping", "relabel"),
        [("none", True), ("global", False), ("global", True), ("per_class", False), ("per_class", True)],
    )
    def test_the_remainder_is_mapped_and_renamed_the_subset_stays(self, made, mapping, relabel, map_all):
        final, product = made(joint__mapping=mapping, joint__relabel=relabel, joint__map_all=map_all)
        adapted = product(stage_of(final, "adapt"))
        (va_a, labels_a), (va_b, labels_b, kept) = self.given(final, product)
        moved = np.ones(80, dtype=bool) if map_all else ~kept
        va = va_b.copy()
        if mapping == "global":
            va[moved] = transported(va_b[moved], va_b, va_a)
        if mapping == "per_class":
            for k in range(K):
                ours = moved & (labels_b == k)
                va[ours] = transported(va_b[ours], va_b[labels_b == k], va_a[labels_a == k])
        labels = labels_b.copy()
        if relabel:
            centres = np.stack([va_a[labels_a == k].mean(0) for k in range(K)])
            labels[~kept] = nearest(va[~kept], centres)  # the subset keeps its labels, also where all VA are mapped
        assert np.allclose(adapted.va_N2, va, atol=1e-5)
        assert (adapted.labels_N.numpy() == labels).all()
        assert (adapted.selected_N.numpy() == kept).all()
        assert adapted.notes == ()
        if relabel and mapping == "global":
            assert (labels != labels_b).any()
        assert torch.equal(adapted.labels_N[kept], B.labels[kept])
        if mapping == "none" or not map_all:
            assert torch.equal(adapted.va_N2[kept], B.va[kept])
        if mapping != "none":
            assert not np.allclose(va[moved], va_b[moved], atol=0.01)

    def test_statistics_are_of_all_of_b(self, made):
        """The remainder's own mean does not become A's: the map is that of all of B."""
        final, product = made(joint__mapping="global", joint__relabel=False)
        (va_a, _), (va_b, _, kept) = self.given(final, product)
        everything = transported(va_b, va_b, va_a)
        assert np.allclose(everything.mean(0), va_a.mean(0))
        remainder = product(stage_of(final, "adapt")).va_N2.numpy()[~kept]
        assert np.allclose(remainder, everything[~kept], atol=1e-5)
        assert not np.allclose(remainder.mean(0), va_a.mean(0), atol=1e-2)

    @pytest.mark.parametrize(
        ("part", "rows"), [("all", lambda kept: np.ones(80, dtype=bool)), ("subset", lambda kept: kept)]
    )
    def test_what_joins(self, made, part, rows):
        final, product = made(joint__extra_part=part)
        _, (extra,) = parts_of(main_chain(final)[-1], product)
        assert extra.data is B
        kept = product(stage_of(final, "select"))
        assert (extra.rows.numpy() == np.nonzero(rows(kept.numpy()))[0]).all()
        if part == "all":
            adapted = product(stage_of(final, "adapt"))
            assert torch.equal(extra.targets.va_N2, adapted.va_N2)
            assert torch.equal(extra.targets.given_N, adapted.labels_N)
        else:
            assert torch.equal(extra.targets.va_N2[kept], B.va[kept])
            assert torch.equal(extra.targets.given_N[kept], B.labels[kept])

    def test_nothing_joins(self, made):
        final, product = made(joint__extra_part="none")
        trained, extra = parts_of(main_chain(final)[-1], product)
        assert [part.data for part in trained] == [A]
        assert extra == []

    def test_as_one_set(self, made):
        final, product = made(joint__schedule="concatenate", joint__extra_part="subset")
        trained, extra = parts_of(main_chain(final)[-1], product)
        assert [part.data for part in trained] == [A, B]
        assert extra == []
        assert torch.equal(trained[1].rows, torch.nonzero(product(stage_of(final, "select"))).flatten())


NOISY = {"labels__noise_rate": 0.2, "seeds__noise": 3}


class TestNoiseAndFusion:
    def noisy(self, data, rows):
        labels, flipped = flip_labels(data.labels[rows], 0.2, K, 3, ids=rows)
        return torch.full((len(data),), -1).index_put((rows,), labels), rows[flipped]

    def test_every_stage_works_with_the_noisy_labels(self, made):
        final, product = made(**NOISY)
        rows = trained_rows()
        labels_a, flipped_a = self.noisy(A, rows)
        labels_b, flipped_b = self.noisy(B, torch.arange(80))
        (part,), _ = parts_of(last_epoch(final, "M_A"), product)
        assert torch.equal(part.targets.given_N, labels_a)
        assert torch.equal(torch.nonzero(part.targets.flipped_N).flatten(), flipped_a)
        state = product(last_epoch(final, "M_A"))
        probs, _ = outputs(state["best"]["weights"], B, torch.arange(80))
        kept = product(stage_of(final, "select"))
        assert torch.equal(kept, probs.argmax(1) == labels_b)
        (part,), _ = parts_of(last_epoch(final, "M_B"), product)
        assert torch.equal(part.targets.given_N[kept], labels_b[kept])
        assert torch.equal(part.targets.va_N2[kept], B.va[kept])  # VA never see the noise
        va_a = product(stage_of(final, "pseudo_va"))[rows].double().numpy()
        centres = np.stack([va_a[labels_a[rows].numpy() == k].mean(0) for k in range(K)])
        adapted = product(stage_of(final, "adapt"))
        assert torch.equal(adapted.labels_N[kept], labels_b[kept])
        rest = adapted.va_N2[~kept].double().numpy()
        assert (adapted.labels_N[~kept].numpy() == nearest(rest, centres)).all()
        (ours,), (theirs,) = parts_of(main_chain(final)[-1], product)
        assert torch.equal(ours.targets.given_N, labels_a)
        assert torch.equal(torch.nonzero(theirs.targets.flipped_N).flatten(), flipped_b)

    def test_noise_of_va(self, made):
        final, product = made(labels__va_noise=0.3)
        (part,), _ = parts_of(last_epoch(final, "M_B"), product)
        off = part.targets.va_N2[part.rows] - B.va[part.rows]
        assert 0.15 < float(off.std()) < 0.45
        kept = product(stage_of(final, "select"))
        assert torch.equal(product(stage_of(final, "adapt")).va_N2[kept], part.targets.va_N2[kept])

    @pytest.mark.parametrize("method", ["euclidean", "gaussian"])
    def test_labels_are_fused_with_the_va_that_are_trained_on(self, made, method):
        """A's with its pseudo VA, B's with the mapped ones; means and Gaussians of the labels before noise."""
        final, product = made(**NOISY, labels__method=method, labels__alpha=0.5, labels__within_std=None)
        (ours,), (theirs,) = parts_of(main_chain(final)[-1], product)
        pseudo, adapted = product(stage_of(final, "pseudo_va")), product(stage_of(final, "adapt"))
        changed = adapted.labels_N != self.noisy(B, torch.arange(80))[0]
        cases = [
            (ours, pseudo, self.noisy(A, trained_rows())[0], A.labels),
            (theirs, adapted.va_N2, adapted.labels_N, torch.where(changed, adapted.labels_N, B.labels)),
        ]
        for part, va, labels, believed in cases:
            rows = part.rows
            points = va[rows].double()
            if method == "euclidean":
                mixed = euclidean_labels(points, class_means(points, believed[rows], K))
            else:
                mixed = gaussian_labels(points, class_gaussians(points, believed[rows], K, within_std=None))
            expected = 0.5 * F.one_hot(labels[rows], K) + 0.5 * mixed
            assert torch.allclose(part.targets.soft_NK[rows].double(), expected, atol=1e-6)

    @pytest.mark.parametrize(
        ("changes", "refitted"),
        [
            ({}, {"A", "B"}),
            ({"joint__pseudo_va": "all", "joint__mapping": "global", "joint__relabel": False}, {"A", "B"}),
            ({"joint__extra_part": "subset"}, {"A"}),
            ({"joint__pseudo_va": "own"}, {"B"}),
        ],
    )
    def test_gaussians_of_another_set_hold_for_the_va_that_came_alone(self, made, changes, refitted):
        """Pseudo and mapped VA follow another criterion than the one the borrowed Gaussians describe."""
        unit = torch.eye(2, dtype=torch.float64).repeat(K, 1, 1)
        means = torch.tensor([[0.5, 0.5], [-0.5, 0.5], [0.5, -0.5], [-0.5, -0.5]], dtype=torch.float64)
        theirs = ClassGaussians(torch.full((K,), 1 / K, dtype=torch.float64), means, 0.1 * unit)
        lent = BorrowedGaussians("another set", {None: theirs})
        a, b = (replace(data, fingerprint=f"{data.name} lent", gaussians=lent) for data in (A_VA, B))
        final, product = made(
            Sets(a, (b,)), labels__method="gaussian", labels__alpha=0.0, labels__within_std=None, **changes
        )
        for (part,) in parts_of(main_chain(final)[-1], product):
            va, labels = part.targets.va_N2[part.rows].double(), part.targets.given_N[part.rows]
            fitted = class_gaussians(va, labels, K, within_std=None)
            for gaussians, used in ((fitted, part.data.name in refitted), (theirs, part.data.name not in refitted)):
                expected = gaussian_labels(va, gaussians).float()
                assert torch.allclose(part.targets.soft_NK[part.rows], expected, atol=1e-5) == used
        (part,), _ = parts_of(last_epoch(final, "M_A"), product)  # A's VA as they came
        expected = gaussian_labels(part.targets.va_N2[part.rows].double(), theirs).float()
        assert torch.allclose(part.targets.soft_NK[part.rows], expected, atol=1e-5)

    def test_before_there_are_va_labels_are_one_hot(self, made):
        final, product = made(labels__method="gaussian", labels__alpha=0.5)
        (part,), _ = parts_of(last_epoch(final, "M_A"), product)
        assert torch.equal(part.targets.soft_NK[part.rows], F.one_hot(A.labels[part.rows], K).float())
        (part,), _ = parts_of(last_epoch(final, "M_B"), product)
        assert (part.targets.soft_NK[part.rows].max(1).values < 1).any()

    def test_class_weights_count_the_labels_that_are_trained_on(self, made):
        final, product = made(objective__class_weights="hard")
        _, (part,) = parts_of(main_chain(final)[-1], product)
        labels = product(stage_of(final, "adapt")).labels_N
        counts = torch.bincount(labels, minlength=K).double()
        assert torch.allclose(part.targets.weights_N.double(), (counts.max() / counts)[labels])


class TestSeveralExtraSets:
    @pytest.mark.parametrize("sets", [THREE, Sets(A, (D, B))], ids=["B+D", "D+B"])
    @pytest.mark.parametrize("pseudo", ["all", "subset"])
    def test_one_without_va_gets_them_from_m_b_which_never_saw_it(self, made, sets, pseudo):
        final, product = made(sets, joint__extra="B+D", joint__pseudo_va=pseudo)
        b, d = sets.extras.index(B), sets.extras.index(D)
        m_b = last_epoch(final, "M_B")
        (part,), extra = parts_of(m_b, product)
        assert part.data is B
        assert extra == []
        chosen = {s.inputs["labels"].inputs["data"].data.name: s for s in ancestry([final]) if s.kind == "select"}
        assert set(chosen) == {"B", "D"}
        kept_b = product(chosen["B"]) if pseudo == "subset" else torch.ones(80, dtype=torch.bool)
        assert torch.equal(part.rows, torch.nonzero(kept_b).flatten())
        _, affect = outputs(product(m_b)["best"]["weights"], D, torch.arange(60))
        pseudo_of = {s.inputs["data"].data.name: s for s in ancestry([final]) if s.kind == "pseudo_va"}
        assert torch.allclose(product(pseudo_of["D"]), affect, atol=1e-6)
        assert set(pseudo_of) == {"A", "D"}
        adapts = [s for s in ancestry([final]) if s.kind == "adapt"]
        by_name = {s.inputs["extra"].inputs["data"].data.name: product(s) for s in adapts}
        _, extras = parts_of(main_chain(final)[-1], product)
        assert [extras[b].data.name, extras[d].data.name] == ["B", "D"]
        theirs = extras[d].targets
        assert theirs.va_N2.isfinite().all()
        assert torch.equal(theirs.va_N2, by_name["D"].va_N2)
        kept = product(chosen["D"])
        assert torch.equal(theirs.va_N2[kept], product(pseudo_of["D"])[kept])
        assert torch.equal(theirs.given_N[kept], D.labels[kept])
        probs, _ = outputs(product(last_epoch(final, "M_A"))["best"]["weights"], D, torch.arange(60))
        assert torch.equal(kept, probs.argmax(1) == D.labels)

    def test_the_map_of_each_set_is_its_own(self, made):
        final, product = made(THREE, joint__extra="B+D", joint__mapping="global")
        rows = trained_rows()
        pseudo = {s.inputs["data"].data.name: s for s in ancestry([final]) if s.kind == "pseudo_va"}
        va_a = product(pseudo["A"])[rows].double().numpy()
        for stage in (s for s in ancestry([final]) if s.kind == "adapt"):
            name = stage.inputs["extra"].inputs["data"].data.name
            va = (B.va if name == "B" else product(pseudo["D"])).double().numpy()
            adapted = product(stage)
            moved = ~adapted.selected_N.numpy()
            assert np.allclose(adapted.va_N2[moved], transported(va[moved], va, va_a), atol=1e-5)

    def test_what_is_shown_is_the_first_with_va_and_notes_are_of_all(self, store):
        result = run_cell(small_joint(joint__extra="D+B"), Sets(A, (D, B)), store)
        assert (result.labels.extra_labels_given == B.labels.numpy()).all()
        assert np.allclose(result.labels.extra_va_given, B.va)
        few = replace(D, labels=torch.where(torch.arange(60) % 10 == 3, 3, D.labels % 3), fingerprint="few-in-D")
        result = run_cell(small_joint(joint__extra="B+D"), Sets(A, (B, few)), store)
        assert any("for surprise" in note and "6 in D)" in note for note in result.facts["label_notes"])

    def test_m_b_learns_from_every_set_that_knows_va(self, made):
        second = make_b(seed=11, count=60, name="E")
        final, product = made(Sets(A, (B, D, second)), joint__extra="B+D+E", joint__pseudo_va="all")
        trained, _ = parts_of(last_epoch(final, "M_B"), product)
        assert [part.data.name for part in trained] == ["B", "E"]


class TestOtherMethods:
    def test_the_target_alone(self, made):
        final, product = made(joint__method="target")
        assert {stage.attached.title for stage in fits(final)} == {"target"}
        trained, extra = parts_of(main_chain(final)[-1], product)
        assert [part.data for part in trained] == [A]
        assert extra == []

    def test_the_extra_set_alone_never_sees_a(self, made):
        final, product = made(THREE, joint__method="extra", joint__extra="B+D")
        for stage in fits(final):
            trained, extra = parts_of(stage, product)
            assert [part.data for part in trained] == [B, D]
            assert extra == []
        result = run_cell(small_joint(joint__method="extra"), SETS, products_of(product).store)
        assert result.facts["trained_on"] == [80]
        assert result.facts["images"][2] == len(A.rows(TEST))
        assert (result.predictions.labels == A.labels[A.rows(TEST)].numpy()).all()

    def test_the_combination_is_the_union_as_it_came(self, made):
        final, product = made(OWN, joint__method="combine")
        assert {stage.attached.title for stage in fits(final)} == {"combination"}
        trained, extra = parts_of(main_chain(final)[-1], product)
        assert [part.data for part in trained] == [A_VA, B]
        assert extra == []
        for part, data in zip(trained, (A_VA, B), strict=True):
            assert torch.equal(part.targets.given_N[part.rows], data.labels[part.rows])
            assert torch.equal(part.targets.va_N2[part.rows], data.va[part.rows])
        assert [len(part.rows) for part in trained] == [50, 80]


class TestFineTuning:
    def started(self, final, product):
        """The model that fine-tuning starts from."""
        first = main_chain(final)[0]
        weights = product(first.inputs["before"])
        (part,), _ = parts_of(first, product)
        experiment = first.experiment
        trainer = Trainer(experiment, part.data, trained=[part], start=weights)
        return trainer.model.state_dict(), experiment, part

    @pytest.mark.parametrize("weights", ["best", "last"])
    def test_on_the_same_expressions_from_all_weights_of_the_headline(self, made, weights):
        other = make_a(seed=4)
        final, product = made(
            Sets(A, (B,), other), joint__finetune="other", joint__finetune_rate=0.1, selection__weights=weights
        )
        state = product(last_epoch(final, "joint"))
        model, experiment, part = self.started(final, product)
        expected = state["best"]["weights"] if weights == "best" else state["model"]
        assert weights_hash(model) == weights_hash(expected)
        assert part.data is other
        assert torch.equal(part.rows, trained_rows(other))
        assert experiment.train.learning_rate == pytest.approx(3e-4)
        assert main_chain(final)[0].params["rate"] == pytest.approx(3e-4)

    def test_from_the_average(self, made):
        final, product = made(
            Sets(A, (), A),
            joint__method="target",
            joint__finetune="target",
            selection__weights="swa",
            train__swa_start=0.5,
        )
        averaged = trainer_after(last_epoch(final, "target"), products_of(product)).ready_model("swa").module
        model, _, _ = self.started(final, product)
        assert weights_hash(model) == weights_hash(averaged.state_dict())

    def test_on_other_expressions_from_the_encoder(self, made):
        final, product = made(Sets(A, (B,), C3), joint__finetune="C")
        state = product(last_epoch(final, "joint"))
        model, experiment, part = self.started(final, product)
        fresh = build_model(experiment.model, 3, experiment.seeds.init).state_dict()
        for name, value in model.items():
            source = state["best"]["weights"] if name.startswith("encoder.") else fresh
            assert torch.equal(value, source[name]), name
        assert part.data is C3
        result = run_cell(small_joint(joint__finetune="C"), Sets(A, (B,), C3), products_of(product).store)
        assert result.facts["classes"] == list(C3.classes)
        assert (result.predictions.labels == C3.labels[C3.rows(TEST)].numpy()).all()

    def test_without_va_the_term_is_off(self, made):
        final, _ = made(Sets(A, (B,), make_a(seed=4)), joint__finetune="other")
        assert main_chain(final)[-1].experiment.objective.weight_va == 0
        final, _ = made(Sets(A, (B,), A_VA), joint__finetune="other")
        assert main_chain(final)[-1].experiment.objective.weight_va == 5


WITH_VALIDATION = replace(
    A, splits=torch.where(torch.arange(80) % 3 == 1, VALIDATION, A.splits), fingerprint="with-validation"
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"joint__pseudo_va": "all", "joint__schedule": "concatenate"},
        {"joint__extra_part": "subset", "joint__pseudo_va": "subset"},
        {"joint__method": "combine"},
        {"joint__method": "target"},
        {"joint__finetune": "target"},
        {"joint__method": "extra", "joint__finetune": "target"},
    ],
    ids=str,
)
@pytest.mark.parametrize("target", [A, WITH_VALIDATION], ids=["drawn", "own"])
def test_validation_and_test_images_of_a_are_never_trained_on(made, target, changes):
    sets = Sets(target, (B,), target if "joint__finetune" in changes else None)
    final, product = made(sets, **changes)
    data = for_protocol(target, small_joint().selection, 0)
    assert len(data.rows(VALIDATION)) > 5
    seen = 0
    for stage in fits(final):
        trained, extra = parts_of(stage, product)
        for part in (*trained, *extra):
            if part.data is target:
                seen += 1
                assert torch.equal(part.rows, data.rows(TRAIN))
                assert part.targets.soft_NK[data.rows(VALIDATION)].isnan().all()
                assert part.targets.soft_NK[data.rows(TEST)].isnan().all()
    assert seen
    # nor do they enter the statistics that B is mapped with: only labelled rows do
    for stage in ancestry([final]):
        if stage.kind == "labels" and stage.inputs["data"].data is target:
            assert torch.equal(product(stage).rows, data.rows(TRAIN))


def test_without_a_validation_part_all_of_a_is_trained_on(made):
    final, product = made(Sets(WITH_VALIDATION, (B,)), selection__protocol="best_on_test")
    (part,), _ = parts_of(main_chain(final)[-1], product)
    assert torch.equal(part.rows, torch.nonzero(WITH_VALIDATION.splits != TEST).flatten())


class TestScoresOfLabels:
    def test_against_the_truth_where_it_is_known(self, store):
        truth = torch.where(torch.rand(80, generator=torch.Generator().manual_seed(2)) < 0.9, B.labels, 0)
        truth_va = B.va + 0.1
        known = Sets(
            replace(A, fingerprint="known", info=DatasetInfo(truth_va=A_VA.va)),
            (
                replace(
                    B,
                    fingerprint="known-B",
                    info=DatasetInfo(target_probs=F.one_hot(truth, K).float(), truth_va=truth_va),
                ),
            ),
        )
        result = run_cell(small_joint(joint__mapping="global"), known, store)
        labels, rows = result.labels, trained_rows().numpy()
        kept, new, given = labels.extra_selected, labels.extra_labels_new, labels.extra_labels_given
        assert (given == B.labels.numpy()).all()
        assert (labels.target_labels == A.labels.numpy()[rows]).all()
        right = truth.numpy()
        off = labels.target_va - A_VA.va.numpy()[rows]
        va_off = [
            np.square(getattr(labels, f"extra_va_{which}") - truth_va.numpy())[~kept].mean()
            for which in ("given", "new")
        ]
        expected = {
            "kept_share": kept.mean(),
            "given_right": (given == right).mean(),
            "kept_right": (given == right)[kept].mean(),
            "remainder_right": (given == right)[~kept].mean(),
            "relabelled_right": (new == right)[~kept].mean(),
            "relabel_agreement": (new == given)[~kept].mean(),
            "pseudo_rmse": np.sqrt(np.square(off).mean()),
            "given_va_rmse": np.sqrt(va_off[0]),
            "mapped_va_rmse": np.sqrt(va_off[1]),
        }
        for name, value in expected.items():
            assert result.scores[f"labels/{name}"] == pytest.approx(float(value), rel=1e-5), name
        assert -1 <= result.scores["labels/pseudo_ccc"] <= 1
        again = run_cell(small_joint(joint__mapping="global"), known, store)  # read
        first, second = labels.arrays(), again.labels.arrays()
        assert first.keys() == second.keys()
        assert all(first[name].tobytes() == second[name].tobytes() for name in first)

    def test_where_it_is_not_only_shares(self, store):
        scores = run_cell(small_joint(joint__mapping="global"), SETS, store).scores
        assert {name for name in scores if name.startswith("labels/")} == {
            "labels/kept_share",
            "labels/relabel_agreement",
        }
        assert not any(
            name.startswith("labels/") for name in run_cell(small_joint(joint__method="target"), SETS, store).scores
        )

    def test_relabelling_that_changes_nothing_agrees_fully(self, store):
        """B's classes, mapped onto A's tight ones, all come back as they were: a number, not a gap in the table."""
        result = run_cell(small_joint(), SETS, store)
        assert (result.labels.extra_labels_new == result.labels.extra_labels_given).all()
        assert not result.labels.extra_selected.all()
        assert result.scores["labels/relabel_agreement"] == 1


class TestBadInput:
    def refused(self, sets, **changes):
        with pytest.raises(UserError) as error:
            build(small_joint(**changes), sets)
        assert "\n" not in str(error.value)
        return str(error.value)

    @pytest.mark.parametrize("pseudo", ["all", "subset"])
    def test_b_without_va(self, pseudo):
        assert self.refused(Sets(A, (D,)), joint__pseudo_va=pseudo) == (
            f"`joint.pseudo_va={pseudo}` needs an extra set with valence and arousal, but D has none: "
            "add the columns to its CSV, or name another set"
        )

    def test_two_sets_without_va_are_both_named(self):
        other = replace(D, name="E", fingerprint="E")
        assert "but D, E has none" in self.refused(Sets(A, (D, other)))

    @pytest.mark.parametrize("method", ["extra", "combine", "dcjt"])
    def test_other_expressions(self, method):
        assert self.refused(Sets(A, (make_b(classes=3),)), joint__method=method) == (
            "A and B must name the same expressions, but A has neutral, happiness, sadness, surprise and B has "
            "neutral, happiness, sadness: leave the others out of one of them"
        )

    def test_own_va_that_a_lacks(self):
        assert self.refused(SETS, joint__pseudo_va="own") == (
            "`joint.pseudo_va=own` needs valence and arousal in A, but it has none"
        )

    @pytest.mark.parametrize("mapping", ["global", "per_class"])
    @pytest.mark.parametrize("extras", [(D,), (B, D)], ids=["D", "B+D"])
    def test_a_map_for_a_set_that_gets_no_va(self, mapping, extras):
        """With A's own VA there is no M_B to give D any: said before anything is trained."""
        assert self.refused(Sets(A_VA, extras), joint__pseudo_va="own", joint__mapping=mapping) == (
            "`joint.mapping` and `joint.relabel` need valence and arousal of every extra set, but D has none: "
            "joint.pseudo_va=subset gives pseudo VA, joint.pseudo_va=own does not"
        )
        fine = {"joint__pseudo_va": "own", "joint__mapping": "none", "joint__relabel": False}
        assert build(small_joint(**fine), Sets(A_VA, extras))
        assert build(small_joint(joint__pseudo_va="own", joint__extra_part="subset"), Sets(A_VA, extras))

    @pytest.mark.parametrize("method", ["target", "dcjt"])
    def test_a_set_that_comes_twice(self, method):
        """Images that one of them holds out would be trained on in the other."""
        part = subset(A_VA, TRAIN, 30)
        words = self.refused(Sets(A_VA, (part,)), joint__method=method)
        assert words == "joint.extra and data.source must be different data sets, but both are A"
        words = self.refused(Sets(A, (B, B)), joint__method=method)
        assert words == "joint.extra and joint.extra must be different data sets, but both are B"
        words = self.refused(Sets(A, (B,), B), joint__method=method, joint__finetune="B")
        assert words == "joint.finetune and joint.extra must be different data sets, but both are B"

    def test_nothing_is_selected(self, tmp_path):
        wrong = make_b(wrong=1.0)
        with pytest.raises(UserError) as error:
            run_cell(small_joint(), Sets(A, (wrong,)), Store(tmp_path))
        text = str(error.value)
        assert text.startswith("M_A agrees with 0 of 80 labels of B, so nothing can be selected from it; ")
        assert "M_A's accuracy is 1.000" in text
        assert "labels of B: neutral 20, happiness 20, sadness 20, surprise 20; " in text
        counts = re.search(r"; M_A predicts: neutral (\d+), happiness (\d+), sadness (\d+), surprise (\d+)$", text)
        assert sum(map(int, counts.groups())) == 80

    def test_fusion_with_va_that_no_one_has(self, tmp_path):
        with pytest.raises(UserError, match="needs valence and arousal, but A has none"):
            run_cell(small_joint(joint__method="target", labels__alpha=0.5), SETS, Store(tmp_path))


class TestNotes:
    def notes(self, made, sets, **changes):
        final, product = made(sets, **changes)
        adapted = product(stage_of(final, "adapt"))
        assert adapted.va_N2[adapted.labels_N >= 0].isfinite().all()
        return adapted, adapted.notes

    def test_a_class_that_is_rare_in_b(self, made):
        rare = torch.arange(80) % 10 == 3  # eight of "surprise"
        labels = torch.where(rare, 3, B.labels % 3)
        few = replace(B, labels=labels, fingerprint="few-in-B")
        final, product = made(Sets(A, (few,)))
        adapted = product(stage_of(final, "adapt"))
        moved = (~adapted.selected_N & rare).numpy()
        assert moved.any()
        counts = torch.bincount(A.labels[trained_rows()], minlength=K)
        assert adapted.notes == (f"EDCLM fell back to the global map for surprise ({counts[3]} samples in A, 8 in B)",)
        va_a = product(stage_of(final, "pseudo_va"))[trained_rows()].double().numpy()
        va_b = B.va.double().numpy()
        assert np.allclose(adapted.va_N2[moved], transported(va_b[moved], va_b, va_a), atol=1e-5)

    def test_classes_that_are_rare_in_a(self, made):
        small = make_a(count=44)
        counts = torch.bincount(A.labels[trained_rows(small)], minlength=K).tolist()
        assert max(counts) < 10
        _, notes = self.notes(made, Sets(small, (B,)))
        theirs = torch.bincount(B.labels, minlength=K).tolist()
        expected = [
            f"EDCLM fell back to the global map for {name} ({counts[k]} samples in A, {theirs[k]} in B)"
            for k, name in enumerate(A.classes)
        ]
        assert set(notes) <= set(expected)
        assert len(notes) >= 3  # a class whose labels are all kept is not mapped
        assert self.notes(made, Sets(small, (B,)), joint__mapping="global")[1] == ()

    def test_images_of_b_without_va_stay_as_they_are(self, made):
        """They count for no statistics; a class with few annotated ones takes the global map, and the note says so."""
        unknown = (torch.arange(80) % 3 == 0) | ((B.labels == 2) & (torch.arange(80) > 30))
        some = replace(B, va=torch.where(unknown[:, None], torch.nan, B.va), fingerprint="some-of-B")
        final, product = made(Sets(A, (some,)))
        adapted = product(stage_of(final, "adapt"))
        kept = product(stage_of(final, "select"))
        counts = torch.bincount(A.labels[trained_rows()], minlength=K).tolist()
        annotated = int((~unknown & (B.labels == 2)).sum())
        assert annotated < 10 < int((B.labels == 2).sum())
        note = f"EDCLM fell back to the global map for sadness ({counts[2]} samples in A, {annotated} in B)"
        assert note in adapted.notes
        assert adapted.va_N2[unknown].isnan().all()
        assert torch.equal(adapted.labels_N[unknown], B.labels[unknown])
        assert adapted.va_N2[~unknown].isfinite().all()
        assert torch.equal(adapted.va_N2[kept & ~unknown], B.va[kept & ~unknown])
        va_a = product(stage_of(final, "pseudo_va"))[trained_rows()].double().numpy()
        va_b = B.va.double().numpy()
        moved = (~kept & ~unknown & (B.labels == 2)).numpy()
        assert moved.any()
        assert np.allclose(adapted.va_N2[moved], transported(va_b[moved], va_b[~unknown], va_a), atol=1e-5)

    DEGENERATE = "are nearly degenerate; 1e-6 was added to their variances"

    def test_constant_va_of_b(self, made):
        flat = replace(B, va=torch.tensor([0.3, 0.1]).repeat(80, 1), fingerprint="flat-B")
        own = {"joint__pseudo_va": "own"}
        assert self.notes(made, Sets(A_VA, (flat,)), **own, joint__mapping="global")[1] == (
            f"the VA of B {self.DEGENERATE}",
        )
        adapted, notes = self.notes(made, Sets(A_VA, (flat,)), **own)
        counts = torch.bincount(B.labels, minlength=K).tolist()
        assert notes == (
            f"the VA of B {self.DEGENERATE}",
            *(
                f"the VA of {name} in B are nearly degenerate ({counts[k]} samples); 1e-6 was added to their variances"
                for k, name in enumerate(B.classes)
            ),
        )
        rows = trained_rows(A_VA)
        for k in range(K):  # what says nothing becomes A's mean
            moved = ~adapted.selected_N & (B.labels == k)
            mean = A_VA.va[rows][A_VA.labels[rows] == k].mean(0)
            assert torch.allclose(adapted.va_N2[moved], mean.expand(int(moved.sum()), 2), atol=1e-4)

    def test_one_constant_class(self, made):
        """Of "sadness" everybody noted the same VA."""
        va = torch.where((B.labels == 2)[:, None], torch.tensor([-0.5, -0.25]), B.va)
        _, notes = self.notes(made, Sets(A, (replace(B, va=va, fingerprint="dull-B"),)))
        count = int((B.labels == 2).sum())
        assert notes == (
            f"the VA of sadness in B are nearly degenerate ({count} samples); 1e-6 was added to their variances",
        )

    def test_constant_va_of_a_reach_the_reader(self, store):
        flat = replace(A_VA, va=torch.tensor([0.3, 0.1]).repeat(80, 1), fingerprint="flat-A")
        result = run_cell(small_joint(joint__pseudo_va="own", joint__mapping="global"), Sets(flat, (B,)), store)
        assert result.facts["label_notes"] == [f"the VA of A {self.DEGENERATE}"]
        assert np.isfinite(result.scores["test/accuracy"])


def products_of(product):
    """The context behind a `product` function of these tests."""
    return product.__self__
