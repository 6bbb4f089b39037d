"""The built-in faces: reproducible, balanced as stated, readable, and neither trivial nor noise."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from types import ModuleType

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from raysweep.data.dataset import TEST, TRAIN, VALIDATION, FaceData
from raysweep.data.expressions import AFFECTNET_COUNTS, AFFECTNET_MEANS, EXPRESSIONS
from raysweep.data.plots.faces import draw_contact_sheet
from raysweep.data.synthetic import (
    FACES_VERSION,
    RaterModel,
    affect_at,
    bayes_ceiling,
    build_faces,
    eyes,
    render_actions,
    render_faces,
    sample_affect,
    skin,
)
from raysweep.data.synthetic import mouth as mouth_module
from raysweep.data.synthetic.action_units import ACTION_UNITS, action_units
from raysweep.data.synthetic.build import share_out
from raysweep.data.synthetic.identity import draw_identity
from raysweep.data.synthetic.mouth import MouthShape, shape_mouth
from raysweep.data.synthetic.raters import annotate_va, cast_votes, rater_probabilities

INDICES = torch.arange(70)
CLASSES = INDICES % len(EXPRESSIONS)


def render(indices: Tensor, size: int = 48, seed: int = 0, nuisance: float = 1.0) -> Tensor:
    affect = sample_affect(indices, indices % len(EXPRESSIONS), seed)
    return render_faces(indices, indices // 9, affect, size, seed, nuisance)


@pytest.fixture(scope="module")
def faces() -> FaceData:
    return build_faces(size=32, train=1600, validation=300, test=640, seed=3)


def units(**amplitudes: float) -> Tensor:
    """Action units of one sample. Shape (1, A)."""
    return torch.tensor([[amplitudes.get(unit, 0.0) for unit in ACTION_UNITS]])


def mouth(**amplitudes: float) -> MouthShape:
    identity = draw_identity(torch.tensor([7]), 0).planes()
    amounts = units(**amplitudes)
    return shape_mouth(identity, {unit: amounts[:, k, None, None] for k, unit in enumerate(ACTION_UNITS)})


class TestRendering:
    @pytest.mark.parametrize("size", [32, 33, 64])
    def test_a_face_does_not_depend_on_its_batch(self, size: int) -> None:
        some = torch.tensor([61, 5, 9, 33])
        assert torch.equal(render(INDICES, size)[some], render(some, size))
        assert torch.equal(render(INDICES, size)[9:10], render(torch.tensor([9]), size))

    def test_another_seed_is_another_face(self) -> None:
        assert not torch.equal(render(INDICES[:2], seed=0), render(INDICES[:2], seed=1))

    @pytest.mark.parametrize("size", [32, 64, 224])
    def test_shape_and_range(self, size: int) -> None:
        images = render(INDICES[:8], size)
        assert images.shape == (8, 3, size, size)
        assert images.dtype == torch.uint8
        assert images.float().std() > 20

    @pytest.mark.parametrize("size", [32, 64])
    def test_sizes_show_the_same_picture(self, size: int) -> None:
        large = render(INDICES[:8], 224, nuisance=0.0).float()
        small = render(INDICES[:8], size, nuisance=0.0).float()
        reduced = interpolate(large, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
        assert (reduced - small).abs().mean() < 3.0

    @pytest.mark.parametrize("size", [31, 225, 0])
    def test_a_wrong_size_is_refused(self, size: int) -> None:
        with pytest.raises(ValueError, match=rf"`32 <= size <= 224` must hold, but got size={size}"):
            render(INDICES[:1], size)

    @pytest.mark.parametrize(
        ("module", "box"),
        [(skin, "_NOSE"), (skin, "_CHEEKS"), (skin, "_FOREHEAD"), (skin, "_BLUSH"), (skin, "_BEARD"),
         (mouth_module, "_MOUTH"), (eyes, "_EYES"), (eyes, "_BROWS"), (eyes, "_GLASSES")],
    )  # fmt: skip
    def test_no_window_cuts_its_feature(self, module: ModuleType, box: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Features are drawn in small windows for speed: the whole canvas must give the same faces."""
        windowed = render(INDICES).int()
        monkeypatch.setattr(module, box, (-1.0, -1.0, 1.0, 1.0))
        change = (render(INDICES).int() - windowed).abs().amax((1, 2, 3))
        assert (change > 16).sum() <= 1

    def test_no_samples_give_no_pictures(self) -> None:
        assert render(INDICES[:0]).shape == (0, 3, 48, 48)

    def test_nuisance_zero_repeats_the_same_person(self) -> None:
        affect = affect_at(torch.zeros(2, dtype=torch.int64), torch.zeros(2, 2))
        one, other = render_faces(torch.tensor([1, 2]), torch.tensor([4, 4]), affect, 48, 0, nuisance=0.0)
        assert torch.equal(one[:, 18:36, 16:32], other[:, 18:36, 16:32])


