"""Sites: the built-in faces labelled by raters with different biases, for joint training. N faces, K = 8.

A is the target. B is the extra set, other people with valence and arousal (VA), at three strengths of
shift between its criteria and A's; all three show the same pictures. C is a third site, to fine-tune on,
D a fourth, without VA, to add to B.

The strengths:

- none: exactly A's criteria and annotators; only people and votes are drawn independently.
- moderate: B's raters see every face as more negative and a little more aroused, prefer the labels neutral
  and anger, avoid fear and disgust, and annotate VA on another scale, moved by a fifth towards the mean of
  the expression that they named.
- strong: the same biases, larger, with more random answers and VA moved by a third towards that mean.

C's raters see faces as milder and calmer, and prefer neutral, sadness and disgust. D's, of a second extra
set without VA, see faces as more positive and more aroused, and prefer neutral and happiness.

The numbers were chosen from the probability tables alone and fixed before any model was trained or any
method compared. The aims were A's likeliest label changed in 20 % and 40 % of training images, every class
keeping a quarter of its own, and a VA error of 0.15-0.2 and 0.25-0.3. For comparison: a RAF-DB classifier
agrees with about half to 60 % of AffectNet's labels.

Measured on 20,000 training faces with AffectNet's imbalance (`python -m raysweep.data sites`); "likeliest":
share whose likeliest label is not A's likeliest; "label": share whose one-rater label is not (of A's own
raters' labels 0.149); "kept": share of A's faces of an expression that are the site's too, by likeliest label.

                       B none  B moderate  B strong     C
    likeliest           0.000       0.203     0.400  0.047
    label               0.148       0.405     0.551  0.182
    RMSE of V            0.08        0.17      0.29      -
    RMSE of A            0.08        0.17      0.25      -
    kept: neutral        1.00        0.79      0.64   1.00
          happiness      1.00        0.71      0.39   1.00
          sadness        1.00        0.99      1.00   0.99
          surprise       1.00        0.89      0.79   0.74
          fear           1.00        0.86      0.55   0.73
          disgust        1.00        0.99      0.92   0.88
          anger          1.00        0.97      1.00   0.77
          contempt       1.00        1.00      0.98   0.66

B's biases of labels and of VA partly cancel: faces that B labels happy are truly happier, and B annotates
them as less so. An expression's centre in B's VA thus moves less than the faces in it do.
D: likeliest 0.024, label 0.173; it keeps at least 0.80 of every expression (disgust).
Smallest class, strong: 746 of 20,000 labels (fear); by likeliest label 263 (A would give it 448).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from raysweep.data.dataset import TEST, DatasetInfo, FaceData
from raysweep.data.expressions import EXPRESSIONS

from .affect import DEFAULT_RATERS, Affect, sample_affect
from .build import FACES_VERSION, checked_counts, faces_fingerprint, picture_numbers, pictures, plan_faces
from .raters import RaterModel, annotate_va, cast_votes, rater_probabilities
from .render import check_size, render_faces

SITES_VERSION: int = 1
"""Raised by hand whenever a site's raters, people or draws change."""

_SUBJECT_STRIDE = 10_000_000_000
"""Subject numbers start at seed * stride: sites of different seeds show different people."""


@dataclass(frozen=True)
class Site:
    """A group of raters, and the faces that it labels.

    `caption` names it in tables; `seed` is of its people, affect, scenes and votes. `has_va`: it has
    valence and arousal. `test_raters` choose the test faces, equally many of each expression by their
    majority vote (the strengths of B share them, and so the pictures). `train` and `test` are default
    numbers of images.
    """

    name: str
    caption: str
    seed: int
    raters: RaterModel
    test_raters: RaterModel
    has_va: bool
    train: int
    test: int


@dataclass(frozen=True)
class Labelled:
    """All annotations of a site's N faces.

    `indices`, `subjects`, `splits`, `labels` (N,) int64; `affect` holds the truth, its `rater_probs` are
    A's; `rater_probs` (N, K) are the site's own; `votes` (N, K), `va` (N, 2) as in `FaceData`.
    """

    indices: Tensor
    subjects: Tensor
    splits: Tensor
    affect: Affect
    rater_probs: Tensor
    votes: Tensor
    labels: Tensor
    va: Tensor


_B = RaterModel(site="b")

_B_MODERATE = replace(
    _B,
    affect_offset=(-0.35, 0.12),
    bias=(0.3, 0.0, 0.0, 0.0, -0.4, -0.4, 0.3, 0.0),
    lapse=0.05,
    va_offset=(-0.05, 0.10),
    va_gain=0.95,
    va_std=0.12,
    halo=0.20,
)

