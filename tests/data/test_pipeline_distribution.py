"""Our augmentation and torchvision's transforms draw from the same distributions: `bench.input_pipeline` relies on it.

Parameters are read back from pictures: three marks give flip, angle, zoom and shift, two greys give brightness and
contrast, a hole gives the erased rectangle. Nothing here looks at how either side draws them.
"""

import cmath
import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import ks_2samp, kstest

from bench.input_pipeline import torchvision_policy
from raysweep.config.sections import Augment
from raysweep.training.augmentation import MEAN, STD, augment

DRAWS = 600
SURE = 0.001
"""Smallest p-value of a test that holds; two dozen are made."""
OFF = Augment(flip=0, rotate=0, translate=0, scale_min=1, scale_max=1, brightness=0, contrast=0, erase=0)
GEOMETRY = {name: getattr(Augment(), name) for name in ("flip", "rotate", "translate", "scale_min", "scale_max")}


def both(picture, draws=DRAWS, **changes):
    """(draws, 3, H, W) in [0, 1] of our pipeline and of torchvision's, from one (H, W, 3) uint8 picture."""
    config = OFF.model_copy(update=changes)
    images = torch.from_numpy(picture).permute(2, 0, 1)[None].expand(draws, -1, -1, -1)
    ours = augment(images, torch.arange(draws), seed=5, epoch=1, config=config)
    transform = torchvision_policy(config)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        theirs = torch.stack([transform(Image.fromarray(picture)) for _ in range(draws)])
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return [(side * std + mean).numpy() for side in (ours, theirs)]


SIDE = 96
MARKS = (complex(-12, -8), complex(12, -8), complex(0, 15))
"""Of red, green and blue, from the centre, in pixels; y points down."""


def marked():
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5 - SIDE / 2
    marks = [np.exp(-((x - m.real) ** 2 + (y - m.imag) ** 2) / (2 * 2.5**2)) for m in MARKS]
    return (255 * np.stack(marks, 2)).round().astype(np.uint8)


def read_marks(images):
    """Flip, angle in degrees, zoom, and shift (as a share of the side) of the centre after and before the zoom."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5 - SIDE / 2
    weight = images.sum((2, 3))
    at = (images * x).sum((2, 3)) / weight + 1j * (images * y).sum((2, 3)) / weight
    red, green, blue = at.T
    flipped = ((green - red).conj() * (blue - red)).imag < 0
    source = [np.where(flipped, -np.conj(m), m) for m in MARKS]  # mirrored before it is turned
    turn = (green - red) / (source[1] - source[0])
    shift = at.mean(1) - turn * np.mean(source, 0)
    return {
        "flip": flipped,
        "angle": np.degrees(np.angle(turn)),
        "zoom": np.abs(turn),
        "after": shift / SIDE,
        "before": shift / turn / SIDE,
    }


def test_marks_are_read_right():
    """The reading itself, on a picture that Pillow turns: 20 degrees, zoom 1.1, shifted, mirrored."""
    turn, shift = 1.1 * cmath.exp(1j * math.radians(20)), complex(5, -3)
    inverse, centre = 1 / turn, SIDE / 2
    corner = -inverse * (shift + centre * (1 + 1j)) + centre * (1 + 1j)
    mirrored = Image.fromarray(marked()).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    coefficients = (inverse.real, -inverse.imag, corner.real, inverse.imag, inverse.real, corner.imag)
    moved = mirrored.transform((SIDE, SIDE), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
    read = read_marks(np.asarray(moved).transpose(2, 0, 1)[None] / 255)
    assert read["flip"].all()
    assert read["angle"][0] == pytest.approx(20, abs=0.3)
    assert read["zoom"][0] == pytest.approx(1.1, abs=0.01)
    assert read["after"][0] * SIDE == pytest.approx(shift, abs=0.15)


@pytest.mark.full
def test_flip_angle_zoom_and_shift():
    ours, theirs = map(read_marks, both(marked(), **GEOMETRY))
    for share in (ours["flip"].mean(), theirs["flip"].mean()):
        assert abs(share - 0.5) < 0.06
    for name, low, high in (("angle", -30, 30), ("zoom", 1.0, 1.25)):
        assert ks_2samp(ours[name], theirs[name]).pvalue > SURE
        for side in (ours, theirs):
            assert kstest(side[name], "uniform", (low, high - low)).pvalue > SURE
    # both shift by up to a tenth of the side either way: ours before the zoom, torchvision's after it, in whole pixels
    whole_pixels = theirs["after"] + np.random.default_rng(0).uniform(-0.5, 0.5, DRAWS) / SIDE
    for part in (np.real, np.imag):
        assert kstest(part(ours["before"]), "uniform", (-0.1, 0.2)).pvalue > SURE
        assert kstest(part(whole_pixels), "uniform", (-0.1, 0.2)).pvalue > SURE
    assert 1.0 < np.abs(ours["after"]).mean() / np.abs(theirs["after"]).mean() < 1.25


@pytest.mark.full
def test_brightness_and_contrast():
    picture = np.full((16, 16, 3), 60, np.uint8)
    picture[:, 8:] = 100
    read = []
    for images in both(picture, brightness=0.5, contrast=0.5):
        dark, bright = images[:, 0, 3, 3] * 255, images[:, 0, 3, 12] * 255
        brightness = (dark + bright) / 160
        read.append((brightness, (bright - dark) / 40 / brightness))
    for mine, theirs in zip(*read, strict=True):
        assert ks_2samp(mine, theirs).pvalue > SURE
        for factors in (mine, theirs):
            assert kstest(factors, "uniform", (0.5, 1.0)).pvalue > SURE


@pytest.mark.full
def test_erased_rectangles():
    picture = np.full((SIDE, SIDE, 3), 255, np.uint8)
    grey = np.array(MEAN, dtype=np.float32)[:, None, None]
    read = []
    for images in both(picture, draws=1200, erase=0.5):
        hole = (np.abs(images - grey) < 1e-4).all(1)
        there = hole.any((1, 2))
        tall, wide = hole.any(2)[there].sum(1), hole.any(1)[there].sum(1)
        centre = (hole[there].any(2) * np.arange(SIDE)).sum(1) / tall
        read.append({"area": tall * wide / SIDE**2, "aspect": np.log(tall / wide), "place": centre})
        assert abs(there.mean() - 0.5) < 0.05
    for name in ("area", "aspect", "place"):
        assert ks_2samp(read[0][name], read[1][name]).pvalue > SURE, name
    assert kstest(read[0]["area"], "uniform", (0.02, 0.23)).pvalue > SURE


def test_the_whole_policy_gives_every_pixel_the_same_mean_and_spread():
    """A grey face on black: nothing comes from outside, and luminance is the mean of the channels."""
    y, x = np.mgrid[:64, :64] + 0.5 - 32
    face = (
        140 * ((x / 17) ** 2 + (y / 22) ** 2 < 1) + 60 * (np.hypot(x - 7, y + 7) < 4) - 80 * (np.hypot(x, y - 10) < 5)
    )
    picture = np.repeat(face.clip(0, 255).astype(np.uint8)[:, :, None], 3, 2)
    ours, theirs = both(picture, draws=1500, **{**Augment().model_dump(), "erase": 0.5})
    spread = ours.std(0)
    assert np.abs(ours.mean(0) - theirs.mean(0)).max() < 0.06
    assert np.abs(ours.mean(0) - theirs.mean(0)).mean() < 0.02
    assert np.abs(spread - theirs.std(0)).max() < 0.06
    assert np.abs(spread - theirs.std(0)).mean() < 0.02
    assert spread.mean() > 0.1  # the tolerances mean something
