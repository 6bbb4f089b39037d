"""Shared equals unshared, bit for bit: what cells have in common is trained once, wherever it is cut."""

import itertools
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from raysweep.pipeline import Sets, build, main_chain, plan_tasks, run_cell
from raysweep.pipeline.run import run_task
from raysweep.store.store import Store
from raysweep.training import Trainer
from tests.pipeline.small_joint import fits, key_of, launch, make_a, make_b, products, result_of, same, small_joint

SETS = Sets(make_a(), (make_b(),))


def quick(**changes):
    """Four epochs; B joins in epochs 3 and 4."""
    fields = {"train__epochs": 4, "train__decay_every": 3.0, "joint__warm_up": 2, "joint__frequency": 1.0}
    return small_joint(**{**fields, **changes})


def distinct_epochs(cells, sets=SETS):
    return {stage.key for cell in cells for stage in fits(build(cell, sets))}


def assert_trained_as_planned(done, cells, sets=SETS):
    """Every epoch of the plan once, and no other."""
    trained = [event.key for event in done.trained]
    assert len(trained) == len(set(trained)) == sum(task.epochs for task in done.tasks)
    assert set(trained) == distinct_epochs(cells, sets)
    pieces = {event.training: event.until for event in done.events}  # each ends with an epoch that is stored
    assert all(event.epoch <= event.until == pieces[event.training] <= event.epochs for event in done.events)
    assert set(pieces) <= set(trained)


def assert_as_if_alone(cells, store, folder, sets=SETS):
    for number, cell in enumerate(cells):
        shared, alone = result_of(cell, sets, store), run_cell(cell, sets, Store(folder / f"alone-{number}"))
        assert shared.facts["weights_hash"] == alone.facts["weights_hash"]
        assert same(shared.scores, alone.scores)
        assert (shared.predictions.probs == alone.predictions.probs).all()
        assert [timeless(metrics) for metrics in shared.history] == [timeless(metrics) for metrics in alone.history]


def timeless(metrics):
    return {name: value for name, value in metrics.items() if name != "seconds"}


def test_the_arms_of_table_2(tmp_path):
    """Mapping x relabelling, pseudo VA from a subset: one M_A, one M_B, one warm-up; CLE arms need one more M_B."""
    store = Store(tmp_path / "store")
    cells = [
        quick(joint__mapping=mapping, joint__relabel=relabel)
        for mapping in ("none", "global", "per_class")
        for relabel in (False, True)
    ]
    done = launch(cells, SETS, store)
    assert_trained_as_planned(done, cells)
    assert done.titles() == {"M_A": 4, "M_B on the subset": 4, "joint": 2 + 6 * 2}
    assert len({result_of(cell, SETS, store).facts["weights_hash"] for cell in cells}) >= 5  # the arms do differ
    assert_as_if_alone(cells[1:5], store, tmp_path)

    assert launch(cells, SETS, store).tasks == []
    from_all = quick(joint__pseudo_va="all")
    more = launch([*cells, from_all], SETS, store)
    assert more.titles() == {"M_B on all of B": 4, "joint": 4}
    assert all(task.cells == {key_of(from_all, SETS)} for task in more.tasks)
    more = launch([*cells, from_all, quick(joint__pseudo_va="all", joint__relabel=False)], SETS, store)
    assert more.titles() == {"joint": 2}
    assert launch(cells[:1], SETS, store).tasks == []


def test_schedules_on_a_grid(tmp_path):
    """Learning rates, averages, warm-ups and frequencies that part at different epochs."""
    store = Store(tmp_path / "store")
    cells = [
        quick(
            joint__pseudo_va="none",  # one training a cell: every epoch of the grid is of its own schedule
            joint__mapping="none",
            joint__relabel=False,
            train__decay_every=decay,
            train__swa_start=swa,
            joint__warm_up=warm_up,
            joint__frequency=frequency,
            selection__weights="last",
        )
        for decay, swa, warm_up, frequency in itertools.product((2.0, 3.0), (None, 0.5), (1, 2), (1.0, 2.0))
    ]
    done = launch(cells, SETS, store, random.Random(3))
    assert_trained_as_planned(done, cells)
    assert len({key_of(cell, SETS) for cell in cells}) == 16
    assert len(done.trained) < 16 * 4 / 1.5
    random.Random(0).shuffle(cells)
    assert_as_if_alone(cells[:5], store, tmp_path)


