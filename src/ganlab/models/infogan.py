"""InfoGAN, Chen et al. 2016."""

from typing import Any

import torch
from torch import Tensor

from ganlab.config.types import Codes, NonNegativeFloat, PositiveInt
from ganlab.models.adversarial import Round
from ganlab.models.base import LatentPart, Measurements
from ganlab.models.gan import GAN
from ganlab.networks.recognition import RecognitionHead
from ganlab.networks.verdict import TwoHeaded, Verdict
from ganlab.objectives.information import Categorical, codes_of


class InfoGAN(GAN):
    """Part of the generator's input are codes that must be readable from its samples (equation 5).

    The recognition network Q shares the discriminator's body. For each code the players share a term, the weight times
    -E[log Q(c | x)]: the discriminator's step trains Q and the body with it, the generator's step the generator.

    Latents are [n, latent_dim + codes]: noise, and then the codes one after the other, categorical ones one-hot. After
    construction `latent_dim` is the length of the whole.
    """

    def __init__(
        self,
        *,
        latent_dim: PositiveInt,
        codes: Codes,
        categorical_weight: NonNegativeFloat = 1.0,
        continuous_weight: NonNegativeFloat = 0.1,
        **common: Any,
    ) -> None:
        self.codes = codes_of(codes)
        sizes = [code.size for code in self.codes]
        self.parts_of_latents = [latent_dim, *sizes]
        self.weights = [categorical_weight if isinstance(c, Categorical) else continuous_weight for c in self.codes]
        super().__init__(latent_dim=latent_dim + sum(sizes), **common)

    def build_players(self, generator: dict[str, Any], discriminator: dict[str, Any]) -> tuple[Any, Any]:
        generating, telling = super().build_players(generator, discriminator)
        head = RecognitionHead(telling.feature_count, sum(code.parameters for code in self.codes))
        return generating, TwoHeaded(telling, head)

    # -- the terms --------------------------------------------------------------------------------------------

    def information_losses(self, latents: Tensor, told: Tensor) -> list[Tensor]:
        """-E[log Q(c | x)] of each code, in nats; told: what Q says of the samples of `latents`, [n, …]."""
        drawn = latents.split(self.parts_of_latents, dim=1)[1:]
        parameters = told.split([code.parameters for code in self.codes], dim=1)
        return [code.loss(q, c) for code, q, c in zip(self.codes, parameters, drawn, strict=True)]

    def discriminator_extras(self, given: Round, real: Verdict, fake: Verdict) -> Measurements:
        return {"loss/information": self._weighted(given, fake)}

    def generator_extras(self, given: Round, real: Verdict | None, fake: Verdict) -> Measurements:
        return {"loss/information": self._weighted(given, fake)}

    def _weighted(self, given: Round, fake: Verdict) -> Tensor:
        assert fake.answers is not None
        losses = self.information_losses(given.latents, fake.answers)
        return torch.stack([weight * loss for weight, loss in zip(self.weights, losses, strict=True)]).sum()

    @torch.no_grad()
    def describe(self, given: Round, real: Verdict, fake: Verdict) -> Measurements:
        """Beside the scores each code's term without its weight, and the bound on its mutual information, in nats."""
        assert fake.answers is not None
        measured = super().describe(given, real, fake)
        losses = self.information_losses(given.latents, fake.answers)
        for number, (code, loss) in enumerate(zip(self.codes, losses, strict=True), start=1):
            measured[f"loss/information_{number}"] = loss
            measured[f"information/code_{number}"] = code.entropy - loss
        return measured

    # -- codes as part of the latents ---------------------------------------------------------------------------

    def _draw(self, count: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
        latents = super()._draw(count, generator, device)
        shares = torch.rand(count, len(self.codes), generator=generator, device=device, dtype=torch.float32)
        drawn = [code.of_uniform(share) for code, share in zip(self.codes, shares.unbind(1), strict=True)]
        return torch.cat([latents[:, : self.parts_of_latents[0]], *(part.to(self.dtype) for part in drawn)], dim=1)

    @property
    def latent_parts(self) -> list[tuple[LatentPart, int]]:
        """Noise, then the codes."""
        codes: list[tuple[LatentPart, int]] = [
            ("one_hot" if isinstance(code, Categorical) else "uniform", code.size) for code in self.codes
        ]
        return [(self.prior, self.parts_of_latents[0]), *codes]

    def traversals(self, steps: int, generator: torch.Generator | None = None) -> list[tuple[str, Tensor]]:
        """For each code a name and latents [values, latent_dim] in which it alone varies, over all of its values; a
        uniform code from -1 to 1 in `steps`."""
        base = self.latents(1, generator)
        ends = torch.tensor(self.parts_of_latents).cumsum(0).tolist()
        walks = []
        for number, (code, start) in enumerate(zip(self.codes, ends[:-1], strict=True), start=1):
            values = code.values(steps).to(base)
            latents = base.repeat(len(values), 1)
            latents[:, start : start + code.size] = values
            walks.append((f"code {number}", latents))
        return walks
