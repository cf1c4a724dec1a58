"""The squared Frobenius norm of an encoder's Jacobian at each sample: the penalty of Rifai et al. 2011.

Three ways to it: in closed form for one sigmoid layer, exactly for any encoder, and estimated without bias. The last
two keep a graph to the encoder's weights, unless gradients are off, and stop at the inputs, which count as data. The
encoder must treat each sample by itself: with batch norm in training mode no Jacobian is one sample's own.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Encode = Callable[[Tensor], Tensor]
"""Inputs [n, *shape] to codes [n, codes]."""


def sigmoid_layer_contraction(codes: Tensor, weight: Tensor) -> Tensor:
    """‖J‖² = Σⱼ (hⱼ (1 - hⱼ))² Σᵢ Wⱼᵢ², [n], where h = sigmoid(W x + b).

    `codes` h: [n, codes]; `weight` W: [codes, inputs].
    """
    return (codes * (1 - codes)).square() @ weight.square().sum(1)


def jacobian_norm(encode: Encode, inputs: Tensor) -> Tensor:
    """‖J‖², [n], by one backward pass for each code."""
    return torch.stack(list(_squared_products(encode, inputs, None))).sum(0)


def jacobian_norm_estimate(encode: Encode, inputs: Tensor, probes: Tensor) -> Tensor:
    """The mean over probes v of ‖Jᵀv‖², [n], whose expectation is ‖J‖² (Hutchinson 1990); one backward pass a probe.

    `probes`: [p, n, codes], independent numbers of mean 0 and variance 1; signs vary less than normal ones.
    """
    return torch.stack(list(_squared_products(encode, inputs, probes))).mean(0)


def _squared_products(encode: Encode, inputs: Tensor, probes: Tensor | None) -> Iterator[Tensor]:
    """‖Jᵀv‖², [n], for each probe; without probes, for each code's unit vector."""
    if torch.compiler.is_compiling():
        yield from _traceable_products(encode, inputs, probes)
        return
    trained = torch.is_grad_enabled()
    with torch.enable_grad():
        inputs = inputs.detach().requires_grad_()
        codes = encode(inputs)
    if probes is None:
        probes = torch.eye(codes.shape[1], dtype=codes.dtype, device=codes.device)[:, None].expand(-1, *codes.shape)
    for probe in probes:
        (product,) = torch.autograd.grad(codes, inputs, probe.to(codes.dtype), create_graph=trained, retain_graph=True)
        yield product.square().flatten(1).sum(1)


def _traceable_products(encode: Encode, inputs: Tensor, probes: Tensor | None) -> Iterator[Tensor]:
    """The same in a form that compiled code can differentiate once more."""
    codes, pulled = torch.func.vjp(encode, inputs.detach())  # type: ignore[misc]
    if probes is None:
        probes = torch.eye(codes.shape[1], dtype=codes.dtype, device=codes.device)[:, None].expand(-1, *codes.shape)
    for probe in probes:
        yield pulled(probe.to(codes.dtype))[0].square().flatten(1).sum(1)
