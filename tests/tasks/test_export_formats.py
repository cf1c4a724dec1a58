"""Tracing and writing: open batches, unused inputs, and networks that cannot be traced."""

import onnx
import pytest
import torch
from torch import nn

from exports import by_onnxruntime, by_torch
from ganlab.errors import ConfigError
from ganlab.tasks import export_formats
from ganlab.tasks.export_formats import content_of, traced

WHAT = "part=generator: model=mine"


class Mine(nn.Module):
    def __init__(self, forward):
        super().__init__()
        self.made, self.layer = forward, nn.Linear(3, 4)

    def forward(self, latent, condition=None):
        return self.made(self.layer, latent, condition)


def example(**sizes):
    return {name: torch.randn(2, size) for name, size in sizes.items()}


def test_an_input_that_is_not_looked_at_is_none():
    network = Mine(lambda layer, latent, condition: layer(latent))
    program, used = traced(network, example(latent=3, condition=2), WHAT)
    assert used == ["latent"]
    (found,) = by_torch(content_of(program, "torch", used, ["samples"], WHAT), latent=torch.ones(5, 3))
    assert torch.equal(found, network(torch.ones(5, 3)))


def test_batches_of_any_size():
    """Where the network asks for len() of a batch, too."""
    network = Mine(lambda layer, latent, condition: layer(latent).view(len(latent), 2, 2))
    program, used = traced(network, example(latent=3), WHAT)
    onnx, torch_ = (content_of(program, format, used, ["samples"], WHAT) for format in ("onnx", "torch"))
    for count in (1, 2, 5, 130):
        latent = torch.randn(count, 3)
        for (found,) in (by_onnxruntime(onnx, latent=latent), by_torch(torch_, latent=latent)):
            assert torch.allclose(found, network(latent), atol=1e-5)


def test_onnx_names_what_is_open_and_squeezes_nothing_but_ones():
    """A squeeze of another dimension does nothing in torch; ONNX calls it an error."""
    network = Mine(lambda layer, latent, condition: layer(latent).squeeze(1) + latent[:, :1].squeeze(1)[:, None])
    program, used = traced(network, example(latent=3), WHAT)
    onnx_, torch_ = (content_of(program, format, used, ["samples"], WHAT) for format in ("onnx", "torch"))
    latent = torch.randn(5, 3)
    for (found,) in (by_onnxruntime(onnx_, latent=latent), by_torch(torch_, latent=latent)):
        assert torch.allclose(found, network(latent), atol=1e-6)
    model = onnx.load_model_from_string(onnx_)
    onnx.checker.check_model(model, full_check=True)
    (given,), (made,) = model.graph.input, model.graph.output
    for value, name, size in ((given, "latent", 3), (made, "samples", 4)):
        first, second = value.type.tensor_type.shape.dim
        assert (value.name, first.dim_param, second.dim_value) == (name, "batch", size)


def test_what_cannot_be_traced_is_a_line():
    def by_value(layer, latent, condition):
        return layer(latent) if latent.sum() > 0 else latent

    with pytest.raises(ConfigError) as refused:
        traced(Mine(by_value), example(latent=3), WHAT)
    assert str(refused.value).startswith("part=generator: model=mine cannot be traced as a function of tensors")
    assert "\n" not in str(refused.value)


def test_what_onnx_cannot_hold_is_a_line(monkeypatch):
    program, used = traced(Mine(lambda layer, latent, condition: layer(latent)), example(latent=3), WHAT)

    def no_operator(*args, **kwargs):
        raise RuntimeError("no function for aten.new\nand much more") from ValueError("aten.new is not known")

    monkeypatch.setattr(torch.onnx, "export", no_operator)
    with pytest.raises(ConfigError) as refused:
        content_of(program, "onnx", used, ["samples"], WHAT)
    assert str(refused.value) == f"format=onnx: {WHAT} cannot be written so (aten.new is not known)"
    monkeypatch.setattr(export_formats, "MOST_FOR_ONNX", 10)
    with pytest.raises(ConfigError) as refused:
        content_of(program, "onnx", used, ["samples"], WHAT)
    assert str(refused.value).startswith(f"format=onnx: {WHAT} has 0.0 GiB of weights, and an ONNX file 2 at most")


@pytest.mark.slow
def test_an_operator_that_onnx_has_not():
    network = Mine(lambda layer, latent, condition: torch.linalg.svdvals(layer(latent).view(-1, 2, 2)))
    program, used = traced(network, example(latent=3), WHAT)
    with pytest.raises(ConfigError) as refused:
        content_of(program, "onnx", used, ["samples"], WHAT)
    assert str(refused.value).startswith(f"format=onnx: {WHAT} cannot be written so (") and "\n" not in str(refused)
