"""What keeps an autoencoder from copying: what it is shown is not what it must give back, or its code has a price."""

from collections.abc import Callable

from torch import Tensor, nn

from ganlab.models.base import Measurements

Draw = Callable[..., Tensor]
"""`draw(count, *shape, draw=torch.rand)`: this process's part of the randomness of an iteration."""
Encode = Callable[[Tensor], Tensor]


class Regulariser(nn.Module):
    """Nothing: the code is narrow, and that is all. Values are a sample's pixels in [0, 1], or a point's coordinates.

    The same objects serve whole autoencoders and the layers of a stacked one.
    """

    def verify(self, encoder: nn.Module) -> None:
        """Raise `ConfigError` for an encoder with which the price cannot be told."""

    def corrupted(self, values: Tensor, draw: Draw) -> Tensor:
        """What the encoder is shown in place of the values, [n, *sample_shape]."""
        return values

    def terms(self, encoder: nn.Module, encode: Encode, inputs: Tensor, codes: Tensor, draw: Draw) -> Measurements:
        """Weighted terms of the loss by tag, scalars: of the inputs that the encoder saw, and their codes [n, k]."""
        return {}

    def describe(self, codes: Tensor) -> Measurements:
        """What is logged besides, of the codes of a batch."""
        return {}
