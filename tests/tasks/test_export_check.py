"""The comparison of a file with its model: what is wrong is found, whatever it is."""

import math

import onnx
import pytest
import torch
from torch import nn

from exports import altered, words_of
from ganlab.errors import ConfigError, OutputError, TrainingError
from ganlab.tasks.export_check import Expected
from ganlab.tasks.export_formats import content_of, loaded, traced
from ganlab.tasks.exported_parts import Part, Value, part_of

WHAT = "part=generator: model=mine"


def part_with(reference, range_=None, function=None):
    def draw(count, generator):
        return {"latent": torch.randn(count, 3, generator=generator)}

    output = Value("samples", [2], range_)
    return Part("generator", "last", function or nn.Identity(), reference, draw, [Value("latent", [3])], [output])


def doubled(inputs):
    return (2 * inputs["latent"][:, :2],)


def test_the_largest_difference_of_each_batch():
    expected = Expected(part_with(doubled), WHAT, batches=(1, 3))

    def off(inputs):
        (values,) = doubled(inputs)
        moved = values.clone()
        moved[-1, 0] += 0.25 if len(values) == 3 else -0.125
        return (moved,)

    differences = expected.differences(off, ["latent"], 1.0, "generator.onnx")
    assert differences == {"1": pytest.approx(0.125), "3": pytest.approx(0.25)}


@pytest.mark.parametrize(
    ("value", "range_", "bound"),
    [(-0.25, (-1.0, 1.0), 0.01), (-0.25, None, 0.0025), (-4.0, (-1.0, 1.0), 0.04), (0.0, None, 0.01)],
)
def test_the_bound_is_a_share_of_an_images_1_or_of_the_largest_value(value, range_, bound):
    def constant(inputs):
        return (torch.full((len(inputs["latent"]), 2), value),)

    expected = Expected(part_with(constant, range_), WHAT)
    expected.differences(lambda inputs: (constant(inputs)[0] + 0.9 * bound,), ["latent"], 0.01, "g.onnx")
    with pytest.raises(OutputError, match=r"g\.onnx: not written: samples differs from the model's by .* batch of 1"):
        expected.differences(lambda inputs: (constant(inputs)[0] + 1.1 * bound,), ["latent"], 0.01, "g.onnx")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda values: values * math.nan,
        lambda values: values[:1],
        lambda values: values[:, :1],
        lambda values: values.flip(0),
        lambda values: values + math.inf,
    ],
)
def test_other_shapes_orders_and_no_numbers_are_found(wrong):
    expected = Expected(part_with(doubled), WHAT)
    with pytest.raises(OutputError, match="not written"):
        expected.differences(lambda inputs: (wrong(doubled(inputs)[0]),), ["latent"], 1e-4, "generator.onnx")


def test_a_model_of_chance_or_without_numbers():
    with pytest.raises(ConfigError, match="part=generator: model=mine makes something else of the same inputs each"):
        Expected(part_with(lambda inputs: (inputs["latent"] + torch.randn(1),)), WHAT)
    with pytest.raises(TrainingError, match="model=mine: its outputs are not finite numbers"):
        Expected(part_with(lambda inputs: (inputs["latent"] / 0,)), WHAT)


@pytest.mark.parametrize("format", ["onnx", "torch"])
def test_one_weight_of_a_file_that_is_another_is_found(settings, format):
    part = part_of(altered(settings(*words_of("cgan", data="ring"))), num_classes=8)
    expected = Expected(part, WHAT)
    program, used = traced(part.function, part.draw(2, torch.Generator()), WHAT)
    content = content_of(program, format, used, ["samples"], WHAT)
    assert max(expected.differences(loaded(content, format), used, 1e-4, "generator").values()) < 1e-4
    if format == "onnx":
        model = onnx.load_model_from_string(content)
        tensor = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 2)
        weight = onnx.numpy_helper.to_array(tensor).copy()
        weight[0, 0] += 0.05
        tensor.CopyFrom(onnx.numpy_helper.from_array(weight, tensor.name))
        wrong = model.SerializeToString()
    else:
        with torch.no_grad():
            program.state_dict["network.layers.0.weight"][0, 0] += 0.05
        wrong = content_of(program, format, used, ["samples"], WHAT)
    with pytest.raises(OutputError, match="generator: not written: samples differs"):
        expected.differences(loaded(wrong, format), used, 1e-4, "generator")
