"""Colours and markers of classes, squares where coordinates are discrete, titles that fit their panels."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.path import Path

from raysweep.artifacts.study_record import AxisRecord
from raysweep.plotting.style import class_color, class_marker, draw_points, is_grid, squares
from raysweep.report.figures.curves import Curve, CurvePanel, draw_learning
from raysweep.report.figures.style import contents, style


def test_every_class_has_a_look_of_its_own():
    looks = [(class_color(k), class_marker(k)) for k in range(24)]
    assert len(set(looks)) == 24
    assert len({color for color, _ in looks[:8]}) == len({marker for _, marker in looks[:8]}) == 8
    assert (class_color(-1), class_marker(-1)) not in looks


class TestGrid:
    def test_ratings_in_steps_are_a_grid(self):
        rng = np.random.default_rng(0)
        assert is_grid(rng.integers(-10, 11, (400, 2)).astype(np.float32) / 10)
        assert not is_grid(rng.uniform(-1, 1, (400, 2)))
        assert not is_grid(np.stack([rng.integers(0, 3, 400), rng.uniform(-1, 1, 400)], 1))

    def test_few_or_no_points_are_none(self):
        assert not is_grid(np.zeros((3, 2)))
        assert not is_grid(np.zeros((0, 2)))

    @given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3), st.integers(-1, 3)), min_size=1, max_size=60))
    def test_areas_count_images(self, rows):
        points, labels = np.asarray([r[:2] for r in rows]) / 4, np.asarray([r[2] for r in rows])
        found = {}
        for k, corners in squares(points, labels):
            (left, bottom), (right, top) = corners[0], corners[2]
            place = tuple(np.round(4 * np.asarray([0.0, (bottom + top) / 2])))
            found.setdefault((k, place[1]), []).append((right - left) * (top - bottom))
        unit = sum(map(sum, found.values())) / len(rows)
        for (k, y), areas in found.items():
            count = sum(1 for r in rows if r[2] == k and r[1] == y)
            assert sum(areas) == pytest.approx(count * unit)

    def test_squares_of_neighbours_do_not_meet(self):
        points = np.repeat([[0.0, 0.0], [0.1, 0.0], [0.1, 0.2]], 8, axis=0)
        boxes = [corners for _, corners in squares(points, np.zeros(24, int))]
        assert max(np.ptp(corners[:, 0]) for corners in boxes) < 0.1
        assert np.mean([corners.mean(0) for corners in boxes], axis=0) == pytest.approx([0.2 / 3, 0.2 / 3])

    def test_values_that_differ_by_rounding_are_one(self):
        points = np.repeat([[0.3, 0.1], [0.1 + 0.2, 0.1]], 10, axis=0).astype(np.float32)
        points[3] += 1e-7
        assert len(list(squares(points, np.zeros(20, int)))) == 1


class TestDrawn:
    def collections(self, points, labels):
        axes = Figure().subplots()
        draw_points(axes, points, labels)
        return axes.collections

    def test_points_by_class_with_their_markers(self):
        points = np.random.default_rng(1).uniform(-1, 1, (100, 2))
        labels = np.arange(100) % 3
        drawn = self.collections(points, labels)
        assert all(isinstance(one, PathCollection) for one in drawn)
        shapes = {Path.__len__(one.get_paths()[0]) for one in drawn}
        assert len(shapes) > 1
        assert sum(len(one.get_offsets()) for one in drawn) == 100

    def test_a_grid_is_squares(self):
        (drawn,) = self.collections(np.repeat([[0.0, 0.1], [0.1, 0.0]], 20, axis=0), np.arange(40) % 2)
        assert isinstance(drawn, PolyCollection)
        assert len(drawn.get_paths()) == 4

    def test_what_a_figure_is_drawn_from_tells_counts_apart(self):
        digests = set()
        for labels in (np.arange(40) % 2, np.arange(40) % 4 // 2, np.zeros(40, int)):
            figure = Figure()
            draw_points(figure.subplots(), np.repeat([[0.0, 0.1], [0.1, 0.0]], 20, axis=0), labels)
            digests.add(contents(figure))
        assert len(digests) == 2  # the first two are the same counts in another order


@pytest.mark.parametrize("panels", [1, 2, 3, 4, 6])
def test_titles_of_learning_curves_do_not_meet(panels):
    curve = Curve("none", True, (1, 2), (0.1, 0.2), ((0.1, 0.2),))
    names = ["pseudo VA=CLE, remainder=original, encoder=a name of forty letters which is far 2"] * panels
    axis = AxisRecord("mapping", ("none", "GCLM"))
    with style():
        figure = draw_learning([CurvePanel(name, (curve,)) for name in names], "validation accuracy", axis)
        figure.draw_without_rendering()
        boxes = [axes.title.get_window_extent() for axes in figure.axes if axes.get_visible()]
    assert len(boxes) == panels
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)
