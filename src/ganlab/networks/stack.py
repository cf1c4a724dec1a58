"""The layers of a fully connected autoencoder, one by one: what greedy pretraining trains."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ganlab.errors import ConfigError
from ganlab.networks.mlp_autoencoder import MLPDecoder, MLPEncoder


class StackedLayer(nn.Module):
    """A layer of an encoder with the one of the decoder that answers it: an autoencoder of one hidden layer.

    Both are the whole network's own: training the layer is training that. `encoder` maps inputs [n, i] to codes
    [n, c] and has `linears` and `code_activation` as an encoder of its own would; `decoder` maps codes to raw
    outputs [n, i], of which `output` (the activation of the inputs' own layer) makes reconstructions. `sizes`: (i, c).
    """

    def __init__(self, encoding: nn.Linear, activation: nn.Module, decoding: nn.Module, output: nn.Module) -> None:
        super().__init__()
        self.encoder = LayerEncoder(encoding, activation)
        self.decoder = decoding
        self.output = output
        self.sizes = (encoding.in_features, encoding.out_features)


class LayerEncoder(nn.Module):
    """A linear map and its activation."""

    def __init__(self, linear: nn.Linear, activation: nn.Module) -> None:
        super().__init__()
        self.linears = nn.ModuleList([linear])
        self.code_activation = activation

    def forward(self, inputs: Tensor) -> Tensor:
        return self.code_activation(self.linears[0](inputs))


def layers_of(encoder: nn.Module, decoder: nn.Module) -> tuple[StackedLayer, ...]:
    """From the values inwards. The first layer's `output` is the identity: what its outputs become is the model's word.

    Raises `ConfigError` for networks that are not fully connected, or not each other's mirror image.
    """
    if not isinstance(encoder, MLPEncoder) or not isinstance(decoder, MLPDecoder):
        raise ConfigError("model.encoder: layers in turn are fully connected ones; set model/coders=mlp")
    if encoder.sizes != decoder.sizes[::-1]:
        raise ConfigError(
            f"model.decoder.widths={_shown(decoder.sizes[1:-1])}: each layer of the decoder answers one of the "
            f"encoder's; set it to {_shown(encoder.sizes[-2:0:-1])}"
        )
    if type(encoder.activation) is not type(decoder.activation):
        raise ConfigError(
            "model.decoder.activation: a layer's reconstruction is in the range of the encoder's layer below it; "
            "set it to what model.encoder.activation is"
        )
    hidden = [encoder.activation] * (len(encoder.linears) - 1)
    return tuple(
        StackedLayer(encoding, activation, decoding, output)  # type: ignore[arg-type]
        for encoding, activation, decoding, output in zip(
            encoder.linears,
            [*hidden, encoder.code_activation],
            reversed(decoder.linears),
            [nn.Identity(), *hidden],
            strict=True,
        )
    )


@torch.no_grad()
def upwards(steps: list[Callable[[Tensor], Tensor]], values: Tensor) -> Tensor:
    """Values [n, …], flattened, through one step after the other, without gradient: [n, k]."""
    features = values.flatten(1)
    for step in steps:
        features = step(features)
    return features


def _shown(widths: list[int]) -> str:
    return f"[{','.join(map(str, widths))}]"
