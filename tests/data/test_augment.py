"""Augmentation: addressed draws, identity when switched off, ranges kept, each operation visible."""

import pytest
import torch
from torchvision.transforms import functional as torchvision

from raysweep.config.sections import Augment
from raysweep.core.keyed_random import derive_key, uniform
from raysweep.training.augmentation import MEAN, STD, augment, normalise

OFF = Augment(flip=0, rotate=0, translate=0, scale_min=1, scale_max=1, brightness=0, contrast=0, erase=0)


def pictures(count=6, size=32):
    return torch.randint(0, 256, (count, 3, size, size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def only(**changes):
    return OFF.model_copy(update=changes)


def test_switched_off_is_normalisation():
    images, ids = pictures(), torch.arange(6)
    assert torch.allclose(augment(images, ids, 0, 1, OFF), normalise(images), atol=1e-6)


def test_normalisation_by_hand():
    grey = torch.full((1, 3, 2, 2), 51, dtype=torch.uint8)
    expected = [(0.2 - mean) / std for mean, std in zip(MEAN, STD, strict=True)]
    assert torch.allclose(normalise(grey)[0, :, 0, 0], torch.tensor(expected), atol=1e-6)


def test_an_image_is_changed_the_same_way_in_any_batch():
    images, ids = pictures(), torch.tensor([10, 4, 7, 99, 3, 5])
    whole = augment(images, ids, seed=3, epoch=2, config=Augment())
    part = augment(images[[4, 1]], ids[[4, 1]], seed=3, epoch=2, config=Augment())
    assert torch.equal(part, whole[[4, 1]])


def test_epoch_and_seed_matter():
    images, ids = pictures(), torch.arange(6)
    first = augment(images, ids, 0, 1, Augment())
    assert not torch.equal(first, augment(images, ids, 0, 2, Augment()))
    assert not torch.equal(first, augment(images, ids, 1, 1, Augment()))


def test_flip_mirrors():
    images = pictures()
    flipped = augment(images, torch.arange(6), 0, 1, only(flip=1))
    assert torch.allclose(flipped, normalise(images.flip(3)), atol=1e-5)


def test_flip_inside_the_affine_mirrors_too():
    images = pictures()
    flipped = augment(images, torch.arange(6), 0, 1, only(flip=1, scale_max=1.0 + 1e-7))
    assert torch.allclose(flipped, normalise(images.flip(3)), atol=1e-3)


def test_flips_happen_as_often_as_asked():
    images = pictures(1, 32).expand(2000, -1, -1, -1)
    same = augment(images, torch.arange(2000), 0, 1, only(flip=0.3)) == normalise(images[:1])
    share = 1 - same.flatten(1).all(1).float().mean()
    assert abs(float(share) - 0.3) < 0.04


def test_a_constant_picture_survives_geometry():
    images = torch.full((4, 3, 32, 32), 120, dtype=torch.uint8)
    turned = augment(images, torch.arange(4), 0, 1, only(rotate=30, translate=0.1, scale_max=1.25))
    assert torch.allclose(turned, normalise(images), atol=1e-5)


def test_zoom_enlarges():
    images = torch.zeros(200, 3, 32, 32, dtype=torch.uint8)
    images[:, :, 12:20, 12:20] = 255
    zoomed = augment(images, torch.arange(200), 0, 1, only(scale_min=1.5, scale_max=1.5))
    lit = (zoomed[:, 0] > normalise(torch.full((1, 3, 1, 1), 128, dtype=torch.uint8))[0, 0]).float().mean()
    assert abs(float(lit) - 144 / 1024) < 0.01  # 8 x 1.5 = 12 pixels a side


def test_erasing_covers_the_asked_area():
    images = torch.full((500, 3, 64, 64), 255, dtype=torch.uint8)
    erased = augment(images, torch.arange(500), 0, 1, only(erase=1.0, erase_min=0.1, erase_max=0.1)) == 0
    share = erased.all(1).flatten(1).float().mean(1)
    assert abs(float(share.mean()) - 0.1) < 0.01
    none = augment(images, torch.arange(500), 0, 1, only(erase=0.5)) == 0
    assert 0.4 < float(none.flatten(1).any(1).float().mean()) < 0.6


def factors(name, ids, reach, seed=0, epoch=1):
    return 1 + reach * (2 * uniform(derive_key(seed, "augment", epoch, name), ids).float() - 1)


@pytest.mark.parametrize(
    ("operation", "theirs"), [("brightness", torchvision.adjust_brightness), ("contrast", torchvision.adjust_contrast)]
)
def test_colour_jitter_is_torchvisions(operation, theirs):
    """Pictures of one colour far from grey, where means of the channels and of luma differ, and random ones."""
    images = torch.cat([pictures(), torch.zeros(4, 3, 32, 32, dtype=torch.uint8)])
    images[6, 1], images[7, 2, :16], images[8, :2], images[9, 0, :, ::2] = 200, 255, 90, 140
    ids = torch.arange(40, 50)
    ours = augment(images, ids, 0, 1, only(**{operation: 0.5}))
    for number, factor in enumerate(factors(operation, ids, 0.5)):
        expected = normalise(255 * theirs(images[number : number + 1].float() / 255, float(factor)))
        assert torch.allclose(ours[number : number + 1], expected, atol=1e-5)


def test_contrast_turns_about_luma_by_hand():
    """Half green, half black: luma 0.587 / 2 = 0.2935, the mean of channels 1 / 6."""
    images, ids = torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.tensor([3])
    images[0, 1, :4] = 255
    factor = float(factors("contrast", ids, 0.5)[0])
    ours = augment(images, ids, 0, 1, only(contrast=0.5))[0, 0, 7, 7] * STD[0] + MEAN[0]
    assert float(ours) == pytest.approx(max(0.2935 * (1 - factor), 0.0), abs=1e-5)
    assert factor < 1  # else it would be black


def test_what_a_shift_uncovers_repeats_the_edge():
    """The border rule: torchvision's default would be black."""
    images = torch.full((50, 3, 32, 32), 255, dtype=torch.uint8)
    images[:, :, :, :2] = 60
    moved = augment(images, torch.arange(50), 0, 1, only(translate=0.3))
    values = (moved[:, 0] * STD[0] + MEAN[0]) * 255
    assert float(values.min()) == pytest.approx(60, abs=0.01)


@pytest.mark.parametrize(
    "changes", [{"rotate": 45.0}, {"rotate": 180.0, "translate": 0.4}, {"flip": 1.0, "translate": 0.5}]
)
def test_no_geometry_brings_black_in(changes):
    """A frame of one colour about random pixels: at the corners stands nothing but what was in the picture."""
    images = torch.full((50, 3, 32, 32), 200, dtype=torch.uint8)
    images[:, :, 8:24, 8:24] = torch.randint(120, 256, (50, 3, 16, 16), generator=torch.Generator().manual_seed(2))
    moved = augment(images, torch.arange(50), 0, 1, only(**changes))
    values = (moved * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]) * 255
    assert float(values.min()) > 119.9
    assert not torch.allclose(moved, normalise(images), atol=0.01)


@pytest.mark.parametrize(
    ("rgb", "luma"), [((255, 0, 0), 0.2989), ((0, 255, 0), 0.587), ((0, 0, 255), 0.114), ((51, 102, 204), 0.3858)]
)
def test_contrast_turns_a_picture_of_one_colour_about_its_luma(rgb, luma):
    """luma + factor * (channel - luma), cut to [0, 1]; the weights are ITU-R 601's, as torchvision has them."""
    images = torch.tensor(rgb, dtype=torch.uint8)[None, :, None, None].expand(20, 3, 4, 4)
    ids = torch.arange(20)
    ours = augment(images, ids, 0, 1, only(contrast=0.5))[:, :, 0, 0] * torch.tensor(STD) + torch.tensor(MEAN)
    for got, factor in zip(ours.tolist(), factors("contrast", ids, 0.5).tolist(), strict=True):
        expected = [min(max(luma + factor * (channel / 255 - luma), 0.0), 1.0) for channel in rgb]
        assert got == pytest.approx(expected, abs=2e-4)


def test_autocast_changes_nothing():
    images, ids = pictures(), torch.arange(6)
    plain = augment(images, ids, 0, 1, Augment())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(augment(images, ids, 0, 1, Augment()), plain)