@pytest.mark.full
def test_schedules_of_whole_methods(tmp_path):
    """M_A and M_B part, too, and so does everything that is computed from them."""
    store = Store(tmp_path / "store")
    cells = [
        quick(train__decay_factor=factor, joint__frequency=frequency, train__epochs=epochs)
        for factor, frequency, epochs in [(0.5, 1.0, 4), (0.25, 1.0, 4), (0.5, 2.0, 4), (0.5, 1.0, 5)]
    ]
    done = launch(cells, SETS, store, random.Random(4))
    assert_trained_as_planned(done, cells)
    # M_A: three epochs in common, then at two rates; the fifth goes on from the first rate's fourth
    assert done.titles()["M_A"] == 3 + 2 + 1
    assert_as_if_alone(cells[1:], store, tmp_path)


def test_methods_that_are_steps_of_others(tmp_path):
    """The discrete arm's joint training starts as its M_A; the target alone is an M_A, the extra set alone an M_B."""
    store = Store(tmp_path / "store")
    discrete = {"joint__pseudo_va": "none", "joint__extra_part": "subset", "objective__weight_va": 0.0}
    cells = [
        quick(**discrete),
        quick(),
        quick(joint__method="target"),
        quick(joint__method="extra", objective__weight_va=15.0),
        quick(joint__pseudo_va="all", joint__mapping="global"),
    ]
    done = launch(cells, SETS, store, random.Random(5))
    assert_trained_as_planned(done, cells)
    assert len(done.trained) == 4 + 2 + (4 + 4) + 0 + 4 + 4
    assert_as_if_alone(cells[:1], store, tmp_path)


def test_the_discrete_arm_alone_trains_its_warm_up_once(tmp_path):
    """M_A, which selects the subset, is trained on the way to the joint training that starts with its epochs."""
    cell = quick(joint__pseudo_va="none", joint__extra_part="subset", objective__weight_va=0.0)
    done = launch([cell], SETS, Store(tmp_path))
    assert_trained_as_planned(done, [cell])
    assert len(done.trained) == 4 + 2


def test_fine_tuning_and_other_sets(tmp_path):
    """Cells with other sets share what they can: pre-training, and trainings of A."""
    store = Store(tmp_path / "store")
    tuned = Sets(SETS.target, SETS.extras, make_a(seed=3))
    plain, slow = quick(), quick(joint__finetune="C", joint__finetune_rate=0.1)
    launch([plain], SETS, store)
    done = launch([quick(joint__finetune="C"), slow], tuned, store)
    assert done.titles() == {"fine-tuning": 8}
    more = Sets(SETS.target, (*SETS.extras, make_b(count=40, seed=8, with_va=False, name="D")))
    done = launch([quick(joint__extra="B+D")], more, store)
    assert done.titles() == {"joint": 2}  # D gets its VA from the same M_B, and the warm-up is on A alone
    assert_as_if_alone([slow], store, tmp_path, tuned)


@pytest.mark.parametrize("head", [pytest.param("plain", marks=pytest.mark.full), "scn"])
def test_wherever_a_training_is_cut_it_ends_the_same(tmp_path, head):
    """Any epochs may be kept, and training may go on from any of them in another process."""
    cell = quick(
        model__head=head,
        scn__relabel_from=2.0,
        scn__relabel_margin=0.0,
        train__swa_start=0.25,
        selection__weights="swa",
        joint__pseudo_va="all",
        joint__mapping="none",
        joint__relabel=False,
    )
    final = build(cell, SETS)
    epochs = [stage.key for stage in main_chain(final)]
    first = Store(tmp_path / "labels")
    expected = run_cell(cell, SETS, first)
    draw = random.Random(1)
    cuts = [(), epochs, *(draw.sample(epochs[:-1], draw.randint(1, 3)) for _ in range(3))]
    for number, keep in enumerate(cuts):
        store = copy_without(first, tmp_path / str(number), {final.key, *epochs})
        stops = [key for key in epochs[:-1] if key in keep]
        for stop in draw.sample(stops, len(stops)):  # tasks that end there, in any order
            run_task(cell, SETS, stop, keep, store)
        run_task(cell, SETS, final.key, keep, store)
        result = result_of(cell, SETS, store)
        assert result.facts["weights_hash"] == expected.facts["weights_hash"]
        assert same(result.scores, expected.scores)
        assert [timeless(metrics) for metrics in result.history] == [timeless(m) for m in expected.history]
        kept = {key for key in epochs if store.get(key) is not None}
        assert kept == {*keep, epochs[-1]}


def copy_without(store, folder, keys):
    """A store that has everything but these products."""
    (folder / "stages").mkdir(parents=True)
    for product in (store.root / "stages").iterdir():
        if product.name not in keys:
            (folder / "stages" / product.name).symlink_to(product)
    return Store(folder)


