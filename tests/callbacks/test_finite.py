from math import nan
from types import SimpleNamespace

import pytest
import torch
from lightning import Callback
from torch import nn

from ganlab.callbacks.checkpoints import AtomicCheckpointIO, Checkpoints
from ganlab.callbacks.finite import FiniteGuard, NotFinite


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("player", ["generator", "discriminator"])
@pytest.mark.parametrize("at", [1, 3, 5, 6])
def test_it_names_the_term_and_the_iteration_where_it_began(make_gan, tiny_data, fit, spoiled, at, player, value):
    """Losses are read at iterations 5 and 10 only."""
    model = spoiled(make_gan(max_iterations=10), at, value, player)
    with pytest.raises(NotFinite) as stopped:
        fit(model, tiny_data(), FiniteGuard(5))
    said, _, told = str(stopped.value).partition(" (")
    assert said == f"loss/{player} is not a finite number"
    # The sum of two infinite terms of opposite sign, or of an infinite one and its opposite, is a NaN.
    assert told in (f"{value:g}) at iteration {at}", f"nan) at iteration {at}")
    assert stopped.value.remedy == "try a lower learning rate"
    assert model.iteration == (5 if at <= 5 else 10)


def test_it_names_the_rows_of_the_batch(make_gan, points, fit, spoiled):
    seen = []

    class Watch(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            seen.append([int((data.source.points == sample).all(1).nonzero()[0, 0]) for sample in batch.samples])

    data = points(updates=2)
    model = spoiled(make_gan(max_iterations=10, discriminator_updates=2), 4)
    with pytest.raises(NotFinite) as stopped:
        fit(model, data, FiniteGuard(5), Watch())
    rows = ", ".join(map(str, seen[3][:8]))
    assert str(stopped.value) == (
        "loss/generator is not a finite number (nan) at iteration 4, "
        f"in the batch of training samples {rows}, … (16 in all)"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_sample_that_is_no_number_is_told_as_data(make_gan, points, fit, value):
    """Its loss may be finite still, and that of an iteration later not."""
    data = points(bad=17, value=value)
    visited = 1 + next(i for i, batch in enumerate(data.train_dataloader()) if not batch.samples.isfinite().all())
    assert 1 < visited < 5
    with pytest.raises(NotFinite) as stopped:
        fit(make_gan(max_iterations=10), data, FiniteGuard(5))
    assert str(stopped.value) == (
        f"the data are not finite: sample 17 of the training split holds {value:g}, in iteration {visited}"
    )
    assert stopped.value.remedy == "mend or leave out that sample"


def test_finite_losses_pass_and_are_forgotten(make_gan, tiny_data, fit):
    guard, held = FiniteGuard(3), []

    class Watch(Callback):
        def on_train_batch_end(self, *arguments):
            held.append(len(guard._unread))

    fit(make_gan(max_iterations=7), tiny_data(), guard, Watch())
    assert max(held) <= 4 * 2
    assert held[2] == held[5] == 0


class Strategy:
    """One process among several: `others` is whether they have seen something."""

    def __init__(self, others):
        self.others = others

    def reduce_boolean_decision(self, decision, all):
        assert not all
        return decision or self.others


def process(others, rank=0):
    return SimpleNamespace(strategy=Strategy(others), world_size=2, global_rank=rank)


def one_reading(loss, others):
    guard = FiniteGuard(1)
    outputs = {"loss/x": torch.tensor(loss), "score/y": torch.tensor(float("nan"))}
    guard.on_train_batch_end(process(others), SimpleNamespace(iteration=4), outputs, None, 0)


def test_every_process_stops_if_one_has_seen_a_nan_and_says_the_same(monkeypatch):
    told = (0, "loss/z is not a finite number (nan) at iteration 3", "mend it")

    def gather(found, own):
        found[:] = [own, told]

    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    one_reading(1.0, others=False)
    with pytest.raises(
        NotFinite, match=r"^loss/z is not a finite number \(nan\) at iteration 3, on process 1$"
    ) as seen:
        one_reading(1.0, others=True)
    assert seen.value.remedy == "mend it"
    with pytest.raises(NotFinite, match=r"^loss/x is not a finite number \(inf\) at iteration 4, on process 0$"):
        one_reading(float("inf"), others=True)


@pytest.mark.parametrize(
    ("own", "place", "first"), [([1.0, nan], 0, 1), ([1.0, nan], 2, 0), ([nan, nan], 0, 0), ([nan], -1, 1)]
)
def test_of_what_several_processes_have_seen_the_first_is_told(monkeypatch, own, place, first):
    """A gradient that is no number is soon everyone's, and so is what follows from it."""

    def gather(found, told):
        found[:] = [told, (place, "loss/z of another process", "mend it")]

    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    guard = FiniteGuard(1)
    outputs = {f"loss/{number}": torch.tensor(value) for number, value in enumerate(own)}
    with pytest.raises(NotFinite, match=f", on process {first}$"):
        guard.on_train_batch_end(process(True), SimpleNamespace(iteration=4), outputs, None, 0)


ALONE = SimpleNamespace(strategy=Strategy(False), world_size=1)


def test_a_weight_that_is_not_finite_is_refused_by_name():
    guard = FiniteGuard(100)
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    model.iteration = 17
    assert guard.allows_saving(ALONE, model)
    model[1].running_var[1] = float("nan")
    with pytest.raises(NotFinite, match=r"the weight 1\.running_var is not a finite number after iteration 17"):
        guard.allows_saving(ALONE, model)


def test_before_a_weight_is_judged_the_unread_losses_are():
    """The loss says where it began; the weight only that it has spread."""
    guard, model = FiniteGuard(100), nn.Linear(2, 2)
    model.iteration = 3
    guard.on_train_batch_end(ALONE, model, {"loss/generator": torch.tensor(float("nan"))}, None, 0)
    model.iteration = 4
    model.weight.data.fill_(float("nan"))
    with pytest.raises(NotFinite, match=r"loss/generator is not a finite number \(nan\) at iteration 3"):
        guard.allows_saving(ALONE, model)


def test_what_an_optimizer_keeps_is_judged_before_saving_too(make_gan, tiny_data, fit, tmp_path):
    """A gradient whose square overflows leaves the weights finite, and Adam with a moment that never ends."""
    adam = {"algorithm": "adam", "lr": 1e-3, "betas": [0.5, 0.9]}
    model = make_gan(max_iterations=3, optimizer=adam)
    term = model.generator_term
    model.generator_term = lambda scores: term(scores) * (1e26 if model.iteration == 2 else 1.0)
    guard = FiniteGuard(100)
    saving = Checkpoints(tmp_path, every=None, keep=1, max_iterations=3, config={}, guard=guard)
    with pytest.raises(
        NotFinite, match=r"moments of the gradient that generator's optimizer keeps .* after iteration 3"
    ):
        fit(model, tiny_data(), guard, saving, plugins=[AtomicCheckpointIO()])
    assert all(bool(weight.isfinite().all()) for weight in model.state_dict().values())
    assert list(tmp_path.iterdir()) == []
