"""The denoising autoencoder: Vincent et al. 2008, 2010."""

from typing import Any, Literal

import torch
from torch import Tensor

from ganlab.config.types import NonNegativeFloat
from ganlab.errors import ConfigError
from ganlab.models.autoencoding import AutoencodingModel
from ganlab.models.base import Measurements
from ganlab.models.evaluating import evaluating
from ganlab.models.regularisers import Draw, Regulariser
from ganlab.objectives.corruption import corrupted

Corruption = Literal["masking", "gaussian", "salt_and_pepper"]


class Denoising(Regulariser):
    """The encoder sees corrupted values; the loss is against the clean ones."""

    def __init__(self, corruption: Corruption, level: float) -> None:
        super().__init__()
        self.corruption, self.level = corruption, level
        if corruption != "gaussian" and level >= 1:
            raise ConfigError(
                f"model.corruption_level={level:g}: a share of the values, at least 0 and below 1 "
                f"(model.corruption={corruption})"
            )

    def corrupted(self, values: Tensor, draw: Draw) -> Tensor:
        drawn = draw(*values.shape, draw=torch.randn if self.corruption == "gaussian" else torch.rand)
        return corrupted(values, self.corruption, self.level, drawn)


class DenoisingAE(AutoencodingModel):
    """Masking sets each value to 0 with a probability, salt and pepper to 0 or 1, Gaussian noise is added.

    With `train_corrupted` false it is a plain autoencoder that is asked to restore all the same, for comparison.

    Logged for the test split besides: `reconstruction/restored_mse`, of what is made of corrupted samples.
    """

    corrupts = True
    watched_held_out = ("reconstruction/mse", "reconstruction/restored_mse")

    def __init__(
        self,
        *,
        corruption: Literal["masking", "gaussian", "salt_and_pepper"] = "masking",
        corruption_level: NonNegativeFloat = 0.5,
        train_corrupted: bool = True,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.corruption = Denoising(corruption, corruption_level)
        if train_corrupted:
            self.regulariser = self.corruption
        if corruption == "salt_and_pepper" and not self.of_images:
            raise ConfigError(
                "model.corruption=salt_and_pepper: it sets values to 0 or 1, and this data set holds points; "
                "set model.corruption=gaussian"
            )

    @torch.no_grad()
    def corrupt(self, samples: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Samples as the encoder might be shown them in training; `generator` lives on the CPU."""

        def drawn(count: int, *shape: int, draw: Any) -> Tensor:
            return draw(count, *shape, generator=generator).to(samples)

        return self.samples_of(self.corruption.corrupted(self.values_of(samples), drawn))

    @torch.no_grad()
    def examine(
        self,
        samples: Tensor,
        condition: Tensor | None = None,
        generator: torch.Generator | None = None,
        importance_samples: int = 0,
    ) -> Measurements:
        generator = generator or torch.Generator().manual_seed(0)
        spoilt = self.values_of(self.corrupt(samples.to(self.dtype), generator))
        values = self.values_of(samples.to(self.dtype))
        with evaluating(self.autoencoder):
            restored = self.autoencoder(spoilt, self.condition_vectors(condition))
        return super().examine(samples, condition, generator, importance_samples) | {
            "reconstruction/restored_mse": self.squared_errors(restored, values),
            "reconstruction/corrupted_mse": (spoilt - values).square().flatten(1).mean(1),
        }