SCRIPT = """
import os, signal, sys
import torch
torch.set_num_threads(1)
from raysweep.config.experiment import Experiment
from raysweep.store.store import Store
from raysweep.pipeline import run_cell
from tests.pipeline.test_sharing import SETS

def die(event):
    if event.title == "joint" and event.epoch == 3:
        os.kill(os.getpid(), signal.SIGKILL)

run_cell(Experiment.model_validate_json(sys.argv[1]), SETS, Store(sys.argv[2]), report=die)
"""


@pytest.mark.full
def test_a_process_killed_in_the_joint_training_goes_on_to_the_same_numbers(tmp_path):
    """It dies by SIGKILL right after an epoch that B joined, with SWA and with labels that SCN has changed."""
    cell = quick(
        model__head="scn",
        scn__relabel_from=2.0,
        scn__relabel_margin=0.0,
        train__swa_start=0.25,
        selection__weights="swa",
        joint__unit="batch",
    )
    undisturbed = run_cell(cell, SETS, Store(tmp_path / "a"))
    assert undisturbed.history[2]["fit/relabelled"] > 0
    root = Path(__file__).parents[2]
    killed = subprocess.run(
        [sys.executable, "-c", SCRIPT, cell.model_dump_json(), str(tmp_path / "b")],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
    )
    assert killed.returncode == -9
    events = []
    result = run_cell(cell, SETS, Store(tmp_path / "b"), report=events.append)
    assert [(e.title, e.epoch, e.replayed) for e in events] == [
        ("joint", 1, True),
        ("joint", 2, True),
        ("joint", 3, True),
        ("joint", 4, False),
    ]
    assert result.facts["weights_hash"] == undisturbed.facts["weights_hash"]
    assert same(result.scores, undisturbed.scores)


def test_a_checkpoint_and_a_kept_epoch_the_later_one_counts(tmp_path):
    """A process that dies right after storing an epoch for others has an older checkpoint."""
    cell = quick(joint__method="target")
    store = Store(tmp_path / "a")
    final = build(cell, SETS)
    epochs = main_chain(final)

    class Died(Exception):
        pass

    def die(event):
        if event.epoch == 3:
            raise Died

    with pytest.raises(Died):
        run_task(cell, SETS, final.key, [epochs[2].key], store, report=die)
    assert store.get(epochs[2].key) is not None
    assert torch.load(store.partial_file(epochs[3].key, "fit.pt"), weights_only=True)["epoch"] == 2
    events = []
    run_task(cell, SETS, final.key, [epochs[2].key], store, report=events.append)
    assert [event.epoch for event in events if not event.replayed] == [4]
    assert_as_if_alone([cell], store, tmp_path)
    assert not (store.root / "partial" / epochs[3].key).exists()


def test_a_harmed_epoch_is_trained_again(tmp_path):
    store, cell = Store(tmp_path / "a"), quick(joint__method="target")
    final = build(cell, SETS)
    keep = [stage.key for stage in main_chain(final)]
    run_task(cell, SETS, final.key, keep, store)
    before = result_of(cell, SETS, store)
    for key in (final.key, keep[3], keep[2]):
        file = next(path for path in store.folder(key).iterdir() if path.name != "manifest.json")
        file.write_bytes(file.read_bytes()[:-20])
    (task,) = plan_tasks([build(cell, SETS)], store)
    assert task.epochs == 2
    events = []
    run_task(cell, SETS, task.key, task.keep, store, report=events.append)
    assert [event.epoch for event in events if not event.replayed] == [3, 4]
    assert result_of(cell, SETS, store).facts["weights_hash"] == before.facts["weights_hash"]


def test_an_epoch_of_the_right_size_that_was_altered_is_mended_in_passing(tmp_path):
    """Only its checksum tells, when a training goes on from it: the store has it again, and others go on from it."""
    store, cell = Store(tmp_path / "a"), quick(joint__method="target")
    final = build(cell, SETS)
    keep = [stage.key for stage in main_chain(final)]
    run_task(cell, SETS, final.key, keep, store)
    before = result_of(cell, SETS, store)
    store.drop(final.key)
    for key in keep[1:]:
        file = store.folder(key) / "state.pt"
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 255
        file.write_bytes(content)
    (task,) = plan_tasks([build(cell, SETS)], store)
    assert task.epochs == 0
    run_task(cell, SETS, task.key, task.keep, store)
    assert result_of(cell, SETS, store).facts["weights_hash"] == before.facts["weights_hash"]
    assert all(store.get(key) is not None for key in keep)


