import pytest
import torch
from lightning import Callback

from ganlab.callbacks.checkpoints import AtomicCheckpointIO, Checkpoints
from ganlab.callbacks.finite import NotFinite
from ganlab.callbacks.rollback import LOOK, RollingBackGuard
from ganlab.callbacks.signals import EndOnSignal, Interrupted

ADAM = {"algorithm": "adam", "lr": 2e-3, "betas": [0.5, 0.9]}
COSINE = {**ADAM, "schedule": "cosine"}


@pytest.fixture
def run(make_gan, tiny_data, fit, spoiled, tmp_path):
    """run(bad, start=…): trains with a checkpoint every 4 iterations; returns the model, the guard and the trainer."""

    def trained(bad, total=12, start=0, path=None, every=4, keep=9, most=3, optimizer=COSINE, folder="run", extra=()):
        model = spoiled(make_gan(max_iterations=total, optimizer=optimizer, ema_decay=0.9), bad)
        model.iteration = start
        guard = RollingBackGuard(1, factor=0.5, most=most)
        saving = Checkpoints(tmp_path / folder, every=every, keep=keep, max_iterations=total, config={}, guard=guard)
        callbacks = [guard, *(make(saving) for make in extra), saving]
        data = tiny_data(start=start)
        trainer = fit(model, data, *callbacks, ckpt_path=path, plugins=[AtomicCheckpointIO()])
        return model, guard, trainer

    return trained


def load(path):
    return torch.load(path, weights_only=True)


def test_the_state_goes_back_and_the_count_goes_on(run, tmp_path, capsys):
    """A NaN at iteration 6 is seen at the checkpoint after iteration 8, which then has the state of that after 4."""
    model, guard, _ = run(6)
    good, back, last = (load(tmp_path / "run" / f"iteration_{count:06d}.ckpt") for count in (4, 8, 12))
    assert [saved["iteration"] for saved in (good, back, last)] == [4, 8, 12]
    for name, value in good["state_dict"].items():
        assert torch.equal(value, back["state_dict"][name]), name
        assert bool(last["state_dict"][name].isfinite().all())
    assert not torch.equal(
        last["state_dict"]["generator.layers.0.weight"], good["state_dict"]["generator.layers.0.weight"]
    )
    for one, other in zip(good["optimizer_states"], back["optimizer_states"], strict=True):
        assert all(
            torch.equal(one["state"][index]["exp_avg"], other["state"][index]["exp_avg"]) for index in one["state"]
        )
    assert (guard.times, model.iteration) == (1, 12)
    said = capsys.readouterr().err
    assert "warning: loss/generator is not a finite number (nan) at iteration 6: rolled back to the state of" in said
    assert "of iteration 4, learning rates times 0.5, after iteration 8 (1 of 3 times)" in said


def test_learning_rates_are_lower_from_then_on_along_their_schedules(run):
    _, _, trainer = run(99)
    whole = [config.scheduler for config in trainer.lr_scheduler_configs]
    _, _, trainer = run([6, 10], folder="other")
    for plain, slower in zip(whole, (config.scheduler for config in trainer.lr_scheduler_configs), strict=True):
        assert slower.base_lrs == [rate / 4 for rate in plain.base_lrs]
        assert slower.get_last_lr() == pytest.approx([rate / 4 for rate in plain.get_last_lr()])
    _, _, trainer = run(6, optimizer=ADAM, folder="constant")
    assert [group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups] == [1e-3, 1e-3]


def test_before_the_first_checkpoint_it_goes_back_to_the_beginning(run, tmp_path, make_gan):
    run(2)
    back = load(tmp_path / "run" / "iteration_000004.ckpt")["state_dict"]
    assert all(torch.equal(value, back[name]) for name, value in make_gan(ema_decay=0.9).state_dict().items())


def test_after_so_many_times_the_run_ends_and_no_nan_is_kept(run, tmp_path):
    with pytest.raises(NotFinite, match=r"at iteration 9; it was rolled back 1 times before"):
        run(range(5, 13), most=1)
    kept = sorted((tmp_path / "run").glob("*.ckpt"))
    assert [path.name for path in kept] == [*(f"iteration_{count:06d}.ckpt" for count in (0, 4, 8)), "last.ckpt"]
    for path in kept:
        assert all(bool(value.isfinite().all()) for value in load(path)["state_dict"].values())


def test_without_checkpoints_losses_are_read_all_the_same(run):
    model, guard, _ = run(6, total=LOOK + 2, every=None)
    assert guard.times == 1
    assert all(bool(value.isfinite().all()) for value in model.state_dict().values())


@pytest.mark.parametrize("killed_at", [8, 4])
def test_a_run_that_goes_on_is_the_one_that_was_never_stopped(run, tmp_path, killed_at):
    """From the checkpoint after the fault, and from that before it: then it is met again."""
    whole, _, _ = run([6, 10])
    path = tmp_path / "run" / f"iteration_{killed_at:06d}.ckpt"
    resumed, guard, _ = run([6, 10], start=killed_at, path=path)
    assert guard.times == 2
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())


@pytest.mark.parametrize("stopped_at", [5, 7])
def test_a_signal_between_changes_nothing(run, tmp_path, stopped_at):
    """Before the fault it saves, and that is no state to go back to; after it, it saves nothing."""

    def ending(saving):
        end = EndOnSignal(saving, 1)
        batch_end = end.on_train_batch_end

        def at(trainer, pl_module, *arguments):
            end.received = 15 if pl_module.iteration == stopped_at else 0
            batch_end(trainer, pl_module, *arguments)

        end.on_train_batch_end = at
        return end

    whole, _, _ = run(6, folder="whole")
    with pytest.raises(Interrupted):
        run(6, keep=1, extra=[ending])
    last = load(tmp_path / "run" / "last.ckpt")
    assert last["iteration"] == (5 if stopped_at == 5 else 4)
    resumed, guard, _ = run(6, start=last["iteration"], path=tmp_path / "run" / "last.ckpt", keep=1)
    assert guard.times == 1
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())


@pytest.mark.parametrize("asked_at", [5, 7])
def test_a_checkpoint_that_something_else_asks_for_changes_nothing(run, asked_at):
    """The best score's, for instance: a fault is answered where it would be without it."""
    kept = []

    def asking(saving):
        ask = Callback()

        def at(trainer, pl_module, *arguments):
            if pl_module.iteration == asked_at:
                kept.append(saving.save(trainer, pl_module))

        ask.on_train_batch_end = at
        return ask

    whole, _, _ = run(6, folder="whole")
    again, guard, _ = run(6, extra=[asking])
    assert kept == [asked_at == 5]
    assert guard.times == 1
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in whole.state_dict().items())
