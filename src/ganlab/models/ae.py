"""The plain autoencoder: Hinton & Salakhutdinov 2006; of linear maps, Baldi & Hornik 1989."""

from ganlab.models.autoencoding import AutoencodingModel


class AE(AutoencodingModel):
    """A code that is narrower than the sample, of any networks.

    With linear networks (`model/coders=linear`) and squared errors its optimum is the projection on the first
    principal components; tied weights then are orthogonal there.
    """

    undercomplete = True
