"""Three ways to the same number, against Jacobians by finite differences in float64."""

from itertools import product

import pytest
import torch
from torch import nn

from ganlab.objectives.contraction import jacobian_norm, jacobian_norm_estimate, sigmoid_layer_contraction

CODES = 3


def encoder(kind):
    torch.manual_seed(5)
    if kind == "sigmoid":
        return nn.Sequential(nn.Flatten(), nn.Linear(32, CODES), nn.Sigmoid()).double()
    convolution = nn.Conv2d(2, 3, 3, stride=2, padding=1)
    return nn.Sequential(convolution, nn.Tanh(), nn.Flatten(), nn.Linear(12, CODES), nn.Softplus()).double()


INPUTS = torch.randn(4, 2, 4, 4, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
SIGNS = torch.tensor(list(product([-1.0, 1.0], repeat=CODES)), dtype=torch.float64)
"""All of them: their mean is the expectation."""


def closed_form(encode):
    return sigmoid_layer_contraction(encode(INPUTS), encode[1].weight)


def exact(encode):
    return jacobian_norm(encode, INPUTS)


def estimated(encode):
    return jacobian_norm_estimate(encode, INPUTS, SIGNS[:, None].expand(-1, len(INPUTS), -1))


WAYS = [("sigmoid", closed_form), ("sigmoid", exact), ("sigmoid", estimated), ("conv", exact), ("conv", estimated)]
ways = pytest.mark.parametrize(("kind", "way"), WAYS)


@torch.no_grad()
def numeric_norms(encode, step=1e-4):
    """‖J‖² of each sample by itself, one value of its input moved at a time."""
    norms = []
    for sample in INPUTS:
        moves = step * torch.eye(sample.numel(), dtype=torch.float64).view(-1, *sample.shape)
        norms.append(((encode(sample + moves) - encode(sample - moves)) / (2 * step)).square().sum())
    return torch.stack(norms)


@ways
def test_it_is_the_squared_norm_of_each_samples_jacobian(kind, way):
    encode = encoder(kind)
    norms = way(encode)
    assert norms.shape == (len(INPUTS),) and norms.std() > 0.01 * norms.mean(), "samples that differ"
    torch.testing.assert_close(norms.detach(), numeric_norms(encode), rtol=1e-6, atol=0)


@ways
def test_its_slope_in_every_weight_is_that_of_the_norm(kind, way):
    encode, step = encoder(kind), 1e-3
    way(encode).mean().backward()
    for name, parameter in encode.named_parameters():
        flat = parameter.data.view(-1)
        for index in {0, len(flat) // 2, len(flat) - 1}:
            kept, moved = flat[index].item(), []
            for sign in (1, -1):
                flat[index] = kept + sign * step
                moved.append(numeric_norms(encode).mean().item())
            flat[index] = kept
            slope = (moved[0] - moved[1]) / (2 * step)
            # The last layer's bias moves the slopes of softplus, the first one's those of tanh: none is without effect.
            assert parameter.grad.view(-1)[index].item() == pytest.approx(slope, rel=1e-4, abs=1e-8), name


def test_each_sample_has_probes_of_its_own():
    encode = encoder("conv")
    picked = torch.eye(CODES, dtype=torch.float64)[[0, 1, 2, 0]]
    jacobians = [torch.autograd.functional.jacobian(lambda x: encode(x[None])[0], sample) for sample in INPUTS]
    expected = [jacobian[code].square().sum() for jacobian, code in zip(jacobians, [0, 1, 2, 0], strict=True)]
    torch.testing.assert_close(jacobian_norm_estimate(encode, INPUTS, picked[None]), torch.stack(expected))


@pytest.mark.parametrize("signs", [True, False])
def test_random_probes_are_right_on_average(signs):
    encode, count = encoder("conv"), 500
    probes = torch.randn(count, len(INPUTS), CODES, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    probes = probes.sign() if signs else probes
    single = torch.stack([jacobian_norm_estimate(encode, INPUTS, probe[None]) for probe in probes]).detach()
    torch.testing.assert_close(jacobian_norm_estimate(encode, INPUTS, probes).detach(), single.mean(0))
    errors = (single.mean(0) - exact(encode).detach()) / (single.std(0) / count**0.5)
    assert errors.abs().max() < 4


def test_without_gradients_the_norm_is_the_same_and_has_no_graph():
    encode = encoder("conv")
    with torch.no_grad():
        quiet = [exact(encode), estimated(encode)]
    assert not any(norms.requires_grad for norms in quiet)
    for norms in quiet:
        torch.testing.assert_close(norms, exact(encode).detach())


@pytest.mark.parametrize("way", [exact, estimated])
def test_the_inputs_are_left_alone(way):
    way(encoder("conv")).sum().backward()
    assert not INPUTS.requires_grad and INPUTS.grad is None
