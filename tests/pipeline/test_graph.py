"""Methods as graphs: which settings share which stages, and what a plan says is to be done. Nothing is trained."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysweep.core.errors import UserError
from raysweep.data.dataset import TRAIN
from raysweep.data.splits import subset
from raysweep.pipeline import Known, Sets, build, done_cells, epochs_alone, main_chain, plan_tasks, plan_work
from raysweep.pipeline.run import run_task
from raysweep.pipeline.stage import Stage, ancestry, stage_key
from raysweep.pipeline.stage_kinds import STAGE_KINDS, is_stored
from raysweep.pipeline.stages.fit import chain
from raysweep.store.store import Store
from tests.conftest import make_squares
from tests.pipeline.small_joint import fits, key_of, last_epoch, make_a, make_b, small_joint, stage_of

A, A_VA = make_a(), make_a(with_va=True)
B, B_NO_VA = make_b(), make_b(with_va=False, name="D")
SETS = Sets(A, (B,))
OWN = Sets(A_VA, (B,))
WITHOUT_VA = Sets(A, (B_NO_VA,))


def changed(ground, **more):
    return small_joint(**{**ground, **more})


def test_equal_experiments_have_equal_keys():
    assert key_of(small_joint(), SETS) == key_of(small_joint(), Sets(make_a(), (make_b(),)))


@pytest.mark.parametrize(
    ("ground", "other"),
    [
        # what is done to B plays no part when B is not trained on as a whole
        ({"joint__extra_part": "subset"}, {"joint__mapping": "global"}),
        ({"joint__extra_part": "subset"}, {"joint__mapping": "none", "joint__relabel": False, "joint__map_all": True}),
        ({"joint__extra_part": "none"}, {"joint__mapping": "none", "joint__relabel": False}),
        ({"joint__extra_part": "none"}, {"joint__warm_up": 5, "joint__frequency": 1, "joint__schedule": "concatenate"}),
        ({"joint__mapping": "none"}, {"joint__map_all": True}),
        # the schedule
        ({"joint__schedule": "concatenate"}, {"joint__warm_up": 1, "joint__frequency": 3, "joint__unit": "batch"}),
        ({"joint__schedule": "concatenate"}, {"joint__draw": "balanced"}),
        ({"joint__frequency": None}, {"joint__warm_up": 1, "joint__unit": "batch", "joint__draw": "balanced"}),
        ({}, {"joint__warm_up": 0.5, "joint__frequency": 0.34}),  # shares of six epochs: 3 and 2
        ({}, {"joint__warm_up": 2}),  # B joins in epochs 4 and 6 either way
        ({}, {"joint__finetune_rate": 0.1}),
        # labels and objective
        ({}, {"labels__within_std": None, "labels__method": "gaussian", "labels__squared": False}),
        ({}, {"labels__statistics": "noisy", "labels__noise_kind": "confusion"}),
        ({}, {"seeds__noise": 7}),
        ({}, {"objective__weight_cap": 9.0, "objective__weighted_va": False}),
        ({"joint__pseudo_va": "none", "joint__extra_part": "subset"}, {"joint__labeller_weight_va": 1.0}),
        # SCN's settings with a plain head
        ({}, {"scn__margin": 0.5, "scn__relabel_from": 2.0, "scn__relabel_margin": 0.5, "scn__high_share": 0.5}),
        # schedules that come to the same
        ({"train__decay_every": 0.5}, {"train__decay_every": 3.0}),
        ({"train__decay_every": 6.0}, {"train__decay_every": 50.0, "train__decay_factor": 0.1}),
        ({"train__swa_start": 0.5}, {"train__swa_start": 0.55}),
        # nothing is held out
        (
            {"selection__protocol": "last", "selection__weights": "last"},
            {"selection__validation_share": 0.3, "seeds__split": 5},
        ),
        # other methods
        ({"joint__method": "combine"}, {"joint__mapping": "none", "joint__pseudo_va": "own", "joint__warm_up": 90}),
        ({"joint__method": "extra"}, {"joint__extra_part": "subset", "joint__labeller_weight_va": 1.0}),
    ],
)
def test_a_field_that_cannot_matter_leaves_the_key_alone(ground, other):
    assert changed(ground) != changed(ground, **other)
    assert key_of(changed(ground), SETS) == key_of(changed(ground, **other), SETS)


@pytest.mark.parametrize(
    "other",
    [
        {"joint__extra": "C+D"},
        {"joint__extra_images": 50, "joint__extra_share": 0.1},
        {"joint__pseudo_va": "all", "joint__mapping": "global", "joint__relabel": False},
        {"joint__schedule": "concatenate", "joint__extra_part": "none"},
        {"joint__warm_up": 1, "joint__frequency": 1, "joint__unit": "batch", "joint__draw": "balanced"},
        {"joint__labeller_weight_va": 1.0, "joint__map_all": True},
    ],
)
def test_no_field_of_joint_matters_to_the_target_alone(other):
    base = {"joint__method": "target"}
    assert key_of(changed(base, **other), SETS) == key_of(changed(base, joint__extra=()), Sets(A))


@pytest.mark.parametrize("method", ["target", "extra", "combine"])
def test_va_terms_play_no_part_where_nobody_knows_va(method):
    base = {"joint__method": method}
    other = {"objective__weight_va": 1.0, "objective__va_reduction": "sum", "objective__weighted_va": False}
    assert key_of(changed(base), WITHOUT_VA) == key_of(changed(base, **other), WITHOUT_VA)
    known = OWN
    assert key_of(changed(base), known) != key_of(changed(base, objective__weight_va=1.0), known)


@pytest.mark.parametrize(
    ("ground", "other"),
    [
        ({}, {"joint__mapping": "global"}),
        ({}, {"joint__mapping": "none"}),
        ({}, {"joint__map_all": True}),
        ({}, {"joint__relabel": False}),
        ({}, {"joint__pseudo_va": "all"}),
        ({}, {"joint__labeller_weight_va": 1.0}),
        ({}, {"joint__extra_part": "subset"}),
        ({"joint__extra_part": "subset"}, {"joint__extra_part": "none"}),
        ({}, {"joint__schedule": "concatenate"}),
        ({}, {"joint__warm_up": 4}),
        ({}, {"joint__frequency": 3.0}),
        ({}, {"joint__frequency": None}),
        ({}, {"joint__unit": "batch"}),
        ({}, {"joint__draw": "balanced"}),
        ({}, {"joint__finetune": "target"}),
        ({"joint__finetune": "target"}, {"joint__finetune_rate": 0.1}),
        ({}, {"objective__weight_va": 4.0}),
        ({}, {"objective__class_weights": "hard"}),
        ({}, {"labels__alpha": 0.5}),
        ({"labels__alpha": 0.5}, {"labels__within_std": None}),
        ({}, {"labels__noise_rate": 0.1}),
        ({"labels__noise_rate": 0.1}, {"seeds__noise": 7}),
        ({"labels__noise_rate": 0.1}, {"labels__statistics": "noisy"}),
        ({}, {"labels__va_noise": 0.1}),
        ({}, {"seeds__init": 1}),
        ({}, {"seeds__order": 1}),
        ({}, {"seeds__split": 1}),
        ({}, {"selection__weights": "last"}),
        ({}, {"selection__validation_share": 0.3}),
        ({}, {"selection__protocol": "best_on_test"}),
        ({}, {"train__epochs": 8}),
        ({}, {"train__batch_size": 25}),
        ({}, {"train__learning_rate": 1e-3}),
        ({}, {"train__decay_factor": 0.1}),
        ({}, {"train__weight_decay": 0.1}),
        ({}, {"train__swa_start": 0.5}),
        ({}, {"train__precision": "bfloat16"}),
        ({}, {"augment__flip": 0.1}),
        ({}, {"model__affect": "tanh"}),
        ({}, {"model__head": "scn"}),
        ({"model__head": "scn"}, {"scn__margin": 0.3}),
        ({"model__head": "scn"}, {"scn__rank_weight": 0.5}),
        ({"model__head": "scn"}, {"scn__relabel_from": 2.0}),
        ({"joint__method": "combine"}, {"joint__method": "extra"}),
        ({"joint__method": "combine"}, {"joint__method": "target"}),
    ],
)
def test_a_field_that_matters_changes_the_key(ground, other):
    def key(**changes):
        experiment = changed(ground, **changes)
        return key_of(experiment, Sets(A, (B,), A if experiment.joint.finetune else None))

    assert key() != key(**other)


@pytest.mark.parametrize(
    "other",
    [
        Sets(make_a(seed=1), (B,)),
        Sets(A, (make_b(seed=6),)),
        Sets(A, (subset(B, TRAIN, 40),)),
        Sets(A, (B, B_NO_VA)),
        Sets(A_VA, (B,)),
        Sets(A, (B,), A),
    ],
)
def test_other_images_are_another_cell(other):
    assert key_of(small_joint(), SETS) != key_of(small_joint(), other)


def test_two_subsets_of_one_size_are_two_data_sets():
    """Half of 40 images is not the 20 that one gets by asking for 20: other images, so another key."""
    half, direct = subset(subset(B, TRAIN, 40), TRAIN, 20), subset(B, TRAIN, 20)
    assert not half.images[:].equal(direct.images[:])
    keys = {key_of(small_joint(), Sets(A, (part,))) for part in (half, direct)}
    assert len(keys) == 2


def test_a_without_va_is_not_a_with_its_own():
    """`joint.pseudo_va`: "none" means that A has no VA to learn, whatever the data set holds."""
    values = {"joint__mapping": "none", "joint__relabel": False}
    none, own = (small_joint(joint__pseudo_va=choice, **values) for choice in ("none", "own"))
    assert key_of(none, OWN) != key_of(own, OWN)


STUDY = [
    build(small_joint(joint__pseudo_va=pseudo, joint__mapping=mapping, **more), SETS)
    for pseudo in ("all", "subset")
    for mapping in ("none", "per_class")
    for more in ({}, {"joint__warm_up": 1}, {"train__decay_every": 2.0})
] + [
    build(small_joint(joint__method="target"), SETS),
    build(small_joint(joint__method="extra", joint__finetune="target"), Sets(A, (B,), A)),
]


class Stored:
    """A store that has these keys."""

    def __init__(self, keys):
        self.there = keys

    def keys(self):
        return iter(self.there)

    def present(self, keys):
        return frozenset(keys) & self.there

    def get(self, key):
        return {} if key in self.there else None


def to_make(cells, stored):
    """Every stage that must be computed, found by walking back from the cells until something is stored."""
    found, stack = {}, list(cells)
    while stack:
        stage = stack.pop()
        if stage.key not in stored and stage.key not in found:
            found[stage.key] = stage
            stack.extend(stage.inputs.values())
    return list(found.values())


class TestSharedStages:
    def epochs(self, experiment, title="joint", sets=SETS):
        return [stage.key for stage in chain(last_epoch(build(experiment, sets), title))]

    @pytest.mark.parametrize(
        "other",
        [
            {"joint__mapping": "global"},
            {"joint__mapping": "none"},
            {"joint__relabel": False},
            {"joint__map_all": True},
            {"joint__extra_part": "subset"},
            {"joint__unit": "batch"},
            {"joint__draw": "balanced"},
        ],
    )
    def test_what_matters_once_b_joins_leaves_the_warm_up_alone(self, other):
        ours, theirs = self.epochs(small_joint()), self.epochs(small_joint(**other))
        assert ours[:3] == theirs[:3]
        assert not set(ours[3:]) & set(theirs[3:])
        for title in ("M_A", "M_B"):
            assert self.epochs(small_joint(), title) == self.epochs(small_joint(**other), title)

    @pytest.mark.parametrize(
        ("other", "common"),
        [
            ({"joint__warm_up": 4}, 3),  # joins in 6 only
            ({"joint__warm_up": 1}, 1),  # joins in 2, 4, 6
            ({"joint__frequency": 3.0, "joint__warm_up": 3}, 3),  # in 6
            ({"joint__frequency": 5.0}, 3),  # in 5
            ({"joint__frequency": None}, 3),
            ({"joint__warm_up": 5, "joint__frequency": 6.0}, 3),
            ({"objective__weight_va": 1.0}, 0),
            ({"joint__pseudo_va": "all"}, 0),
        ],
    )
    def test_joint_trainings_share_epochs_up_to_the_first_that_differs(self, other, common):
        ours, theirs = self.epochs(small_joint()), self.epochs(small_joint(**other))
        assert ours[:common] == theirs[:common]
        assert not set(ours[common:]) & set(theirs[common:])

    @pytest.mark.parametrize(
        ("other", "common"),
        [
            ({"train__swa_start": 0.5}, 3),
            ({"train__decay_every": 5.0}, 4),
            ({"train__decay_every": 2.0}, 2),
            ({"train__decay_factor": 0.25}, 4),
            ({"seeds__init": 1}, 0),
            ({"train__learning_rate": 1e-3}, 0),
        ],
    )
    def test_recipes_share_epochs_up_to_the_first_that_differs(self, other, common):
        ours, theirs = self.epochs(small_joint(), "M_A"), self.epochs(small_joint(**other), "M_A")
        assert ours[:common] == theirs[:common]
        assert not set(ours[common:]) & set(theirs[common:])
        # M_B and the joint training see labels that come from another M_A
        for title in ("M_B", "joint"):
            assert not set(self.epochs(small_joint(), title)) & set(self.epochs(small_joint(**other), title))

    def test_a_longer_training_goes_on_from_a_shorter_one(self):
        ours, more = (self.epochs(small_joint(train__epochs=epochs), "M_A") for epochs in (6, 9))
        assert (len(ours), len(more)) == (6, 9)
        assert more[:6] == ours
        # the joint training learns VA from an M_B of nine epochs, not of six
        short, long = (self.epochs(small_joint(train__epochs=epochs)) for epochs in (6, 9))
        assert not set(short) & set(long)

    def test_shares_of_the_epochs_move_with_them(self):
        fields = {"joint__method": "target", "train__decay_every": 0.5, "train__swa_start": 0.5}
        short, long = (self.epochs(small_joint(**fields, train__epochs=epochs), "target") for epochs in (6, 12))
        assert long[:3] == short[:3]
        assert not set(short[3:]) & set(long)

    def test_m_a_is_the_target_trained_alone(self):
        target = small_joint(joint__method="target", objective__weight_va=0.0)
        assert self.epochs(small_joint(), "M_A") == self.epochs(target, "target")
        assert self.epochs(small_joint(), "M_A", OWN) == self.epochs(target, "target", OWN)

    def test_m_b_on_all_of_b_is_the_extra_set_trained_alone(self):
        extra = small_joint(joint__method="extra", objective__weight_va=15.0)
        assert self.epochs(small_joint(joint__pseudo_va="all"), "M_B") == self.epochs(extra, "extra")

    def test_the_arms_of_table_2_need_one_m_a_and_two_m_b(self):
        cells = [
            build(small_joint(joint__pseudo_va=pseudo, joint__mapping=mapping, joint__relabel=relabel), SETS)
            for pseudo in ("all", "subset")
            for mapping in ("none", "global", "per_class")
            for relabel in (False, True)
        ]
        assert len({cell.key for cell in cells}) == 12
        for title, count in (("M_A", 1), ("M_B", 2)):
            ends = {
                max((s for s in fits(cell) if s.attached.title.startswith(title)), key=lambda s: s.attached.epoch).key
                for cell in cells
                if any(stage.attached.title.startswith(title) for stage in fits(cell))
            }
            assert len(ends) == count
        without = [cell for cell in cells if not any(stage.kind == "select" for stage in ancestry([cell]))]
        assert without == [cells[0]]  # all of B as it came: nothing is selected, and no M_A is needed
        warm_ups = {self.epochs_of(cell)[2] for cell in cells}
        assert len(warm_ups) == 2

    @staticmethod
    def epochs_of(cell):
        return [stage.key for stage in main_chain(cell)]


class TestPlan:
    def test_one_cell_is_one_task(self, tmp_path):
        final = build(small_joint(), SETS)
        (task,) = plan_tasks([final], Store(tmp_path))
        assert task.stage is final
        assert not task.needs
        assert task.cells == {final.key}
        assert task.epochs == epochs_alone(final) == len(fits(final)) == 18
        assert {title.split(" ")[0] for title, _ in task.fits} == {"M_A", "M_B", "joint"}

    def test_tasks_come_after_what_they_need_and_cover_every_epoch_once(self, tmp_path):
        cells = [
            build(small_joint(**{"joint__mapping": mapping, "joint__pseudo_va": pseudo, **more}), SETS)
            for mapping in ("none", "per_class")
            for pseudo in ("all", "subset")
            for more in ({}, {"joint__warm_up": 1}, {"train__swa_start": 0.5}, {"train__decay_every": 2.0})
        ]
        tasks = plan_tasks(cells, Store(tmp_path))
        keys = [task.key for task in tasks]
        assert len(keys) == len(set(keys))
        for number, task in enumerate(tasks):
            assert task.needs <= set(keys[:number])
            assert task.cells
            assert {key for key in task.keep if key in keys} <= {task.key}
        assert {cell.key for cell in cells} <= set(keys)
        assert sum(task.epochs for task in tasks) == len({stage.key for cell in cells for stage in fits(cell)})
        waited_for = {need for task in tasks for need in task.needs}
        assert set(keys) == waited_for | {cell.key for cell in cells}  # nothing is a task of its own without reason

    def test_a_task_knows_the_cells_that_wait_for_it(self, tmp_path):
        one, two = (build(small_joint(joint__mapping=mapping), SETS) for mapping in ("none", "global"))
        tasks = {task.key: task for task in plan_tasks([one, two], Store(tmp_path))}
        for key, task in tasks.items():
            expected = {cell.key for cell in (one, two) if key in {stage.key for stage in ancestry([cell])}}
            assert task.cells == expected

    @given(st.data())
    def test_whatever_is_stored_only_what_is_missing_is_planned(self, data):
        """Some products of a study are there, as after a launch that was cut short or a store that was thinned out."""
        every = [stage for stage in ancestry(STUDY) if is_stored(stage.kind)]
        stored = data.draw(st.sets(st.sampled_from(every), max_size=20))
        cells = data.draw(st.lists(st.sampled_from(STUDY), min_size=1, max_size=4, unique=True))
        keys = {stage.key for stage in stored}
        tasks = plan_tasks(cells, Stored(keys))
        missing = to_make(cells, keys)
        assert sum(task.epochs for task in tasks) == sum(stage.kind == "fit" for stage in missing)
        names = [task.key for task in tasks]
        assert set(names) <= {stage.key for stage in missing}
        assert {cell.key for cell in cells} - keys <= set(names)
        for number, task in enumerate(tasks):
            assert task.needs <= set(names[:number])

    def test_equal_cells_are_planned_once(self, tmp_path):
        cells = [build(small_joint(), SETS), build(small_joint(joint__warm_up=2), SETS)]
        assert len(plan_tasks(cells, Store(tmp_path))) == 1

    def test_what_is_stored_is_not_planned(self, tmp_path):
        store, final = Store(tmp_path), build(small_joint(), SETS)
        m_a = last_epoch(final, "M_A")
        store.put(m_a.key, lambda folder: None, {})
        (task,) = plan_tasks([final], store)
        assert task.epochs == 12
        joint_3 = main_chain(final)[2]
        store.put(joint_3.key, lambda folder: None, {})
        (task,) = plan_tasks([final], store)
        assert dict(task.fits)["joint"] == 3
        assert task.epochs == 9  # three of the joint training, six of M_B
        store.put(final.key, lambda folder: None, {})
        assert plan_tasks([final], store) == []

    def test_a_training_is_cut_where_b_first_joins(self, tmp_path):
        """So that an arm added later finds the warm-up, which nobody shared at first."""
        final = build(small_joint(), SETS)
        (task,) = plan_tasks([final], Store(tmp_path))
        assert [epoch.key in task.keep for epoch in main_chain(final)] == [False, False, True, False, False, True]

    def test_the_curve_of_a_cell_is_its_last_training(self):
        final = build(small_joint(), SETS)
        assert [stage.attached.epoch for stage in main_chain(final)] == [1, 2, 3, 4, 5, 6]
        assert {stage.attached.title for stage in main_chain(final)} == {"joint"}
        tuned = build(small_joint(joint__finetune="target"), Sets(A, (B,), A))
        assert {stage.attached.title for stage in main_chain(tuned)} == {"fine-tuning"}
        assert epochs_alone(tuned) == 24

    def test_retraining_counts_as_long_as_it_may_take(self, tmp_path):
        fields = {"joint__method": "target", "selection__protocol": "select_then_retrain"}
        final = build(small_joint(**fields), SETS)
        assert final.kind == "retrain"
        assert main_chain(final)[-1] is final
        assert epochs_alone(final) == 12
        (task,) = plan_tasks([final], Store(tmp_path))
        assert task.fits == (("target", 6), ("retraining", 6))

    def test_every_kind_can_be_run(self):
        kinds = {stage.kind for stage in ancestry([build(small_joint(), SETS)])}
        assert kinds <= set(STAGE_KINDS)
        assert {"select", "pseudo_va", "adapt", "targets", "labels", "data", "start", "fit", "evaluate"} <= kinds

    def test_a_key_that_the_graph_lacks_says_what_to_do(self, tmp_path):
        with pytest.raises(UserError, match="are not those of the launch's plan: run the command again"):
            run_task(small_joint(), SETS, "0" * 64, (), Store(tmp_path))


def test_what_is_shown_comes_with_the_cell():
    final = build(small_joint(), SETS)
    assert {name for name in final.inputs if name.startswith("shown_")} == {
        "shown_labels",
        "shown_pseudo",
        "shown_extra",
        "shown_chosen",
        "shown_adapted",
    }
    assert stage_of(final, "select") == final.inputs["shown_chosen"]
    plain = build(small_joint(joint__method="target"), SETS)
    assert {name for name in plain.inputs if name.startswith("shown_")} == {"shown_labels"}


def test_classes_and_kinds_of_data_are_checked_before_anything_is_planned():
    with pytest.raises(UserError, match="A and B must name the same expressions"):
        build(small_joint(), Sets(A, (make_squares(60, 16, 3),)))


def test_a_stage_s_key_is_stage_key():
    """It is put together by hand, for speed."""
    odd = Stage("step", {"b": [1, 2.5, None], "a": {"ü": True, "x": '"\\n'}})
    stages = [odd, Stage("fit", {"one": 1}, {'ro"le ö': odd, "a": odd}), *ancestry(STUDY)]
    for stage in stages:
        inputs = {role: source.key for role, source in stage.inputs.items()}
        assert stage.key == stage_key(stage.kind, dict(stage.params), inputs)


def test_cells_built_together_are_those_built_alone():
    """The same keys throughout, and the last epoch of a training knows its own experiment."""
    known = Known()
    more = [
        {},
        {"joint__warm_up": 1},
        {"train__decay_every": 2.0},
        {"selection__weights": "last"},
        {"train__epochs": 5},
    ]
    arms = [small_joint(joint__mapping=mapping, **fields) for mapping in ("none", "global") for fields in more]
    together = [build(arm, SETS, known) for arm in arms]
    for arm, final in zip(arms, together, strict=True):
        alone = build(arm, SETS)
        assert [stage.key for stage in ancestry([final])] == [stage.key for stage in ancestry([alone])]
        assert [e.attached.epoch for e in fits(final)] == [e.attached.epoch for e in fits(alone)]
        assert [e.attached.title for e in fits(final)] == [e.attached.title for e in fits(alone)]
        assert final.inputs["model"].experiment == alone.inputs["model"].experiment
        select = {s.inputs["model"].experiment.selection.weights for s in [stage_of(final, "select")]}
        assert select == {arm.selection.weights}
    distinct = {id(stage) for stage in ancestry(together) if stage.kind == "fit"}
    assert len(distinct) < sum(len(fits(final)) for final in together) / 2


class TestWhatATaskSays:
    def test_what_nobody_else_should_compute(self, tmp_path):
        """Everything stored that it makes, and the first epochs of its trainings."""
        final = build(small_joint(), SETS)
        (task,) = plan_tasks([final], Store(tmp_path))
        assert task.makes >= task.keep | {task.key}
        assert task.makes >= {stage.key for stage in fits(final) if stage.attached.epoch == 1}
        assert task.makes >= {stage_of(final, kind).key for kind in ("select", "pseudo_va", "adapt")}
        assert main_chain(final)[1].key not in task.makes
        assert main_chain(final)[3].key in task.makes  # goes on from the cut before B joins

    def test_two_launches_that_cut_a_training_elsewhere_want_the_same_first_epoch(self, tmp_path):
        (ours,) = plan_tasks([build(small_joint(joint__method="target"), SETS)], Store(tmp_path))
        longer = small_joint(joint__method="target", train__epochs=9)
        (theirs,) = plan_tasks([build(longer, SETS)], Store(tmp_path))
        assert ours.makes & theirs.makes

    def test_tasks_of_one_launch_make_different_things(self, tmp_path):
        tasks = plan_tasks(STUDY, Store(tmp_path))
        made = [key for task in tasks for key in task.makes]
        assert len(made) == len(set(made))

    def test_pieces_are_the_trainings(self, tmp_path):
        for task in plan_tasks(STUDY, Store(tmp_path)):
            assert sum(epochs for _, epochs in task.pieces) == task.epochs
            assert {stage.key for stage, _ in task.pieces} == task.keep

    def test_counts_of_stages(self, tmp_path):
        store, finals = Store(tmp_path), {cell.key: cell for cell in STUDY}
        work = plan_work(finals, done_cells(finals, store), store)
        assert work.found == 0
        assert 0 < work.shared < work.computed
        some = STUDY[0]
        store.put(some.key, lambda folder: None, {})
        later = plan_work(finals, done_cells(finals, store), store)
        assert later.found == 1
        assert later.computed < work.computed
