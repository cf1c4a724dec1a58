"""Two real processes; the oracle is torch's own DistributedDataParallel, or arithmetic."""

import copy

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ganlab.models.between_ranks import average_gradients, share_buffers, share_state
from two_processes import on_two_ranks


def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3)).double()


def test_gradients_are_those_of_torchs_wrapper():
    def both(rank):
        batch = torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(rank), dtype=torch.float64)
        own, wrapped = network().to(memory_format=torch.channels_last), DistributedDataParallel(network())
        own(batch).square().mean().backward()
        alone = [parameter.grad.clone() for parameter in own.parameters()]
        average_gradients(own.parameters())
        wrapped(batch).square().mean().backward()
        return alone, [p.grad for p in own.parameters()], [p.grad for p in wrapped.module.parameters()]

    (alone, first, oracle), (_, second, _) = on_two_ranks(both)
    for own, other, expected in zip(first, second, oracle, strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-12, atol=1e-14)
        assert torch.equal(own, other)
    assert not torch.allclose(alone[-1], first[-1])


def test_what_has_no_gradient_stays_without_and_types_do_not_mix():
    def averaged(rank):
        parameters = [
            nn.Parameter(torch.zeros(2, dtype=kind)) for kind in (torch.float32, torch.float64, torch.float32)
        ]
        unused = nn.Parameter(torch.zeros(3))
        for factor, parameter in enumerate(parameters, start=1):
            parameter.grad = torch.full_like(parameter, factor * (rank + 1.0))
        average_gradients([parameters[0], unused, *parameters[1:]])
        return [parameter.grad for parameter in parameters], unused.grad

    for gradients, unused in on_two_ranks(averaged):
        assert [gradient.tolist() for gradient in gradients] == [[1.5, 1.5], [3.0, 3.0], [4.5, 4.5]]
        assert gradients[1].dtype is torch.float64 and unused is None


def test_buffers_become_those_of_the_first_rank():
    def shared(rank):
        module = network()
        before = copy.deepcopy(dict(module.named_parameters()))
        for _ in range(rank + 1):
            module(torch.randn(5, 1, 4, 4, dtype=torch.float64))
        own = {name: buffer.clone() for name, buffer in module.named_buffers()}
        share_buffers(module)
        kept = all(torch.equal(before[name], value) for name, value in module.named_parameters())
        return own, dict(module.named_buffers()), kept

    (first, left, kept), (second, right, _) = on_two_ranks(shared)
    assert kept and len(first) == 3
    for name in first:
        assert torch.equal(left[name], first[name]) and torch.equal(right[name], first[name])
        assert not torch.equal(second[name], first[name])


def test_the_whole_state_becomes_that_of_the_first_rank():
    def shared(rank):
        torch.manual_seed(rank)
        module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        own = {name: value.clone() for name, value in module.state_dict().items()}
        share_state(module)
        return own, module.state_dict()

    (first, left), (second, right) = on_two_ranks(shared)
    assert not torch.equal(first["0.weight"], second["0.weight"])
    assert all(torch.equal(left[name], first[name]) and torch.equal(right[name], first[name]) for name in first)