class TestExpressions:
    def test_au12_lifts_and_au15_lowers_the_corners(self) -> None:
        rest, smile, frown = mouth(), mouth(AU12L=1, AU12R=1), mouth(AU15=1)
        assert smile.left_y < rest.left_y < frown.left_y
        assert smile.right_y < rest.right_y < frown.right_y

    def test_a_smirk_is_one_sided(self) -> None:
        smirk = mouth(AU12R=0.9, AU14R=1)
        assert smirk.right_y < smirk.left_y - 0.05

    def test_au26_opens_and_au20_widens(self) -> None:
        assert mouth(AU26=1).gap_down > mouth().gap_down + 0.1
        assert mouth(AU20=1).width > mouth().width + 0.05

    @pytest.mark.parametrize(
        ("unit", "box"),
        [("AU1", (20, 50, 28, 68)), ("AU4", (28, 46, 28, 68)), ("AU5", (34, 50, 22, 74)), ("AU9", (34, 62, 30, 66)),
         ("AU12L", (58, 82, 22, 48)), ("AU26", (60, 90, 30, 66)), ("AU43", (34, 50, 22, 74))],
    )  # fmt: skip
    def test_a_muscle_moves_its_own_region(self, unit: str, box: tuple[int, int, int, int]) -> None:
        one = torch.tensor([0])
        rest, moved = (
            render_actions(one, one + 7, row, 96, 0, nuisance=0.0)[0].float() for row in (units(), units(**{unit: 1}))
        )
        change = (rest - moved).abs().mean(0)
        top, bottom, left, right = box
        assert change[top:bottom, left:right].mean() > 4 * change.mean()

    def test_the_affect_leaves_the_identity_alone(self) -> None:
        """Two affects of one person differ only where muscles move the face: never in hair or backdrop."""
        person = torch.tensor([14, 14])
        affect = affect_at(torch.tensor([1, 6]), torch.tensor(AFFECTNET_MEANS)[torch.tensor([1, 6])])
        happy, angry = render_faces(torch.tensor([0, 0]), person, affect, 64, 0, nuisance=0.0)
        assert torch.equal(happy[:, :12], angry[:, :12])
        assert not torch.equal(happy[:, 12:], angry[:, 12:])

    def test_units_stay_in_range_and_smile_with_happiness(self) -> None:
        affect = sample_affect(INDICES, CLASSES, 0)
        amount = action_units(affect, INDICES, 0)
        assert amount.min() >= 0
        assert amount.max() <= 1.2
        smiling = amount[:, ACTION_UNITS.index("AU12L")]
        assert smiling[CLASSES == 1].mean() > smiling[CLASSES == 2].mean() + 0.4


