"""The recognition network of InfoGAN on top of a discriminator's body (Chen et al. 2016, section 5 and appendix C)."""

from torch import Tensor, nn


class RecognitionHead(nn.Module):
    """Features [n, feature_count] to what tells the distribution of the codes, [n, outputs]: one hidden layer."""

    def __init__(self, feature_count: int, outputs: int, width: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(feature_count, width), nn.LeakyReLU(0.1), nn.Linear(width, outputs))

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)
