import errno
import os
import time
from pathlib import Path

import pytest
import torch

from ganlab import __version__
from ganlab.callbacks import checkpoints as module
from ganlab.callbacks.checkpoints import LAST, AtomicCheckpointIO, Checkpoints
from ganlab.callbacks.finite import FiniteGuard
from ganlab.counting import Phase
from ganlab.errors import OutputError, TrainingError
from ganlab.models.gan import GAN

CONFIG = {"model": {"name": "tiny", "latent_dim": 3}, "data": {"name": "tiny"}, "seed": 5}
ADAM = {"algorithm": "adam", "lr": 1e-3, "betas": [0.5, 0.9]}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoints"


@pytest.fixture
def run(make_gan, tiny_data, fit, folder):
    """run(max_iterations, every=…, keep=…): trains with checkpoints and returns the model."""

    def trained(total, every=4, keep=2, start=0, spoil=None, **options):
        model = make_gan(max_iterations=total, **options)
        model.iteration = start
        if spoil is not None:
            spoil(model)
        guard = FiniteGuard(1000)
        callback = Checkpoints(folder, every=every, keep=keep, max_iterations=total, config=CONFIG, guard=guard)
        data = tiny_data(4 * model.discriminator_updates * model.accumulate)
        fit(model, data, guard, callback, plugins=[AtomicCheckpointIO()])
        return model

    return trained


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def load(path):
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize("updates", [1, 5])
def test_they_come_by_the_count_of_iterations(run, folder, updates):
    run(12, every=4, keep=9, discriminator_updates=updates)
    assert names(folder) == ["iteration_000004.ckpt", "iteration_000008.ckpt", "iteration_000012.ckpt", LAST]
    for count in (4, 8, 12):
        assert load(folder / f"iteration_{count:06d}.ckpt")["iteration"] == count
    assert (folder / LAST).samefile(folder / "iteration_000012.ckpt")


def test_the_end_is_saved_too_and_the_newest_stay(run, folder):
    run(10, every=4, keep=2)
    assert names(folder) == ["iteration_000008.ckpt", "iteration_000010.ckpt", LAST]
    assert load(folder / LAST)["iteration"] == 10


def test_without_an_interval_only_the_end_is_saved(run, folder):
    run(5, every=None, keep=1)
    assert names(folder) == ["iteration_000005.ckpt", LAST]


def test_a_seventh_digit_does_not_confuse_what_is_newest(run, folder):
    run(1_000_004, every=2, keep=2, start=999_996)
    assert names(folder) == ["iteration_1000002.ckpt", "iteration_1000004.ckpt", LAST]
    assert load(folder / LAST)["iteration"] == 1_000_004


def test_what_a_run_saves_is_not_pruned_for_later_ones_of_before(run, folder):
    """A run that goes on from an earlier checkpoint finds those of a future that it has left."""
    folder.mkdir()
    (folder / "iteration_000900.ckpt").write_bytes(b"later")
    run(6, every=2, keep=1)
    assert names(folder) == ["iteration_000006.ckpt", "iteration_000900.ckpt", LAST]
    assert load(folder / LAST)["iteration"] == 6


def test_a_checkpoint_holds_all_that_training_needs_as_plain_data(run, folder):
    model = run(3, ema_decay=0.9, optimizer={**ADAM, "warmup_iterations": 2}, seed=5)
    saved = load(folder / LAST)
    assert saved["iteration"] == 3
    assert saved["seed"] == 5
    assert saved["ganlab"]["version"] == __version__
    assert saved["ganlab"]["config"] == CONFIG
    assert len(saved["optimizer_states"]) == 2
    for state, network in zip(saved["optimizer_states"], (model.generator, model.discriminator), strict=True):
        assert [tuple(moments["exp_avg"].shape) for moments in state["state"].values()] == [
            tuple(parameter.shape) for parameter in network.parameters()
        ]
        assert {int(moments["step"]) for moments in state["state"].values()} == {3}
    assert [schedule["last_epoch"] for schedule in saved["lr_schedulers"]] == [3, 3]
    for name, weight in model.state_dict().items():
        assert torch.equal(saved["state_dict"][name], weight)
    averaged = [name for name in saved["state_dict"] if name.startswith("generator_ema.network.")]
    assert len(averaged) == len(list(model.generator.state_dict()))


def test_a_nan_is_never_saved(run, folder):
    def spoil(model):
        update = model.after_discriminator_update

        def poisoned():
            update()
            if model.iteration == 6:
                model.discriminator.layers[0].weight.data[0, 0] = float("nan")

        model.after_discriminator_update = poisoned

    with pytest.raises(TrainingError, match=r"loss/generator is not a finite number \(nan\) at iteration 7"):
        run(12, every=4, spoil=spoil)
    assert names(folder) == ["iteration_000004.ckpt", LAST]
    assert load(folder / LAST)["iteration"] == 4
    assert all(bool(weight.isfinite().all()) for weight in load(folder / LAST)["state_dict"].values())


