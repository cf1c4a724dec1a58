"""Conditional generative adversarial nets, Mirza & Osindero 2014."""

from typing import Any

from ganlab.config.types import ConditionSize
from ganlab.models.gan import GAN


class CGAN(GAN):
    """Both players see the condition y: G(z, y) and D(x, y) (equation 2). Class labels enter
    one-hot, attribute vectors as they are; generated samples take the conditions of the real batch."""

    def __init__(self, *, condition_size: ConditionSize, **common: Any) -> None:
        super().__init__(condition_size=condition_size, **common)
