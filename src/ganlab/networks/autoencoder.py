"""An encoder and a decoder as one network."""

from torch import Tensor, nn


class Autoencoder(nn.Module):
    """Values [n, *sample_shape] (and conditions [n, condition_size]) to raw outputs of the same shape.

    The decoder gives what the model then makes into values: by a sigmoid, or as it is.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, values: Tensor, conditions: Tensor | None = None) -> Tensor:
        return self.decoder(self.encoder(values, conditions), conditions)
