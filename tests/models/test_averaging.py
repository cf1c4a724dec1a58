import copy

import pytest
import torch
from torch import nn

from ganlab.models.averaging import WeightAverage


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)).double()


def walk(module):
    """A step of anything: new weights, and new statistics of the batch norm."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter))
    module.train()(torch.randn(8, 3).double())


def factor(decay, iteration):
    return min(decay, (1 + iteration) / (10 + iteration))


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.999])
def test_the_average_is_the_closed_form_of_its_recursion(decay):
    source = network()
    average = WeightAverage(source, decay)
    states = [copy.deepcopy(source.state_dict())]
    for iteration in range(1, 13):
        walk(source)
        states.append(copy.deepcopy(source.state_dict()))
        average.update(source, iteration)

    # average_T = Σ_t w_t · state_t, with w_t = (1 - β_t) Π_{s > t} β_s and w_0 = Π β_s.
    weights = [1.0 if t == 0 else 1 - factor(decay, t) for t in range(13)]
    for t in range(13):
        for later in range(t + 1, 13):
            weights[t] *= factor(decay, later)
    assert sum(weights) == pytest.approx(1.0)
    for name, averaged in average.network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            assert averaged == states[-1][name] == 12
        else:
            expected = sum(weight * state[name] for weight, state in zip(weights, states, strict=True))
            torch.testing.assert_close(averaged, expected, rtol=1e-10, atol=1e-12, msg=name)


def test_early_on_the_average_forgets_its_random_start():
    source = network()
    average = WeightAverage(source, 0.9999)
    start = source[0].weight.detach().clone()
    for iteration in range(1, 21):
        source[0].weight.data.fill_(5.0)
        average.update(source, iteration)
    share = ((average.network[0].weight - 5.0) / (start - 5.0)).mean().item()
    assert share == pytest.approx(torch.tensor([(1 + t) / (10 + t) for t in range(1, 21)]).prod().item(), rel=1e-5)
    assert share < 1e-3


def test_the_source_is_never_changed_and_the_copy_never_trained():
    source = network()
    average = WeightAverage(source, 0.9)
    before = copy.deepcopy(source.state_dict())
    average.update(source, 1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in source.state_dict().items())
    assert all(parameter.requires_grad for parameter in source.parameters())
    assert not any(parameter.requires_grad for parameter in average.parameters())
    own = {tensor.data_ptr() for tensor in average.network.state_dict().values()}
    assert own.isdisjoint(tensor.data_ptr() for tensor in source.state_dict().values())


def test_it_stays_in_eval_mode_whatever_its_parent_does():
    parent = nn.Module()
    parent.source = network()
    parent.average = WeightAverage(parent.source, 0.9)
    for mode in (True, False, True):
        parent.train(mode)
        assert all(module.training == mode for module in parent.source.modules())
        assert not any(module.training for module in parent.average.modules())


def test_it_follows_after_a_move_to_another_type():
    """Between two fits a model may move between devices, which gives its parameters new tensors."""
    parent = nn.Module()
    parent.source = network()
    parent.average = WeightAverage(parent.source, 0.5)
    parent.average.update(parent.source, 100)
    parent.float()
    parent.source[0].weight.data.add_(1.0)
    expected = (parent.average.network[0].weight + parent.source[0].weight) / 2
    parent.average.update(parent.source, 100)
    torch.testing.assert_close(parent.average.network[0].weight, expected.detach())


def test_it_goes_on_from_a_saved_state():
    def run(until, state=None, start=1):
        torch.manual_seed(5)
        source = network()
        average = WeightAverage(source, 0.9)
        if state is not None:
            average.load_state_dict(state)
        for iteration in range(1, until + 1):
            walk(source)
            if iteration >= start:
                average.update(source, iteration)
        return average.state_dict()

    whole, half = run(8), run(4)
    resumed = run(8, half, start=5)
    assert all(torch.equal(resumed[name], tensor) for name, tensor in whole.items())
