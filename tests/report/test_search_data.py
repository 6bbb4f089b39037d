"""What the figures of a search show, against values counted by hand and against Optuna's own study."""

import math
import warnings
from dataclasses import replace

import optuna
import pytest
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator, get_param_importances

from raysweep.artifacts.study_record import PlannedSearch, RangeRecord
from raysweep.report.figures.search_front import draw_front, front, fronts
from raysweep.report.figures.search_history import draw_history, histories
from raysweep.report.figures.search_importance import draw_importance, importances, rebuilt
from raysweep.report.figures.search_parallel import draw_parallel, parallels
from raysweep.report.figures.search_scale import labels_of, scale_of, scales
from raysweep.report.figures.search_slices import draw_slices, slices
from raysweep.report.figures.style import save, style
from raysweep.report.results.searches import TrialRecord
from tests.report.searching import FIELDS, SPACE, plan_json, plan_of, record_of, searched

PLAIN = {path: SPACE[path] for path in FIELDS}


def trial(number, value=None, state=None, last=None, **point):
    """A trial of one objective; fields by their last word."""
    paths = {path.split(".")[-1]: path for path in ("labels.alpha", "train.learning_rate", "joint.frequency")}
    values = () if value is None else (value,)
    state = state or ("complete" if values else "failed")
    return TrialRecord(number, state, {paths[name]: x for name, x in point.items()}, values, last or {})


class TestHistory:
    def panel(self, *trials, number=None, plan=None):
        return histories(plan or plan_of(), [record_of(trials, number=number)])[0]

    def test_best_so_far_by_hand(self):
        panel = self.panel(
            trial(0, 0.4), trial(1, state="pruned", last={"macro_f1": 0.9}), trial(2, 0.3), trial(3), trial(5, 0.6),
            trial(6, state="pruned"), number=5,
        )  # fmt: skip
        assert panel.points == ((0, 0.4), (2, 0.3), (5, 0.6))
        assert panel.best == ((0, 0.4), (2, 0.4), (5, 0.6))
        assert panel.pruned == ((1, 0.9),)
        assert panel.marks == ((3, "failed"), (6, "pruned"))
        assert panel.chosen == (5, 0.6)

    def test_lower_is_better_for_some_objectives(self):
        plan = replace(plan_of(), objectives=("ece",), directions=("minimize",))
        assert self.panel(trial(0, 0.2), trial(1, 0.3), trial(2, 0.1), plan=plan).best == ((0, 0.2), (1, 0.2), (2, 0.1))

    def test_the_best_is_optunas(self):
        study, trials = searched(30, 5)
        assert self.panel(*trials).best[-1][1] == study.best_value


class TestImportance:
    def panel(self, trials, space=SPACE, objectives=1):
        return importances(plan_of(objectives=objectives, space=space), [record_of(trials)])

    def test_fanova_equals_optunas_on_its_own_study(self):
        study, trials = searched(20, 2, space=PLAIN)
        (panel,) = self.panel(trials, PLAIN)
        theirs = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0), params=list(PLAIN))
        assert {path: share for path, share, _ in panel.shares} == pytest.approx(theirs)
        assert panel.evaluator == "fANOVA"
        assert [share for _, share, _ in panel.shares] == sorted(theirs.values(), reverse=True)

    def test_with_conditional_fields_it_is_ped_anova(self):
        study, trials = searched(24, 2)
        (panel,) = self.panel(trials)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "some regimes have few trials"
            theirs = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(target_quantile=1 / 3))
        assert {path: share for path, share, _ in panel.shares} == pytest.approx(theirs)
        assert panel.evaluator == "PED-ANOVA"
        seen = sum("joint.frequency" in t.point for t in trials if t.values)
        assert {path: n for path, _, n in panel.shares}["joint.frequency"] == seen < panel.complete

    def test_every_objective_has_its_own(self):
        study, trials = searched(20, 3, objectives=2, space=PLAIN)
        panels = self.panel(trials, PLAIN, 2)
        assert [panel.objective for panel in panels] == ["macro_f1", "ece"]
        theirs = get_param_importances(
            study, evaluator=FanovaImportanceEvaluator(seed=0), params=list(PLAIN), target=lambda t: t.values[1]
        )
        assert {path: share for path, share, _ in panels[1].shares} == pytest.approx(theirs)

    def test_few_trials_are_said_instead_of_shown(self):
        (panel,) = self.panel([trial(i, 0.1 * i, alpha=0.1 * i) for i in range(9)])
        assert panel.shares == ()
        assert "9 complete trials" in panel.why

    def test_a_constant_field_is_left_out(self):
        trials = [trial(i, 0.01 * i, alpha=0.05 * i, learning_rate=1e-3, frequency=i % 3 + 1) for i in range(12)]
        (panel,) = self.panel(trials)
        assert {path for path, _, _ in panel.shares} == {"labels.alpha", "joint.frequency"}

    @pytest.mark.parametrize(
        ("trials", "why"),
        [
            ([trial(i, 0.01 * i, alpha=0.05 * i) for i in range(12)], "fewer than two fields"),
            ([trial(i, 0.5, alpha=0.05 * i, frequency=i % 3 + 1) for i in range(12)], "score the same"),
            ([trial(i, alpha=0.05 * i, frequency=1) for i in range(12)], "0 complete trials"),
        ],
    )
    def test_no_bars_are_made_up(self, trials, why):
        (panel,) = self.panel(trials)
        assert panel.shares == ()
        assert why in panel.why

    def test_optunas_verbosity_is_as_before(self):
        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            rebuilt(plan_of(), record_of([trial(0, 0.1, alpha=0.1)]))
            assert optuna.logging.get_verbosity() == optuna.logging.ERROR
        finally:
            optuna.logging.set_verbosity(before)


