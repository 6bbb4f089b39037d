"""Twins among synthetic pictures: what is found, what is not, and that order does not matter."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from raysweep.data.audit import (
    across_splits,
    exact_groups,
    members,
    near_links,
    survey,
    twin_groups,
    which_to_drop,
    with_several_labels,
)
from raysweep.data.audit.duplicate_groups import join
from raysweep.data.audit.near_duplicates import THRESHOLD
from raysweep.data.audit.perceptual_hash import describe, keys, mirror
from raysweep.data.audit.similarity import best_correlation, likeness
from raysweep.data.dataset import TEST, TRAIN, VALIDATION
from raysweep.data.synthetic import affect_at, render_faces

SIZE = 48
MARGIN = 4
Pictures = NDArray[np.uint8]


def canvases(count: int, seed: int, size: int = SIZE) -> NDArray[np.float64]:
    """Random pictures with structure at every scale, MARGIN wider on every side than they will be shown."""
    noise = np.random.default_rng(seed).standard_normal((count, size + 2 * MARGIN, size + 2 * MARGIN))
    mixed = sum(gaussian_filter(noise, (0, s, s)) * s * weight for s, weight in ((1.5, 1.0), (4, 2.0), (8, 3.0)))
    return 128 + 45 * mixed / mixed.std((1, 2), keepdims=True)


def show(canvas: NDArray[np.float64], down: int = 0, across: int = 0) -> Pictures:
    """(n, S + 2 MARGIN, S + 2 MARGIN) to (n, 3, S, S), shifted."""
    size = canvas.shape[1] - 2 * MARGIN
    part = canvas[:, MARGIN + down : MARGIN + down + size, MARGIN + across : MARGIN + across + size]
    return np.repeat(np.clip(np.rint(part), 0, 255).astype(np.uint8)[:, None], 3, 1)


def encoded(pictures: Pictures, quality: int) -> Pictures:
    """What remains of the pictures after JPEG."""
    decoded = []
    for picture in pictures:
        file = io.BytesIO()
        Image.fromarray(picture.transpose(1, 2, 0)).save(file, "JPEG", quality=quality)
        decoded.append(np.asarray(Image.open(file)).transpose(2, 0, 1))
    return np.stack(decoded)


def resized(pictures: Pictures, through: int) -> Pictures:
    size = pictures.shape[2]
    small = [
        Image.fromarray(p.transpose(1, 2, 0)).resize((through, through), Image.Resampling.BICUBIC) for p in pictures
    ]
    return np.stack([np.asarray(p.resize((size, size), Image.Resampling.BICUBIC)).transpose(2, 0, 1) for p in small])


def groups_of(images: Pictures, **options: object) -> list[list[int]]:
    surveyed = survey(images)
    links = near_links(images, surveyed, **options)  # type: ignore[arg-type]
    group = twin_groups(exact_groups(surveyed.digests), links.left, links.right)
    return [rows.tolist() for rows in members(group)]


VARIANTS = {
    "shifted": lambda c: show(c, 1, -2),
    "re-encoded": lambda c: encoded(show(c), 50),
    "brightened": lambda c: show(np.clip(c * 0.7 + 60, 0, 255)),
    "mirrored": lambda c: show(c)[..., ::-1].copy(),
    "resized": lambda c: resized(show(c), 36),
    "all at once": lambda c: encoded(show(c * 0.8 + 10, -1, 1)[..., ::-1].copy(), 70),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_is_the_twin_of_its_picture_and_of_no_other(variant: str) -> None:
    canvas = canvases(60, seed=1)
    images = np.concatenate([show(canvas), VARIANTS[variant](canvas[:40])])
    assert groups_of(images) == [[i, 60 + i] for i in range(40)]


def test_larger_and_smaller_images_are_compared_alike() -> None:
    for size in (32, 96, 100):
        canvas = canvases(30, seed=2, size=size)
        images = np.concatenate([show(canvas), encoded(show(canvas[:10], 0, 1), 80)])
        assert groups_of(images) == [[i, 30 + i] for i in range(10)]


def test_mirrored_twins_can_be_left_alone() -> None:
    images = show(canvases(20, seed=3))
    images = np.concatenate([images, images[:5, ..., ::-1]])
    assert groups_of(images, mirrored=False) == []
    assert groups_of(images) == [[i, 20 + i] for i in range(5)]


def test_links_join_what_comparing_every_pair_joins() -> None:
    canvas = canvases(16, seed=4)
    images = np.concatenate([show(canvas), show(canvas[:8], 1, 1), encoded(show(canvas[4:12], 0, -1), 60)])
    left, right = np.triu_indices(len(images), 1)
    alike = likeness(images, left, right, np.zeros(len(left), bool)) >= THRESHOLD
    reference = [rows.tolist() for rows in members(join(len(images), left[alike], right[alike]))]
    assert groups_of(images) == reference
    assert len(reference) == 12


def test_likeness_is_the_same_from_both_sides() -> None:
    images = show(canvases(8, seed=5))
    left, right = np.triu_indices(8, 1)
    for mirrored in (np.zeros(len(left), bool), np.ones(len(left), bool)):
        there, back = likeness(images, left, right, mirrored), likeness(images, right, left, mirrored)
        np.testing.assert_allclose(there, back, atol=1e-3)


def test_flat_pictures_are_never_near_twins() -> None:
    rng = np.random.default_rng(0)
    grey = np.repeat(np.arange(40, 240, 10), 2)[:, None, None, None]
    noisy = np.clip(grey + rng.integers(-2, 3, (len(grey), 3, SIZE, SIZE)), 0, 255).astype(np.uint8)
    assert groups_of(noisy) == []
    flat = np.broadcast_to(np.arange(40, 60, dtype=np.uint8)[:, None, None, None], (20, 3, SIZE, SIZE))
    assert groups_of(np.ascontiguousarray(flat)) == []
    links = near_links(noisy, survey(noisy))
    assert links.flat.tolist() == list(range(len(noisy)))


def test_smooth_shades_are_not_twins_of_each_other() -> None:
    down, across = np.mgrid[:SIZE, :SIZE] / (SIZE - 1)
    angles = np.linspace(0, np.pi, 9)[:-1]
    shades = np.stack([120 + 90 * (np.cos(a) * (across - 0.5) + np.sin(a) * (down - 0.5)) for a in angles])
    noise = np.random.default_rng(1).normal(0, 3, shades.shape)
    images = np.repeat(np.clip(shades + noise, 0, 255).astype(np.uint8)[:, None], 3, 1)
    assert groups_of(images, mirrored=False) == []


def test_a_frame_that_pictures_share_makes_no_twins() -> None:
    images = show(canvases(40, seed=6)) // 3 + 80
    edge = np.ones((SIZE, SIZE), bool)
    edge[6:-6, 6:-6] = False
    images[:, :, edge] = 255
    images[:, :, edge & (np.indices(edge.shape).sum(0) % 8 < 4)] = 0
    assert groups_of(images) == []


def test_drawn_people_with_one_expression_are_no_twins_above_a_stricter_threshold() -> None:
    """Drawn faces are the hardest: one template, so that people with one haircut differ in colours above all."""
    people = torch.arange(60)
    affect = affect_at(torch.ones(60, dtype=torch.int64), torch.tensor([[0.6, 0.1]]).expand(60, 2))
    images = render_faces(people, people, affect, SIZE, seed=0).numpy()
    assert groups_of(images, threshold=0.92) == []
    assert groups_of(np.concatenate([images, images[:4, ..., ::-1]]), threshold=0.92) == [[i, 60 + i] for i in range(4)]


def test_a_crowd_of_frames_is_one_group_with_few_links() -> None:
    first, last = canvases(2, seed=7)
    weights = np.linspace(0, 0.2, 300)[:, None, None]
    frames = show((1 - weights) * first + weights * last + np.random.default_rng(2).normal(0, 1, (300, 1, 1)))
    images = np.concatenate([frames, show(canvases(30, seed=8))])
    surveyed = survey(images)
    links = near_links(images, surveyed)
    assert groups_of(images) == [list(range(300))]
    assert len(links.left) < 4 * 300


def test_no_images_one_image_and_two() -> None:
    images = show(canvases(2, seed=9))
    assert groups_of(images[:0]) == groups_of(images[:1]) == groups_of(images) == []
    assert groups_of(np.concatenate([images[:1], images[:1]])) == [[0, 1]]


def test_a_memory_map_and_a_tensor_give_what_an_array_gives(tmp_path: Path) -> None:
    canvas = canvases(20, seed=10)
    images = np.concatenate([show(canvas), show(canvas, 1, 0), show(canvas[:3])])
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert groups_of(mapped) == groups_of(images)
    assert groups_of(torch.from_numpy(images)) == groups_of(images)  # type: ignore[arg-type]


@settings(max_examples=8, deadline=None)
@given(order=st.permutations(range(24)))
def test_the_order_of_the_images_changes_nothing(order: list[int]) -> None:
    canvas = canvases(12, seed=11)
    images = np.concatenate([show(canvas), show(canvas[:6], 1, 1), show(canvas[4:10])[..., ::-1]])
    moved = [sorted(order[row] for row in rows) for rows in groups_of(images[order])]
    assert sorted(moved) == sorted(groups_of(images))


def test_digests_are_those_of_the_pixels() -> None:
    images = show(canvases(6, seed=12))
    images[3], images[5] = images[1], images[1]
    surveyed = survey(images)
    expected = [int(hashlib.sha256(image.tobytes()).hexdigest()[:16], 16) for image in images]
    assert surveyed.digests.tolist() == expected
    assert exact_groups(surveyed.digests).tolist() == [0, 1, 2, 1, 4, 1]
    assert sorted(surveyed.distinct().tolist()) == [0, 1, 2, 4]


def test_best_correlation_is_the_best_of_all_shifts() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(2, 5, 12, 12)).astype(np.float32)
    expected = np.full(5, -1.0)
    for down in (-2, -1, 0, 1, 2):
        for across in (-2, -1, 0, 1, 2):
            for p in range(5):
                a = first[p, max(down, 0) : 12 + min(down, 0), max(across, 0) : 12 + min(across, 0)]
                b = second[p, max(-down, 0) : 12 + min(-down, 0), max(-across, 0) : 12 + min(-across, 0)]
                whole = np.corrcoef(a.ravel(), b.ravel())[0, 1]
                inner = np.corrcoef(a[3:-3, 3:-3].ravel(), b[3:-3, 3:-3].ravel())[0, 1]
                expected[p] = max(expected[p], min(whole, inner))
    np.testing.assert_allclose(best_correlation(first, second, 2, margin=3), expected, atol=1e-5)


def test_a_descriptor_turns_with_its_picture() -> None:
    thumbs = survey(show(canvases(10, seed=13))).thumbs
    np.testing.assert_allclose(mirror(describe(thumbs)), describe(thumbs[:, :, ::-1]), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(describe(thumbs), axis=1), 1, atol=1e-5)


def test_keys_agree_in_a_bit_as_often_as_the_angle_says() -> None:
    a, b = describe(survey(show(canvases(2, seed=14))).thumbs)
    agree = [bin(int(np.bitwise_xor(*keys(np.stack([a, b]), table)))).count("1") for table in range(200)]
    expected = 1 - np.arccos(float(a @ b)) / np.pi
    assert 1 - np.mean(agree) / 32 == pytest.approx(expected, abs=0.03)  # 6,400 draws: 0.03 is five standard errors


LINKS = st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30)


@given(links=LINKS)
def test_joining_is_the_smallest_equivalence_that_holds_the_links(links: list[tuple[int, int]]) -> None:
    component = [{row} for row in range(20)]
    for a, b in links:
        merged = component[a] | component[b]
        for row in merged:
            component[row] = merged
    left, right = np.array(links, np.int64).reshape(-1, 2).T
    assert join(20, left, right).tolist() == [min(rows) for rows in component]


@given(
    links=LINKS,
    splits=st.lists(st.sampled_from([TRAIN, VALIDATION, TEST]), min_size=20, max_size=20),
    within=st.booleans(),
)
def test_what_remains_spans_no_splits_and_the_test_set_is_whole(
    links: list[tuple[int, int]], splits: list[int], within: bool
) -> None:
    group = join(20, *np.array(links, np.int64).reshape(-1, 2).T)
    where = np.array(splits)
    dropped = which_to_drop(members(group), where, within)
    kept = np.setdiff1d(np.arange(20), dropped)
    remaining = [kept[rows] for rows in members(group[kept])]
    assert across_splits(remaining, where) == []
    assert set(group[kept]) == set(group), "every picture is still there once"
    assert (remaining == []) if within else (TEST not in where[dropped])


def test_groups_labelled_twice() -> None:
    groups = [np.array([0, 1]), np.array([2, 3]), np.array([4, 5, 6])]
    labels = np.array([1, 1, 0, 2, -1, 3, 3])
    assert [rows.tolist() for rows in with_several_labels(groups, labels)] == [[2, 3]]