_B_STRONG = replace(
    _B,
    affect_offset=(-0.47, 0.16),
    bias=(0.6, 0.0, 0.0, 0.0, -0.8, -0.8, 0.6, 0.0),
    lapse=0.10,
    va_offset=(-0.07, 0.15),
    va_gain=0.90,
    va_std=0.16,
    halo=0.35,
)

_C = RaterModel(
    site="c",
    affect_offset=(0.05, -0.30),
    affect_gain=0.8,
    bias=(0.4, 0.0, 0.4, 0.0, 0.0, 0.4, 0.0, 0.0),
    lapse=0.03,
)


_D = RaterModel(
    site="d",
    affect_offset=(0.12, 0.15),
    bias=(0.5, 0.3, 0.0, -0.3, 0.0, 0.0, 0.0, -0.3),
    lapse=0.05,
)


def _extra(strength: str, raters: RaterModel) -> Site:
    caption = f"site B of the built-in faces, shift {strength}"
    return Site(f"faces-b-{strength}", caption, 1, raters, test_raters=_B, has_va=True, train=16_000, test=200)


_ALL = (
    Site("faces-a", "site A of the built-in faces, the target", 0, DEFAULT_RATERS, DEFAULT_RATERS, False, 4_000, 1_600),
    _extra("none", _B),
    _extra("moderate", _B_MODERATE),
    _extra("strong", _B_STRONG),
    Site("faces-c", "site C of the built-in faces", 2, _C, _C, False, 4_000, 1_600),
    Site("faces-d", "site D of the built-in faces, a second extra set", 3, _D, _D, False, 8_000, 200),
)

SITES: dict[str, Site] = {site.name: site for site in _ALL}
"""Sites by the name of their data set. Biases were fixed before any comparison was run (see the module)."""


def build_site(
    site: Site,
    size: int = 64,
    train: int | None = None,
    validation: int = 0,
    test: int | None = None,
    at_once: bool = True,
) -> FaceData:
    """The data set of a site, named as it. Labels as in `build_faces`: one rater's in training, the majority's in test.

    Pictures follow A's criteria at every site: a face does not depend on its raters.

    Args:
        site: one of `SITES`.
        size: height and width in pixels, 32 to 224.
        train, validation, test, at_once: as in `build_faces`; None for the site's own number of images.

    Raises:
        ValueError: if size or a count is out of range.
    """
    check_size(size)
    counts = checked_counts(site.train if train is None else train, validation, site.test if test is None else test)
    known = label_site(site, counts)
    render = partial(render_faces, known.indices, known.subjects, known.affect, size, site.seed)
    return FaceData(
        name=site.name,
        classes=EXPRESSIONS,
        images=pictures(render, len(known.indices), size, at_once),
        labels=known.labels,
        va=known.va,
        votes=known.votes,
        subjects=known.subjects + site.seed * _SUBJECT_STRIDE,
        splits=known.splits,
        fingerprint=faces_fingerprint(size=size, **counts, **_described(site)),
        notes=(site.caption,),
        info=DatasetInfo(
            known.affect.expressions,
            known.affect.va,
            known.rater_probs,
            known.affect.rater_probs,
            pictures=picture_numbers(known.indices, known.affect.expressions, known.subjects, site.seed),
            version=FACES_VERSION,
            sites_version=SITES_VERSION,
        ),
    )


def label_site(site: Site, counts: dict[str, int]) -> Labelled:
    """People, affect and raters' labels of a site's faces, without drawing them."""
    indices, expressions, subjects, splits = plan_faces(counts, site.seed, site.test_raters)
    affect = sample_affect(indices, expressions, site.seed, DEFAULT_RATERS)
    probs = rater_probabilities(expressions, affect.va, affect.intensity, site.raters)
    votes, first = cast_votes(probs, indices, site.seed, site.raters)
    va = annotate_va(affect.va, first, indices, site.seed, site.raters)
    labels = torch.where(splits == TEST, votes.argmax(1), first)
    written = va if site.has_va else torch.full_like(va, torch.nan)
    return Labelled(indices, subjects, splits, affect, probs, votes, labels, written)


def _described(site: Site) -> dict[str, object]:
    """The parameters of a site's data, for the fingerprint."""
    return {
        "sites": SITES_VERSION,
        "site": site.name,
        "seed": site.seed,
        "has_va": site.has_va,
        "raters": site.raters.described(),
        "test_raters": site.test_raters.described(),
    }