PHASES = (Phase("first", 0, 3), Phase("second", 3, 8), Phase("last_one", 8, 10))


def test_the_end_of_each_phase_is_kept_under_its_name(run, folder, monkeypatch):
    """Between them by the interval, and of those the newest."""
    monkeypatch.setattr(GAN, "phases", PHASES)
    monkeypatch.setattr(GAN, "phase", None)
    run(10, every=4, keep=2)
    assert names(folder) == sorted(
        ["first.ckpt", "second.ckpt", "last_one.ckpt", "iteration_000008.ckpt", "iteration_000010.ckpt", LAST]
    )
    for phase in PHASES:
        assert load(folder / f"{phase.name}.ckpt")["iteration"] == phase.last
    assert (folder / LAST).samefile(folder / "last_one.ckpt")


def test_the_same_iteration_is_not_written_twice(run, folder, monkeypatch):
    written = []
    save = AtomicCheckpointIO.save_checkpoint
    monkeypatch.setattr(
        AtomicCheckpointIO,
        "save_checkpoint",
        lambda self, data, path, *a, **k: (written.append(path.name), save(self, data, path)),
    )
    run(4, every=4)
    assert written == ["iteration_000004.ckpt"]


def test_where_links_cannot_be_made_last_is_a_copy(run, folder, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(module.os, "link", refuse)
    run(6, every=3, keep=1)
    assert names(folder) == ["iteration_000006.ckpt", LAST]
    assert load(folder / LAST)["iteration"] == 6
    assert not (folder / LAST).samefile(folder / "iteration_000006.ckpt")


@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0"),
    ],
    ids=["ENOSPC", "torch's word for it"],
)
def test_a_full_disk_leaves_the_old_file_whole(tmp_path, monkeypatch, failure):
    path, writer = tmp_path / "x.ckpt", AtomicCheckpointIO()
    writer.save_checkpoint({"weights": torch.arange(3)}, path)
    before = path.read_bytes()

    def half(checkpoint, file):
        file.write(before[: len(before) // 2])
        raise failure

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OutputError, match=r"x\.ckpt: cannot be written \(.*\); what was there before is intact"):
        writer.save_checkpoint({"weights": torch.zeros(3)}, path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert names(tmp_path) == ["x.ckpt"]
    assert load(path)["weights"].tolist() == [0, 1, 2]


def test_a_fault_of_the_program_is_not_taken_for_a_full_disk(tmp_path, monkeypatch):
    def broken(checkpoint, file):
        raise RuntimeError("something else")

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(RuntimeError, match="something else"):
        AtomicCheckpointIO().save_checkpoint({}, tmp_path / "x.ckpt")
    assert names(tmp_path) == []


def test_the_file_appears_under_its_name_only_when_it_is_complete(tmp_path, monkeypatch):
    path, seen = tmp_path / "x.ckpt", []
    replace = os.replace

    def watched(source, target):
        seen.append((path.exists(), load(source)["n"], os.path.dirname(source) == str(tmp_path)))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    AtomicCheckpointIO().save_checkpoint({"n": 7}, path)
    assert seen == [(False, 7, True)]
    assert load(path)["n"] == 7


def test_reading_runs_no_code_of_the_files(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (time.sleep, (0,))

    torch.save({"state": Harmful()}, tmp_path / "x.ckpt")
    with pytest.raises(Exception, match=r"[Ww]eights"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "x.ckpt", weights_only=False)


def test_last_is_named_after_all_else_that_belongs_to_its_iteration(run, folder, monkeypatch):
    """A run that is killed in between goes on from the one before, and makes the rest again."""
    monkeypatch.setattr(GAN, "phases", PHASES)
    monkeypatch.setattr(GAN, "phase", None)
    order = []
    replace = os.replace
    monkeypatch.setattr(
        os, "replace", lambda source, target: (order.append(Path(target).name), replace(source, target))
    )
    run(3, every=10)
    assert order == ["iteration_000003.ckpt", "first.ckpt", LAST]


def test_a_name_for_which_there_is_no_room_leaves_the_old_one(run, folder, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    run(4, every=4)
    monkeypatch.setattr(module.os, "link", full)
    monkeypatch.setattr(module.shutil, "copyfileobj", full)
    with pytest.raises(OutputError, match=r"last\.ckpt: cannot be written \(No space left on device\)"):
        run(8, every=4, start=4)
    assert load(folder / LAST)["iteration"] == 4
    assert not [name for name in names(folder) if name.endswith(".tmp")]