class TestAffect:
    def test_a_pure_function_of_the_index(self) -> None:
        some = torch.tensor([40, 3])
        whole, part = sample_affect(INDICES, CLASSES, 5), sample_affect(some, CLASSES[some], 5)
        for name in ("expressions", "va", "intensity", "rater_probs"):
            assert torch.equal(getattr(whole, name)[some], getattr(part, name))

    def test_class_means_are_affectnets(self) -> None:
        indices = torch.arange(8000)
        affect = sample_affect(indices, indices % 8, 0)
        assert affect.va.abs().max() <= 1
        for k, mean in enumerate(AFFECTNET_MEANS):
            assert torch.allclose(affect.va[indices % 8 == k].mean(0), torch.tensor(mean), atol=0.04)

    def test_raters_agree_as_people_do(self) -> None:
        indices = torch.arange(8000)
        affect = sample_affect(indices, indices % 8, 0)
        agreement = affect.rater_probs.gather(1, affect.expressions[:, None]).mean()
        assert 0.70 < agreement < 0.78
        confusion = torch.stack([affect.rater_probs[indices % 8 == k].mean(0) for k in range(8)])
        fear, surprise, happiness = (EXPRESSIONS.index(name) for name in ("fear", "surprise", "happiness"))
        assert confusion[fear, surprise] > 0.1
        assert confusion[fear, happiness] < 0.03

    def test_certain_raters_always_agree(self) -> None:
        """Degenerate case: endless evidence and no lapses leave only the true class."""
        certain = RaterModel(evidence=1e4, lapse=0.0)
        probs = rater_probabilities(CLASSES, torch.zeros(70, 2), torch.ones(70), certain)
        assert torch.equal(probs.argmax(1), CLASSES)
        votes, first = cast_votes(probs, INDICES, 0, certain)
        assert torch.equal(votes, torch.nn.functional.one_hot(CLASSES, 8).float())
        assert torch.equal(first, CLASSES)

    def test_votes_follow_their_probabilities(self) -> None:
        indices = torch.arange(4000)
        probs = torch.tensor([0.5, 0.2, 0.1, 0.1, 0.05, 0.03, 0.01, 0.01]).expand(4000, 8)
        votes, _ = cast_votes(probs, indices, 0, RaterModel())
        assert torch.allclose(votes.mean(0), probs[0], atol=0.01)

    def test_two_sites_vote_apart(self) -> None:
        probs = sample_affect(INDICES, CLASSES, 0).rater_probs
        home, away = (cast_votes(probs, INDICES, 0, RaterModel(site=site))[0] for site in ("home", "away"))
        assert not torch.equal(home, away)

    def test_a_site_may_be_biased(self) -> None:
        biased = RaterModel(bias=(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0))
        plain, site = (sample_affect(INDICES, CLASSES, 0, raters).rater_probs for raters in (RaterModel(), biased))
        assert (site[:, 6] > plain[:, 6]).all()

    def test_a_site_may_see_affect_elsewhere(self) -> None:
        """Naming at a moved and scaled point is naming that point."""
        affect = sample_affect(INDICES, CLASSES, 0)
        habit = RaterModel(affect_offset=(-0.3, 0.1), affect_gain=0.8)
        seen = 0.8 * affect.va + torch.tensor([-0.3, 0.1])
        expected = rater_probabilities(CLASSES, seen, affect.intensity, RaterModel())
        assert torch.equal(rater_probabilities(CLASSES, affect.va, affect.intensity, habit), expected)

    def test_a_full_halo_writes_the_prototype(self) -> None:
        habit = RaterModel(halo=1.0, va_gain=0.5, va_offset=(0.1, -0.1), va_std=0.0)
        written = annotate_va(torch.zeros(70, 2), CLASSES, INDICES, 0, habit)
        expected = 0.5 * torch.tensor(AFFECTNET_MEANS)[CLASSES] + torch.tensor([0.1, -0.1])
        assert torch.allclose(written, expected)

    def test_only_a_habit_enters_the_description(self) -> None:
        assert "halo" not in RaterModel().described()
        assert RaterModel(halo=0.5).described()["halo"] == 0.5


class TestDataSet:
    def test_fields_are_consistent(self, faces: FaceData) -> None:
        assert faces.name == "faces"
        assert faces.classes == EXPRESSIONS
        assert len(faces) == 2540
        assert faces.images.shape == (2540, 3, 32, 32)
        assert faces.info.version == FACES_VERSION
        for name in ("truth_expressions", "truth_va", "rater_probs"):
            assert len(getattr(faces.info, name)) == len(faces)

    @pytest.mark.parametrize(("split", "count"), [(TRAIN, 1600), (VALIDATION, 300)])
    def test_class_shares_are_affectnets(self, faces: FaceData, split: int, count: int) -> None:
        counts = torch.bincount(faces.info.truth_expressions[faces.rows(split)], minlength=8)
        assert counts.sum() == count
        assert counts.min() >= 2
        expected = torch.tensor(AFFECTNET_COUNTS) / sum(AFFECTNET_COUNTS) * (count - 16) + 2
        assert (counts - expected).abs().max() < 1

    def test_test_is_balanced_by_majority_vote(self, faces: FaceData) -> None:
        rows = faces.rows(TEST)
        assert torch.equal(faces.labels[rows], faces.votes[rows].argmax(1))
        assert torch.bincount(faces.labels[rows], minlength=8).tolist() == [80] * 8

    def test_training_labels_are_one_raters(self, faces: FaceData) -> None:
        rows = faces.rows(TRAIN)
        chosen = faces.votes[rows].gather(1, faces.labels[rows, None])
        assert (chosen > 0).all()
        assert 0.6 < (faces.labels[rows] == faces.votes[rows].argmax(1)).float().mean() < 0.95

    def test_votes_and_points_are_valid(self, faces: FaceData) -> None:
        assert torch.allclose(faces.votes.sum(1), torch.ones(len(faces)))
        assert faces.va.abs().max() <= 1
        error = (faces.va - faces.info.truth_va).std()
        assert 0.06 < error < 0.09

    def test_nobody_is_in_two_splits(self, faces: FaceData) -> None:
        people = [set(faces.subjects[faces.rows(split)].tolist()) for split in (TRAIN, VALIDATION, TEST)]
        assert not people[0] & people[1]
        assert not people[0] & people[2]
        assert not people[1] & people[2]
        _, pictures = faces.subjects[faces.rows(TRAIN)].unique(return_counts=True)
        assert pictures[:-1].min() >= 8
        assert pictures.max() <= 12

    def test_the_fingerprint_names_the_arguments(self) -> None:
        prints = {build_faces(32, train, 8, 8, seed).fingerprint for train, seed in ((8, 0), (9, 0), (8, 1), (8, 0))}
        assert len(prints) == 3
        assert all(len(text) == 64 for text in prints)

    def test_a_larger_training_split_leaves_the_test_faces_alone(self) -> None:
        small, large = build_faces(32, 8, 8, 16), build_faces(32, 24, 8, 16)
        assert torch.equal(small.images[small.rows(TEST)], large.images[large.rows(TEST)])

    @pytest.mark.parametrize(("name", "least"), [("train", 1), ("validation", 0), ("test", 1)])
    def test_too_small_a_split_is_refused(self, name: str, least: int) -> None:
        counts = {"train": 8, "validation": 8, "test": 8, name: least - 1}
        with pytest.raises(ValueError, match=f"`{name} >= {least}` must hold, but got {name}={least - 1}"):
            build_faces(32, **counts)

    def test_validation_may_be_empty(self) -> None:
        assert len(build_faces(32, 8, 0, 8).rows(VALIDATION)) == 0

    def test_raters_who_never_say_a_class_are_refused(self) -> None:
        with pytest.raises(ValueError, match="every expression must win some majority votes"):
            build_faces(32, 8, 8, 8, raters=RaterModel(bias=(-99.0,) + (0.0,) * 7, lapse=0.0))

    def test_shares_use_the_largest_remainder(self) -> None:
        assert share_out(10, [1, 1, 1]).tolist() == [4, 3, 3]
        assert share_out(10, [97, 2, 1], floor=1).tolist() == [8, 1, 1]


