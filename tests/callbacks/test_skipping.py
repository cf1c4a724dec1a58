import json

import pytest
import torch
from lightning import Callback
from lightning.pytorch.loggers import CSVLogger

from ganlab.callbacks.checkpoints import AtomicCheckpointIO, Checkpoints
from ganlab.callbacks.finite import NotFinite
from ganlab.callbacks.skipping import SkippingGuard

ADAM = {"algorithm": "adam", "lr": 2e-3, "betas": [0.5, 0.9]}


class States(Callback):
    """Weights, averages, buffers and moments after each iteration."""

    def __init__(self):
        self.weights, self.moments = [], []

    def on_train_batch_end(self, trainer, pl_module, *arguments):
        self.weights.append({name: value.clone() for name, value in pl_module.state_dict().items()})
        self.moments.append(
            [
                {key: torch.as_tensor(value).clone() for key, value in state.items()}
                for optimizer in trainer.optimizers
                for state in optimizer.state.values()
            ]
        )


def test_an_update_with_a_loss_that_is_no_number_is_as_if_it_had_not_been(make_gan, tiny_data, fit, spoiled, capsys):
    model = spoiled(make_gan(max_iterations=6, optimizer=ADAM, ema_decay=0.9), 4)
    guard, states = SkippingGuard(2, most=5), States()
    fit(model, tiny_data(), guard, states)
    before, after, later = states.weights[2], states.weights[3], states.weights[4]
    for name in before:
        moved = not torch.equal(before[name], after[name])
        assert moved == name.startswith("discriminator"), name
        assert bool(after[name].isfinite().all())
        assert not torch.equal(after[name], later[name]), name
    count = len(list(model.generator.parameters()))
    for one, other in zip(states.moments[2][:count], states.moments[3][:count], strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)
    assert (guard.skipped, guard.in_a_row, model.iteration) == (1, 0, 6)
    line = "warning: loss/generator is not a finite number (nan) at iteration 4: the update is skipped"
    assert capsys.readouterr().err.count(line) == 1


def test_without_a_fault_the_weights_are_those_of_a_run_that_does_not_look(make_gan, tiny_data, fit):
    runs = []
    for guard in ([], [SkippingGuard(2, most=5)]):
        model = make_gan(max_iterations=6, optimizer=ADAM, ema_decay=0.9)
        fit(model, tiny_data(), *guard)
        runs.append(model.state_dict())
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])


def test_a_gradient_that_is_no_number_is_named_by_network_and_parameter(make_gan, points, fit, capsys):
    model = make_gan(max_iterations=4)
    weight = model.discriminator.layers[0].weight

    weight.register_hook(lambda gradient: gradient * float("inf") if model.iteration == 1 else gradient)
    guard = SkippingGuard(2, most=5)
    fit(model, points(), guard)
    said = capsys.readouterr().err
    assert "the gradient of discriminator's layers.0.weight is not a finite number (" in said
    assert " at iteration 2, in the batch of training samples " in said
    assert guard.skipped == 1
    assert all(bool(value.isfinite().all()) for value in model.state_dict().values())


def test_a_batch_that_holds_no_numbers_is_told_as_data(make_gan, points, fit, capsys):
    model, guard = make_gan(max_iterations=6), SkippingGuard(2, most=5)
    fit(model, points(bad=17), guard)
    assert (
        "the data are not finite: sample 17 of the training split holds nan, in iteration " in capsys.readouterr().err
    )
    assert guard.skipped >= 1
    assert all(bool(value.isfinite().all()) for value in model.state_dict().values())


def test_a_batch_that_holds_no_numbers_spoils_no_statistics(make_gan, tiny_data, fit):
    """Batch norm takes each batch into its running statistics, whatever becomes of the update."""
    data = tiny_data(shape=(1, 16, 16))
    data.batches[1].samples[0, 0, 0, 0] = float("nan")
    model = make_gan(shape=(1, 16, 16), networks="dcgan", max_iterations=3, ema_decay=0.9)
    statistics = [name for name in model.state_dict() if name.startswith("disc") and name.endswith("running_mean")]
    assert statistics
    states = States()
    fit(model, data, SkippingGuard(2, most=5), states)
    first, second, third = states.weights
    for name in statistics:
        assert torch.equal(first[name], second[name])
        assert not torch.equal(second[name], third[name])
    assert all(bool(value.isfinite().all()) for value in third.values())


@pytest.mark.parametrize("most", [0, 3])
def test_too_many_in_a_row_end_the_run(make_gan, tiny_data, fit, spoiled, most):
    model = spoiled(make_gan(max_iterations=20), range(5, 21))
    with pytest.raises(NotFinite, match=rf"\(nan\) at iteration {5 + most}; {most} iterations before it were skipped"):
        fit(model, tiny_data(), SkippingGuard(2, most=most))


def test_the_count_goes_on_where_a_run_stopped(make_gan, tiny_data, fit, spoiled, tmp_path):
    def run(total, start=0, path=None):
        model = spoiled(make_gan(max_iterations=total), [2, 3, 5])
        model.iteration = start
        guard = SkippingGuard(1, most=5)
        saving = Checkpoints(tmp_path / "c", every=3, keep=9, max_iterations=total, config={}, guard=guard)
        fit(model, tiny_data(start=start), guard, saving, ckpt_path=path, plugins=[AtomicCheckpointIO()])
        return guard, model

    whole, model = run(6)
    path = tmp_path / "c" / "iteration_000003.ckpt"
    state = torch.load(path, weights_only=True)["not_finite"]
    assert state == {"skipped": 2, "in_a_row": 2}
    assert json.dumps(state)
    again, resumed = run(6, start=3, path=path)
    assert (again.skipped, whole.skipped) == (3, 3)
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in model.state_dict().items())


def test_skipped_updates_are_logged(make_gan, tiny_data, fit, spoiled, tmp_path):
    model = spoiled(make_gan(max_iterations=6), [2, 3])
    fit(model, tiny_data(), SkippingGuard(2, most=5), logger=CSVLogger(str(tmp_path), flush_logs_every_n_steps=1))
    rows = next(tmp_path.rglob("metrics.csv")).read_text().splitlines()
    assert [row.split(",")[rows[0].split(",").index("guard/skipped")] for row in rows[1:]] == ["1.0", "2.0", "2.0"]
