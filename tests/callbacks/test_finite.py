from types import SimpleNamespace

import pytest
import torch
from lightning import Callback
from torch import nn

from ganlab.callbacks.finite import FiniteGuard
from ganlab.errors import TrainingError


def spoiled(model, at, value=float("nan"), player="generator"):
    """The model, with a loss of one player that is not finite in iteration `at`."""

    def factor():
        return value if model.iteration == at - 1 else 1.0

    if player == "generator":
        term = model.generator_term
        model.generator_term = lambda scores: term(scores) * factor()
    else:
        terms = model.discriminator_terms
        model.discriminator_terms = lambda real, fake: tuple(term * factor() for term in terms(real, fake))
    return model


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("player", ["generator", "discriminator"])
@pytest.mark.parametrize("at", [1, 3, 5, 6])
def test_it_names_the_term_and_the_iteration_where_it_began(make_gan, tiny_data, fit, at, player, value):
    """Losses are read at iterations 5 and 10 only."""
    model = spoiled(make_gan(max_iterations=10), at, value, player)
    with pytest.raises(TrainingError, match=f"^loss/{player} is not a finite number at iteration {at}$"):
        fit(model, tiny_data(), FiniteGuard(5))
    assert model.iteration == (5 if at <= 5 else 10)


def test_finite_losses_pass_and_are_forgotten(make_gan, tiny_data, fit):
    guard, held = FiniteGuard(3), []

    class Watch(Callback):
        def on_train_batch_end(self, *arguments):
            held.append(len(guard._unread))

    fit(make_gan(max_iterations=7), tiny_data(), guard, Watch())
    assert max(held) <= 4 * 2
    assert held[2] == held[5] == 0


class Strategy:
    """One process among several: `others` is what they have seen."""

    def __init__(self, others):
        self.others = others

    def reduce_boolean_decision(self, decision, all):
        assert not all
        return decision or self.others


def one_reading(loss, others):
    guard = FiniteGuard(1)
    trainer = SimpleNamespace(strategy=Strategy(others))
    guard.on_train_batch_end(
        trainer,
        SimpleNamespace(iteration=4),
        {"loss/x": torch.tensor(loss), "score/y": torch.tensor(float("nan"))},
        None,
        0,
    )


def test_every_process_stops_if_one_has_seen_a_nan():
    one_reading(1.0, others=False)
    with pytest.raises(TrainingError, match="a loss of another process"):
        one_reading(1.0, others=True)
    with pytest.raises(TrainingError, match="loss/x is not a finite number at iteration 4"):
        one_reading(float("inf"), others=True)


def test_a_weight_that_is_not_finite_is_refused_by_name():
    guard, trainer = FiniteGuard(100), SimpleNamespace(strategy=Strategy(False))
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    model.iteration = 17
    guard.verify(trainer, model)
    model[1].running_var[1] = float("nan")
    with pytest.raises(TrainingError, match=r"the weight 1\.running_var is not a finite number after iteration 17"):
        guard.verify(trainer, model)
    model[1].running_var[1] = 1.0
    trainer.strategy.others = True
    with pytest.raises(TrainingError, match="of another process"):
        guard.verify(trainer, model)


def test_before_a_weight_is_judged_the_unread_losses_are():
    """The loss says where it began; the weight only that it has spread."""
    guard, trainer = FiniteGuard(100), SimpleNamespace(strategy=Strategy(False))
    model = nn.Linear(2, 2)
    model.iteration = 3
    guard.on_train_batch_end(trainer, model, {"loss/generator": torch.tensor(float("nan"))}, None, 0)
    model.iteration = 4
    model.weight.data.fill_(float("nan"))
    with pytest.raises(TrainingError, match="loss/generator is not a finite number at iteration 3"):
        guard.verify(trainer, model)