class TestFrozen:
    """What version 1 is. If one of these fails, raise FACES_VERSION and write the new values down."""

    def test_version_1(self) -> None:
        data = build_faces(32, 64, 16, 64, seed=0)
        drawn = bytes(data.labels.tolist() + data.subjects.remainder(251).tolist())
        assert FACES_VERSION == 1
        assert sha256(drawn).hexdigest()[:16] == "8929b358b808c339"
        assert data.va.mean(0).tolist() == pytest.approx([-0.0847, 0.3063], abs=1e-3)
        assert data.images.float().mean((0, 2, 3)).tolist() == pytest.approx([147.09, 125.13, 105.44], abs=0.1)
        assert data.images.float().std((0, 2, 3)).tolist() == pytest.approx([52.52, 46.60, 45.09], abs=0.1)

    def test_raters_with_habits_changed_nothing_here(self) -> None:
        """Values written down before raters could have habits (see `sites.py`)."""
        data = build_faces(size=32, train=32, validation=0, test=16, seed=0)
        assert data.fingerprint == "6e3797c232f5100d6306614ee8e940e5bb2f811a1fe9887255b5d72236b66393"
        drawn = {
            name: sha256(getattr(data, name).numpy().tobytes()).hexdigest()[:16] for name in ("images", "labels", "va")
        }
        assert drawn["labels"] == "e993135b3936e14b"
        assert drawn["va"] == "766dc2023b454026"
        assert drawn["images"] == "83b9ab503bc42720"


class TestDifficulty:
    def test_bayes_ceiling(self, faces: FaceData) -> None:
        ceiling = bayes_ceiling(faces)
        assert 0.88 < ceiling["macro_f1"] < 0.97
        assert 0.88 < ceiling["accuracy"] < 0.97

    def test_pixels_alone_are_not_enough(self, faces: FaceData) -> None:
        """A linear reader of coarse pixels beats chance (0.125) and stays far below the ceiling."""
        pixels = avg_pool2d(faces.images.float().mean(1, keepdim=True) / 255, 2).flatten(1).numpy()
        train, test = faces.rows(TRAIN), faces.rows(TEST)
        probe = LogisticRegression(C=0.1, max_iter=1000, tol=1e-3, class_weight="balanced")
        probe.fit(pixels[train], faces.labels[train])
        score = f1_score(faces.labels[test], probe.predict(pixels[test]), average="macro")
        assert 0.16 < score < 0.55


def test_contact_sheet(tmp_path: Path) -> None:
    draw_contact_sheet(tmp_path / "sheets" / "faces.png", size=48)
    assert (tmp_path / "sheets" / "faces.png").read_bytes().startswith(b"\x89PNG")