class TestFront:
    def test_equals_optunas_and_brute_force(self):
        study, trials = searched(40, 4, objectives=2)
        members = front(plan_of(objectives=2), record_of(trials))
        assert members == tuple(sorted(t.number for t in study.best_trials))
        scored = [(t.number, t.values[0], -t.values[1]) for t in trials if t.values]
        beaten = {n for n, *a in scored for _, *b in scored
                  if a != b and all(y >= x for x, y in zip(a, b, strict=True))}  # fmt: skip
        assert set(members) == {n for n, *_ in scored} - beaten

    def test_every_pair_of_three_objectives_shows_one_front(self):
        plan = PlannedSearch.read(
            {**plan_json({"": {"search": "s"}}), "objectives": ["macro_f1", "ece", "nll"],
             "directions": ["maximize", "minimize", "minimize"]}
        )  # fmt: skip
        trials = [TrialRecord(0, "complete", {}, (0.5, 0.1, 1.0)), TrialRecord(1, "complete", {}, (0.4, 0.2, 0.9)),
                  TrialRecord(2, "complete", {}, (0.4, 0.2, 1.1)), TrialRecord(3, "failed", {})]  # fmt: skip
        panels = fronts(plan, [record_of(trials)])
        pairs = [("macro_f1", "ece"), ("macro_f1", "nll"), ("ece", "nll")]
        assert [panel.objectives for panel in panels] == pairs
        assert {panel.front for panel in panels} == {(0, 1)}

    def test_one_objective_has_none(self):
        assert fronts(plan_of(), [record_of([trial(0, 0.1)])]) == []

    def test_without_a_complete_trial_it_is_empty(self):
        assert front(plan_of(objectives=2), record_of([trial(0)])) == ()


class TestScale:
    def test_log_places_and_decades(self):
        scale = scale_of(RangeRecord("a", "log", 1e-4, 1e-2), "a", [])
        assert scale.place(1e-3) == pytest.approx(0.5)
        assert [words for _, words in scale.ticks()] == ["0.0001", "0.001", "0.01"]
        assert scale.place(0.0) is None

    def test_choices_are_spread(self):
        scale = scale_of(RangeRecord("a", "choice", choices=("x", None, True)), "a", [])
        assert [scale.place(value) for value in ("x", None, True, "y")] == [0, 0.5, 1, None]

    def test_values_outside_the_range_widen_it(self):
        """Known good points may lie where the search does not look."""
        scale = scale_of(RangeRecord("a", "uniform", 0.0, 1.0), "a", [0.5, 2.0])
        assert (scale.low, scale.high) == (0.0, 2.0)
        words = scale_of(RangeRecord("a", "choice", choices=("x",)), "a", ["z", "x"])
        assert words.categories == ("x", "z")

    @pytest.mark.parametrize(("low", "high"), [(0, 1), (1, 10), (3, 4), (0, 100), (5, 5)])
    def test_whole_numbers_have_whole_marks(self, low, high):
        ticks = scale_of(RangeRecord("a", "int", low, high), "a", []).ticks()
        assert ticks
        assert all("." not in words for _, words in ticks)
        assert all(-1e-9 <= place <= 1 + 1e-9 for place, _ in ticks)

    def test_short_names_stay_apart(self):
        assert labels_of(["a.method", "b.method", "c.alpha"]) == {
            "a.method": "a.method", "b.method": "b.method", "c.alpha": "alpha",
        }  # fmt: skip


