"""What of a model is exported: its parts as functions of tensors alone, with all that a stranger must know of them."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.errors import ConfigError
from ganlab.models.base import GenerativeModel
from ganlab.tasks.export import PartName
from ganlab.tasks.exported_functions import Decoding, Encoding, Generating, Judging, copied, plain

Inputs = dict[str, Tensor]
"""By name, in the order in which the function has them."""
KINDS = {"normal": "standard normal", "uniform": "uniform on [-1, 1]", "one_hot": "one-hot, one"}
"""Of numbers among the latents, in words."""


@dataclass(frozen=True)
class Value:
    """An input or an output: float32 [batch, *shape]. `range`: the ends that it keeps to, where it has some."""

    name: str
    shape: list[int]
    range: tuple[float, float] | None = None
    meaning: str = ""

    def description(self) -> dict[str, Any]:
        """As export.json has it."""
        told = {"name": self.name, "dtype": "float32", "shape": ["batch", *self.shape], "meaning": self.meaning}
        return told | {"range": None if self.range is None else list(self.range)}


@dataclass(frozen=True)
class Part:
    """A pure function of named inputs [batch, …] to one output [batch, …] or several.

    `function` takes the inputs by name, on the CPU in float32, in eval mode; `reference` gives what ganlab itself makes
    of them; `draw` makes inputs for so many samples, of the kind that they are meant for.
    """

    name: PartName
    weights: str
    function: nn.Module
    reference: Callable[[Inputs], tuple[Tensor, ...]]
    draw: Callable[[int, torch.Generator], Inputs]
    inputs: list[Value]
    outputs: list[Value]


def part_of(model: GenerativeModel, asked: str = "auto", num_classes: int = 0) -> Part:
    """A part of a model on the CPU, on copies of its networks; `num_classes` 0: conditions are attributes.

    Raises `ConfigError` for a part that the model has not.
    """
    parts = parts_of(model)
    if not parts:
        raise ConfigError(f"model={model.name}: has no generator and no autoencoder that could be exported")
    name = parts[0] if asked == "auto" else asked
    if name not in parts:
        raise ConfigError(f"part={asked}: model={model.name} has none; it has: {', '.join(parts)}")
    make = {"generator": _generator, "discriminator": _discriminator, "encoder": _encoder, "decoder": _decoder}[name]
    with torch.random.fork_rng(devices=[]):
        return make(model, num_classes)


def parts_of(model: GenerativeModel) -> list[PartName]:
    """The parts that a model has, the one first that it is exported for unless another is asked for."""
    if hasattr(model, "autoencoder"):
        return ["decoder", "encoder"] if model.generates else ["encoder", "decoder"]
    own: list[PartName] = ["generator", "discriminator"]
    return [name for name in own if isinstance(getattr(model, name, None), nn.Module)]


# -- the parts --------------------------------------------------------------------------------------------------


def _generator(model: Any, num_classes: int) -> Part:
    network = model.generator if model.weights_sampled == "last" else model.generator_ema.network
    noise = model.latent_parts[0][1]

    def draw(count: int, generator: torch.Generator) -> Inputs:
        latents = model.latents(count, generator).float()
        own = {"latent": latents[:, :noise], "codes": latents[:, noise:]}
        given = {name: part.contiguous() for name, part in own.items() if part.shape[1]}
        return given | _conditions(model, num_classes, count, generator)

    def reference(inputs: Inputs) -> tuple[Tensor, ...]:
        latents = torch.cat([inputs[name] for name in ("latent", "codes") if name in inputs], dim=1)
        return (model.decode(latents, inputs.get("condition")),)

    codes = [Value("codes", [model.latent_dim - noise], meaning=_codes(model))] if noise < model.latent_dim else []
    return Part(
        "generator",
        model.weights_sampled,
        Generating(plain(copy.deepcopy(network))),
        reference,
        draw,
        [_latent(model, noise), *codes, *_condition(model, num_classes)],
        [_samples(model)],
    )


def _decoder(model: Any, num_classes: int) -> Part:
    own = copied(model)

    def draw(count: int, generator: torch.Generator) -> Inputs:
        latent = {"latent": model.latents(count, generator).float()}
        return latent | _conditions(model, num_classes, count, generator)

    return Part(
        "decoder",
        model.weights_sampled,
        Decoding(own, own.autoencoder.decoder),
        lambda inputs: (model.decode(inputs["latent"], inputs.get("condition")),),
        draw,
        [_latent(model, model.latent_dim), *_condition(model, num_classes)],
        [_samples(model)],
    )


def _encoder(model: Any, num_classes: int) -> Part:
    own = copied(model)
    return Part(
        "encoder",
        "last",
        Encoding(own, own.autoencoder.encoder),
        lambda inputs: (model.encode(inputs["samples"], inputs.get("condition")),),
        lambda count, generator: _drawn_samples(model, num_classes, count, generator),
        [_samples(model), *_condition(model, num_classes)],
        [Value("code", [model.latent_dim], meaning="mean of the posterior" if model.generates else "code")],
    )


def _discriminator(model: Any, num_classes: int) -> Part:
    own = copied(model)

    def reference(inputs: Inputs) -> tuple[Tensor, ...]:
        scores = model.score(inputs["samples"], inputs.get("condition"))
        return (scores, model.classify(inputs["samples"])) if model.classifies else (scores,)

    meaning = "raw; higher: more like a real sample" + "; depends on the whole batch" * model.scores_depend_on_batch
    outputs = [Value("score", [], meaning=meaning)]
    if model.classifies:
        classes = model.classify(torch.zeros(2, *model.sample_shape)).shape[1]
        outputs.append(Value("class_logits", [classes], meaning="logits of the classes"))
    return Part(
        "discriminator",
        "last",
        Judging(own, own.discriminator),
        reference,
        lambda count, generator: _drawn_samples(model, num_classes, count, generator),
        [_samples(model), *_condition(model, num_classes)],
        outputs,
    )


# -- what goes in and comes out ---------------------------------------------------------------------------------


def _latent(model: Any, size: int) -> Value:
    if not model.generates:
        return Value("latent", [size], meaning="a code, as the encoder makes it")
    kind = model.latent_parts[0][0]
    return Value("latent", [size], (-1.0, 1.0) if kind == "uniform" else None, KINDS[kind])


def _codes(model: Any) -> str:
    """In words: which columns are which code."""
    told, start = [], 0
    for kind, size in model.latent_parts[1:]:
        columns = f"columns {start} to {start + size - 1}" if size > 1 else f"column {start}"
        told.append(f"{columns}: {KINDS[kind]}" + f" of {size}" * (kind == "one_hot"))
        start += size
    return "; ".join(told)


def _condition(model: Any, num_classes: int) -> list[Value]:
    if not model.condition_size:
        return []
    meaning = "one-hot of a class" if num_classes else "attributes, 0 or 1 each"
    return [Value("condition", [model.condition_size], (0.0, 1.0), meaning)]


def _samples(model: Any) -> Value:
    of_images = len(model.sample_shape) == 3
    meaning = "images: channels, height, width; -1 is black, 1 is white" if of_images else "points"
    return Value("samples", list(model.sample_shape), (-1.0, 1.0) if of_images else None, meaning)


def _conditions(model: Any, num_classes: int, count: int, generator: torch.Generator) -> Inputs:
    size = model.condition_size
    if not size:
        return {}
    if num_classes:
        return {"condition": torch.eye(size)[torch.randint(size, (count,), generator=generator)]}
    return {"condition": torch.randint(2, (count, size), generator=generator).float()}


def _drawn_samples(model: Any, num_classes: int, count: int, generator: torch.Generator) -> Inputs:
    shape = (count, *model.sample_shape)
    of_images = len(model.sample_shape) == 3
    drawn = torch.rand(shape, generator=generator) * 2 - 1 if of_images else torch.randn(shape, generator=generator)
    return {"samples": drawn} | _conditions(model, num_classes, count, generator)