def test_a_store_that_was_thinned_out_is_filled_again(tmp_path):
    """Whatever somebody has deleted: the rest is used, the numbers are the same."""
    cells = [
        quick(joint__mapping=mapping, joint__warm_up=warm_up) for mapping in ("global", "none") for warm_up in (1, 2)
    ]
    whole = Store(tmp_path / "whole")
    launch(cells, SETS, whole)
    kept = sorted(path.name for path in (whole.root / "stages").iterdir())
    finals = [key_of(cell, SETS) for cell in cells]
    draw = random.Random(2)
    for number in range(4):
        gone = {*draw.sample(kept, len(kept) // 2), *draw.sample(finals, 2)}
        store = copy_without(whole, tmp_path / str(number), gone)
        done = launch(cells, SETS, store)
        assert len(done.trained) <= len(distinct_epochs(cells))
        for cell in cells:
            ours, theirs = result_of(cell, SETS, store), result_of(cell, SETS, whole)
            assert ours.facts["weights_hash"] == theirs.facts["weights_hash"]
            assert same(ours.scores, theirs.scores)


def test_a_retraining_goes_on_where_it_was_cut_off(tmp_path):
    cell = quick(joint__method="target", selection__protocol="select_then_retrain")

    class Died(Exception):
        pass

    def die(event):
        if event.title == "retraining" and event.epoch == 6:
            raise Died

    with pytest.raises(Died):
        run_cell(cell, SETS, Store(tmp_path / "a"), report=die)
    events = []
    result = run_cell(cell, SETS, Store(tmp_path / "a"), report=events.append)
    chosen = int(result.scores["val/best_epoch"])
    assert chosen >= 2
    numbers = range(5, 5 + chosen)  # they go on from the four epochs that chose
    assert [(e.title, e.epoch, e.replayed) for e in events] == [("retraining", n, n <= 6) for n in numbers]
    alone = run_cell(cell, SETS, Store(tmp_path / "b"))
    assert result.facts["weights_hash"] == alone.facts["weights_hash"]
    assert same(result.scores, alone.scores)
    assert not (tmp_path / "a" / "partial" / key_of(cell, SETS)).exists()


def test_what_is_remembered_is_what_is_read(tmp_path):
    """A product in memory, and the same one from the store."""
    store = Store(tmp_path)
    final = build(quick(), SETS)
    first, again = products(store), products(store)
    for name in ("shown_pseudo", "shown_chosen"):
        ours, theirs = (context.product(final.inputs[name]) for context in (first, again))
        assert ours.dtype == theirs.dtype
        assert ours.numpy().tobytes() == theirs.numpy().tobytes()  # NaN and all
    ours, theirs = (context.product(final.inputs["shown_adapted"]) for context in (first, again))
    assert torch.equal(ours.labels_N, theirs.labels_N)
    assert torch.equal(ours.va_N2, theirs.va_N2)
    assert torch.equal(ours.selected_N, theirs.selected_N)
    assert ours.notes == theirs.notes
    assert ours.va_N2.dtype == theirs.va_N2.dtype == torch.float32


@pytest.mark.parametrize(
    ("chosen", "one", "other"),
    [
        # epochs 4 to 6 are averaged either way; in a retraining of five epochs, epochs 3 to 5 or 4 to 5
        (5, {"train__epochs": 6, "train__swa_start": 0.5}, {"train__epochs": 6, "train__swa_start": 0.65}),
        # labels change from epoch 2 on either way; in a retraining of four epochs, from 1 or from 2
        (
            4,
            {"model__head": "scn", "train__epochs": 5, "scn__relabel_from": 0.3},
            {"model__head": "scn", "train__epochs": 5, "scn__relabel_from": 0.45},
        ),
    ],
    ids=["SWA", "SCN"],
)
def test_retrainings_with_one_key_are_one_retraining(monkeypatch, tmp_path, chosen, one, other):
    """Validation chooses the number of epochs, of which shares are taken."""
    monitor = Trainer._monitor

    def choose(trainer):
        scores = monitor(trainer)
        if scores:
            trainer.best = {**trainer.best, "epoch": min(chosen, trainer.epoch), "weights": trainer.model.state_dict()}
        return scores

    monkeypatch.setattr(Trainer, "_monitor", choose)
    fields = {"joint__method": "target", "selection__protocol": "select_then_retrain", "scn__relabel_margin": 0.0}
    cells = [quick(**fields, **more) for more in (one, other)]
    results = [run_cell(cell, SETS, Store(tmp_path / str(number))) for number, cell in enumerate(cells)]
    one_key = key_of(cells[0], SETS) == key_of(cells[1], SETS)
    one_result = same(results[0].scores, results[1].scores)
    assert one_result or not one_key
