"""Historical averaging against the mean of weights that were written down."""

import copy

import pytest
import torch
from torch import nn

from ganlab.models.history import History


def trained(network, steps, seed=0):
    """The network after each of a few random steps, and the history that followed it."""
    history, seen = History(network), []
    random = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += torch.randn(parameter.shape, generator=random, dtype=parameter.dtype)
        history.update(list(network.parameters()))
        seen.append(copy.deepcopy(list(network.parameters())))
    return history, seen


def test_the_mean_is_over_all_updates_and_the_penalty_the_squared_distance_from_it():
    torch.manual_seed(0)
    network = nn.Linear(3, 2).double()
    history, seen = trained(network, 7)
    assert history.count == 7
    expected = 0.0
    for index, parameter in enumerate(network.parameters()):
        mean = torch.stack([weights[index].detach() for weights in seen]).mean(0)
        torch.testing.assert_close(history.means[index], mean)
        expected += float((parameter.detach() - mean).square().sum())
    penalty = history.penalty(list(network.parameters()))
    assert float(penalty.detach()) == pytest.approx(expected, rel=1e-12)
    penalty.backward()
    for parameter, mean in zip(network.parameters(), history.means, strict=True):
        torch.testing.assert_close(parameter.grad, 2 * (parameter.detach() - mean))


def test_before_the_first_update_nothing_pulls():
    network = nn.Linear(3, 2)
    assert History(network).penalty(list(network.parameters())) == 0


def test_it_is_part_of_the_state_and_of_no_optimizer():
    network = nn.Linear(3, 2)
    history, _ = trained(network, 3)
    assert not list(history.parameters())
    other = History(nn.Linear(3, 2))
    other.load_state_dict(history.state_dict())
    assert other.count == 3 and torch.equal(other.means[0], history.means[0])
