"""Boxes and landmarks: the square that is cut out, against independent computations."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from raysweep.data.listing import FaceRecord
from raysweep.data.prepare.align import TEMPLATE, four_points, similarity
from raysweep.data.prepare.crop import Place, cut_out, find_face
from raysweep.data.prepare.decode import Photo, Unreadable


def record(**fields):
    return FaceRecord(path=None, expression="neutral", where="", **fields)


def photo(pixels):
    image = Image.fromarray(pixels).convert("RGB")
    return Photo(image, *image.size)


def umeyama(source, target):
    """Umeyama (1991), equations 40-43, by singular values."""
    mean_s, mean_t = source.mean(0), target.mean(0)
    covariance = (target - mean_t).T @ (source - mean_s) / len(source)
    u, d, vt = np.linalg.svd(covariance)
    signs = np.array([1, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ np.diag(signs) @ vt
    scale = (d * signs).sum() / ((source - mean_s) ** 2).sum(1).mean()
    return scale * rotation, mean_t - scale * rotation @ mean_s


coordinates = st.floats(-100, 100, allow_nan=False).map(lambda x: round(x, 3))


@given(st.lists(st.tuples(coordinates, coordinates), min_size=4, max_size=4, unique=True))
@settings(deadline=None)
def test_the_transform_is_umeyamas(points):
    source = np.array(points)
    target = np.array([(t.real, t.imag) for t in TEMPLATE])
    linear, shift = umeyama(source, target)
    spread = np.linalg.svd((target - target.mean(0)).T @ (source - source.mean(0)))[1]
    if spread[0] - spread[1] < 1e-3:  # any rotation is as good
        return
    a, b = similarity([complex(x, y) for x, y in points])
    if np.linalg.det((target - target.mean(0)).T @ (source - source.mean(0))) > 0:  # else the mirror image fits better
        assert np.allclose(linear, [[a.real, -a.imag], [a.imag, a.real]], atol=1e-9)
        assert np.allclose(shift, [b.real, b.imag], atol=1e-7)


def test_points_that_are_one_have_no_transform():
    with pytest.raises(ValueError, match="must not all coincide"):
        similarity([1 + 1j] * 4)


def landmarks_of(points, count=5):
    """Five or 68 landmarks with the four points in their places."""
    left, right, mouth_left, mouth_right = points
    if count == 5:
        every = [left, right, (left + mouth_right) / 2, mouth_left, mouth_right]
    else:
        every = [0j] * 68
        every[36:42] = [left + dx for dx in (-3, -1, 1, 3, 1, -1)]
        every[42:48] = [right + dx for dx in (-3, -1, 1, 3, 1, -1)]
        every[48], every[54] = mouth_left, mouth_right
    return tuple(x for point in every for x in (point.real, point.imag))


@pytest.mark.parametrize("count", [5, 68])
@pytest.mark.parametrize("degrees", [0, 25, -70])
@pytest.mark.parametrize("side", [30, 64, 150])
def test_marks_at_the_landmarks_come_to_the_template(count, degrees, side):
    """A face drawn as four blobs, turned and scaled: the blobs come to rest at the template's places."""
    turn = side * complex(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
    points = [turn * (t - (0.5 + 0.5j)) + (120 + 110j) for t in TEMPLATE]
    y, x = np.mgrid[:220, :240] + 0.5
    pixels = np.zeros((220, 240))
    for point in points:
        pixels += 255 * np.exp(-((x - point.real) ** 2 + (y - point.imag) ** 2) / (2 * (side / 25) ** 2))
    drawn = photo(pixels.clip(0, 255).astype(np.uint8))
    place, wrong = find_face(record(landmarks=landmarks_of(points, count), box=(0, 0, 9, 9)), 240, 220, 0.1)
    assert not wrong
    assert place.side == pytest.approx(side, rel=1e-6)
    face = cut_out(drawn, place, 64)[0].astype(float)
    for t in TEMPLATE:
        column, row = round(t.real * 64), round(t.imag * 64)
        window = face[row - 7 : row + 7, column - 5 : column + 5]
        rows, columns = np.mgrid[row - 7 : row + 7, column - 5 : column + 5] + 0.5
        assert (window * columns).sum() / window.sum() == pytest.approx(64 * t.real, abs=0.4)
        assert (window * rows).sum() / window.sum() == pytest.approx(64 * t.imag, abs=0.4)


def test_left_and_right_are_those_of_the_picture():
    points = [10 + 10j, 30 + 10j, 12 + 30j, 28 + 30j]
    swapped = [points[1], points[0], points[3], points[2]]
    assert four_points(landmarks_of(swapped)) == four_points(landmarks_of(points)) == tuple(points)


@pytest.mark.parametrize(
    "landmarks", [(1.0,) * 3, (1.0, 2.0) * 7, (math.nan,) * 10, (5.0,) * 10, tuple(1000.0 + x for x in range(10))]
)
def test_useless_landmarks_fall_back_to_the_box(landmarks):
    by_box, nothing_wrong = find_face(record(box=(10, 10, 40, 40)), 100, 100, 0.1)
    place, wrong = find_face(record(landmarks=landmarks, box=(10, 10, 40, 40)), 100, 100, 0.1)
    assert (place, nothing_wrong) == (by_box, "")
    assert "landmarks" in wrong


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((30, 30, 40, 20), (26, 16, 74, 64)),  # squared, with a margin
        ((0, 0, 40, 40), (0, 0, 48, 48)),  # moved into the photograph
        ((-20, 30, 60, 40), (0, 26, 48, 74)),  # what is outside does not count
        ((0, 0, 100, 100), (-10, -10, 110, 110)),  # larger than the photograph
    ],
)
def test_a_box_becomes_a_square(box, expected):
    place, _ = find_face(record(box=box), 100, 100, 0.1)
    assert place.box() == pytest.approx(expected)