class TestParallelAndSlices:
    def test_missing_values_are_missing(self):
        trials = [trial(0, 0.4, alpha=0.0), trial(1, 0.6, alpha=1.0, frequency=5), trial(2, state="pruned", alpha=0.5),
                  trial(3, alpha=0.5)]  # fmt: skip
        (panel,) = parallels(plan_of(), [record_of(trials, number=1)])
        assert [scale.label for scale in panel.axes] == [
            "alpha", "labels.method", "learning_rate", "warm_up", "frequency", "joint.method", "macro_f1",
        ]  # fmt: skip
        assert [line.number for line in panel.lines] == [0, 1, 2]
        assert panel.lines[0].places == (0.0, None, None, None, None, None, 0.0)
        assert panel.lines[1].places == (1.0, None, None, None, 1.0, None, 1.0)
        assert panel.lines[2].score is None
        assert len(panel.lines[2].places) == 6
        assert [line.chosen for line in panel.lines] == [False, True, False]

    def test_a_slice_has_the_trials_that_have_the_field(self):
        trials = [
            trial(0, 0.4, alpha=0.0, frequency=2),
            trial(1, 0.6, alpha=1.0),
            trial(2, 0.5, alpha=0.2, frequency=3),
        ]
        panels = {panel.scale.path: panel for panel in slices(plan_of(), [record_of(trials)])}
        assert panels["joint.frequency"].points == (("", ((2, 0.4, False), (3, 0.5, False))),)
        assert set(panels) == {"labels.alpha", "joint.frequency"}

    def test_all_arms_share_the_axes(self):
        plan = plan_of(("a", "b"))
        records = [record_of([trial(0, 0.4, alpha=2.0)], "a"), record_of([trial(0, 0.8, alpha=0.5)], "b")]
        first, second = parallels(plan, records)
        assert first.axes == second.axes
        assert scales(plan, records)[0].high == 2.0
        assert [panel.lines[0].places[-1] for panel in (first, second)] == [0.0, 1.0]

    def test_nothing_complete_has_no_figure(self):
        records = [record_of([trial(0), trial(1, state="pruned")])]
        assert parallels(plan_of(), records) == []
        assert slices(plan_of(), records) == []


def draw_all(plan, records):
    """Every figure, drawn to the end."""
    figures = [draw_history(histories(plan, records), plan)]
    figures.append(draw_importance(importances(plan, records), plan))
    if lines := parallels(plan, records):
        figures.append(draw_parallel(lines, plan))
    if along := slices(plan, records):
        figures.append(draw_slices(along, plan))
    if trade := fronts(plan, records):
        figures.append(draw_front(trade, plan))
    return figures


class TestDrawing:
    @pytest.mark.parametrize(
        "trials",
        [
            [trial(0, 0.5, alpha=0.5)],
            [trial(i, state="pruned", alpha=0.5) for i in range(3)],
            [trial(i) for i in range(3)],
            [trial(0, state="running", alpha=0.1), trial(1, state="stopped")],
            [trial(i, 0.5, alpha=0.5) for i in range(12)],
            [trial(0, 0.5, learning_rate=1e-3), trial(1, 0.4, learning_rate=1e-3, frequency=1)],
        ],
        ids=["one", "all pruned", "all failed", "not over", "all alike", "mostly missing"],
    )
    def test_degenerate_searches_can_be_drawn(self, trials):
        with style():
            for figure in draw_all(plan_of(), [record_of(trials, number=0)]):
                figure.draw_without_rendering()

    def test_titles_of_panels_stay_on_the_paper(self):
        arms = ("noise=0.3, method=Gaussian, mapping=EDCLM", "noise=0.3, method=Euclidean, mapping=none", "c")
        records = [record_of([trial(i, 0.01 * i, alpha=0.1, frequency=1) for i in range(3)], arm) for arm in arms]
        with style():
            for figure in draw_all(plan_of(arms), records):
                figure.draw_without_rendering()
                boxes = [axes.title.get_window_extent() for axes in figure.axes if axes.get_visible()]
                assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)

    def test_equal_searches_give_equal_files(self, tmp_path):
        def written(folder):
            _, trials = searched(14, 1, pruned=0)
            with style():
                figures = draw_all(plan_of(), [record_of(trials)])[:3]
                paths = [path for i, figure in enumerate(figures) for path in save(figure, folder, str(i))]
            return [path.read_bytes() for path in paths]

        assert written(tmp_path / "a") == written(tmp_path / "b")


@pytest.mark.parametrize(
    "change",
    [
        {"objectives": []},
        {"directions": ["up"]},
        {"space": {"a": {"kind": "normal"}}},
        {"space": {"a": {"kind": "choice", "choices": []}}},
        {"arms": {"": {"trials": 3}}},
    ],
)
def test_a_plan_that_is_not_as_agreed_is_refused(change):
    with pytest.raises((KeyError, ValueError)):
        PlannedSearch.read({**plan_json({"": {"search": "s"}}), **change})


def test_values_are_finite_here():
    _, trials = searched(10, 0)
    assert all(math.isfinite(value) for t in trials for value in t.values)