@pytest.mark.parametrize(
    "box", [(200, 0, 10, 10), (-20, 0, 10, 10), (5, 5, 0, 10), (5, 5, -3, 10), (math.nan, 0, 1, 1), (0, 0, math.inf, 9)]
)
def test_a_box_that_misses_the_photograph(box):
    with pytest.raises(Unreadable) as reason:
        find_face(record(box=box), 100, 100, 0.1)
    assert reason.value.kind == "box outside"


def test_outside_of_the_photograph_it_is_black():
    face = cut_out(photo(np.full((40, 40), 200, np.uint8)), Place(-20, 0, 40, 0, 0, 40), 32)
    assert (face[:, :, :15] == 0).all()
    assert (face[:, :, 17:] == 200).all()


@pytest.mark.parametrize("side", [64, 100, 230, 512])
def test_both_ways_of_resampling_are_antialiased(side):
    """Fine stripes vanish into grey, whether the square is upright or turned by next to nothing."""
    stripes = np.zeros((600, 600), np.uint8)
    stripes[:, ::2] = 255
    level = Place(40.0, 40.0, side, 0, 0, side)
    turned = Place(40.0, 40.0, side, 1e-9, -1e-9, side)
    upright, by_affine = (cut_out(photo(stripes), place, 32).astype(float) for place in (level, turned))
    for face in (upright, by_affine):
        assert abs(face.mean() - 127.5) < 3
        assert face.std() < 20  # 127 without any smoothing


def test_both_ways_of_resampling_hit_a_smooth_picture_where_it_should_be():
    def shade(x, y):
        return 127 + 60 * np.sin(x / 25) + 60 * np.cos(y / 31)

    y, x = np.mgrid[:300, :300] + 0.5
    smooth = photo(shade(x, y).round().astype(np.uint8))
    for side in (20.0, 64.0, 77.7, 150.0, 222.2):
        centres = (np.arange(64) + 0.5) * side / 64
        truth = shade(30.5 + centres[None], 41.25 + centres[:, None])
        for slant in (0, 1e-9):
            face = cut_out(smooth, Place(30.5, 41.25, side, slant, -slant, side), 64)
            assert np.abs(face - truth).max() < 2.2  # two roundings and one down
            assert np.abs(face - truth).mean() < 0.7  # Pillow's affine transform rounds down


def wave(cycles_x, cycles_y, place, size, square=600):
    """A plane wave of so many cycles a pixel of the crop along its axes, drawn in the photograph, and in the crop."""
    scale = place.side / size
    right = complex(place.right_x, place.right_y) / place.side
    frequency = (cycles_x * right + cycles_y * right * 1j) / scale
    y, x = np.mgrid[:square, :square] + 0.5
    phase = frequency.real * (x - place.x) + frequency.imag * (y - place.y)
    drawn = photo((127.5 + 100 * np.cos(2 * math.pi * phase)).round().astype(np.uint8))
    v, u = np.mgrid[:size, :size] + 0.5
    return drawn, np.exp(2j * math.pi * (cycles_x * u + cycles_y * v))


@pytest.mark.parametrize("degrees", [7, 31, -45])
@pytest.mark.parametrize("scale", [1.1, 1.34, 1.9, 3.3])
def test_a_turned_square_is_as_sharp_as_an_upright_one(degrees, scale):
    """A triangle filter of one pixel either way, as Pillow shrinks, keeps sinc(f)^2 of a wave along each axis."""
    size, turn = 96, scale * 96 * np.exp(1j * math.radians(degrees))
    corner = complex(300.3, 299.1) - turn * (0.5 + 0.5j)
    place = Place(corner.real, corner.imag, turn.real, turn.imag, -turn.imag, turn.real)
    for cycles in ((0.05, 0.02), (0.15, 0.0), (0.0, 0.2), (0.15, -0.15)):
        drawn, seen = wave(*cycles, place, size)
        face = cut_out(drawn, place, size)[0].astype(float)
        kept = 2 * np.abs(((face - face.mean()) * seen.conj()).mean()) / 100
        assert kept == pytest.approx(np.prod(np.sinc(cycles) ** 2), abs=0.1)
        rest = face - face.mean() - 2 * (((face - face.mean()) * seen.conj()).mean() * seen).real
        assert rest.std() < 6  # of 71: what is no wave of this length


@pytest.mark.parametrize("degrees", [7, 31, -45])
@pytest.mark.parametrize("scale", [1.9, 3.3, 6.2])
def test_what_is_too_fine_for_a_turned_square_vanishes(degrees, scale):
    size, turn = 64, scale * 64 * np.exp(1j * math.radians(degrees))
    corner = complex(300.3, 299.1) - turn * (0.5 + 0.5j)
    place = Place(corner.real, corner.imag, turn.real, turn.imag, -turn.imag, turn.real)
    for cycles in ((0.85, 0.0), (0.1, -0.9), (0.7, 0.7)):
        drawn, _ = wave(*cycles, place, size)
        assert cut_out(drawn, place, size)[0].std() < 12  # 71 without any smoothing
