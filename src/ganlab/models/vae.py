"""The variational autoencoder: Kingma & Welling 2013; with β (Higgins et al. 2017), conditional (Sohn et al. 2015),
by the importance-weighted objective (Burda et al. 2015)."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganlab.config.types import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt
from ganlab.errors import ConfigError
from ganlab.models.autoencoding import AutoencodingModel, Passage
from ganlab.models.base import Measurements
from ganlab.models.evaluating import evaluating
from ganlab.models.regularisers import Draw
from ganlab.objectives.variational import (
    RunningLogMeanExp,
    active_units,
    bits_per_dim,
    free_bits,
    gaussian_kl,
    importance_weighted_bound,
    log_normal,
)

DECODED, DECODED_VALUES = 4096, 1 << 22
"""Codes, and values of theirs, that are decoded at a time where a bound takes many of each sample."""
FARTHEST = 3.0
"""Standard deviations of the prior that a traversal reaches to either side."""


class VAE(AutoencodingModel):
    """Maximises the evidence lower bound E_q[log p(x | z)] - KL(q(z | x) ‖ p(z)), in nats.

    Both terms are sums, over a sample's values and over the latents. The encoder makes the mean and the log variance
    of q, a Gaussian with independent latents; the prior p(z) is N(0, I), with conditions too: there both coders are
    told the label, which the prior does not depend on.

    p(x | z) has independent values: Bernoulli (`reconstruction="auto"` for images) or Gaussian (for points), with
    a standard deviation of `std`. Gray values under a Bernoulli likelihood are a customary stand-in: the bound is then
    a cross-entropy, and no bound on a likelihood. `binarise` makes values 0 or 1, for encoder and likelihood alike, in
    training and wherever samples are examined: those above 1/2 are 1 (threshold), or each is drawn with its gray
    value as the probability, afresh each time (sample: dynamic binarisation; `encode` takes the gray values, the
    mean of such draws).

    objective "elbo": -(mean over `importance_samples` draws of log p(x | z)) + β·KL, KL in closed form. β rises
    linearly from 0 during the share `beta_warmup` of the run; with `free_bits` λ a latent's KL counts as
    max(λ, its mean over the batch) (Kingma et al. 2016). "iwae": -log 1/K Σ wₖ of so many draws (equation 8 of
    Burda et al.), by reparametrisation.

    Whatever the objective, `elbo`, `loss/kl` and `loss/reconstruction` are told at β = 1 and without free bits.
    """

    generates = True
    has_bound = True
    watched_held_out = ("elbo", "loss/kl", "loss/reconstruction", "reconstruction/mse")

    def __init__(
        self,
        *,
        beta: NonNegativeFloat = 1.0,
        beta_warmup: Fraction = 0.0,
        free_bits: NonNegativeFloat = 0.0,
        objective: Literal["elbo", "iwae"] = "elbo",
        importance_samples: PositiveInt = 1,
        binarise: Literal["none", "threshold", "sample"] = "none",
        reconstruction: Literal["auto", "bernoulli", "gaussian", "squared", "absolute"] = "auto",
        std: PositiveFloat | Literal["learned"] = "learned",
        **common: Any,
    ) -> None:
        likelihood = _likelihood(reconstruction, common["sample_shape"])
        if likelihood == "bernoulli" and std != "learned":
            raise ConfigError(f"model.std={std:g}: a Bernoulli likelihood has none; set model.reconstruction=gaussian")
        std = std if likelihood == "gaussian" else 1.0
        super().__init__(reconstruction=likelihood, std=std, **common)
        self.beta, self.beta_warmup, self.free_bits = beta, beta_warmup, free_bits
        self.objective, self.importance_samples, self.binarise = objective, importance_samples, binarise
        self._refuse_what_has_no_bound()

    @property
    def likelihood(self) -> str:
        """In words: of what values the bounds are."""
        if self.reconstruction == "gaussian":
            return "a Gaussian density of values" + (" from 0 to 1" if self.of_images else "")
        binary = {"threshold": "binary pixels (above 1/2: 1)", "sample": "binary pixels (drawn by their gray values)"}
        gray = "gray pixels under a Bernoulli distribution: a cross-entropy, no likelihood"
        return binary.get(self.binarise, gray)

    @property
    def code_outputs(self) -> int:
        """A mean and a log variance for each latent."""
        return 2 * self.latent_dim

    # -- one iteration ------------------------------------------------------------------------------------------

    def loss_of(self, network: str, values: Tensor, condition: Tensor | None) -> tuple[Tensor, Measurements]:
        values = self.binarised(values, self.draw_shared)
        mean, log_variance = self.posterior(values, condition)
        # Drawn a sample at a time, so that the processes can share the draws of the global batch.
        noise = self.draw_shared(len(values), self.importance_samples, self.latent_dim, draw=torch.randn)
        codes = drawn_codes(mean, log_variance, noise.transpose(0, 1))
        passage = self.decoded(codes, values, condition)
        losses = self.reconstruction_losses(passage.outputs, passage.values).unflatten(0, codes.shape[:2])
        kl = gaussian_kl(mean, log_variance)
        if self.objective == "iwae":
            weights = log_weights(losses, codes, mean, log_variance)
            loss = -importance_weighted_bound(weights).mean()
        else:
            loss = losses.mean() + self.number("current_beta") * self._priced(kl)
        measured = {"loss/autoencoder": loss.detach()}
        if self.measuring:
            measured |= self._told(losses.detach().mean(), kl.detach().sum(1).mean(), mean.detach())
            measured |= self.describe(passage)
        return loss, measured

    @property
    def current_beta(self) -> float:
        """β at this iteration."""
        if not self.beta_warmup:
            return self.beta
        return self.beta * min(1.0, self.iteration / (self.beta_warmup * self.max_iterations))

    def _priced(self, kl: Tensor) -> Tensor:
        return free_bits(kl, self.free_bits) if self.free_bits else kl.sum(1).mean()

    def _told(self, reconstruction: Tensor, kl: Tensor, means: Tensor) -> Measurements:
        return {
            "loss/reconstruction": reconstruction,
            "loss/kl": kl,
            "elbo": -(reconstruction + kl),
            "kl/beta": kl.new_zeros(()) + self.number("current_beta"),
            "latents/active": active_units(means).to(kl),
        }

    # -- the two distributions ----------------------------------------------------------------------------------

    def binarised(self, values: Tensor, draw: Draw) -> Tensor:
        """Values as the model takes them: 0 or 1, if it is told so."""
        if self.binarise == "threshold":
            return (values > 0.5).to(values)
        if self.binarise == "sample":
            return (draw(*values.shape, draw=torch.rand) < values).to(values)
        return values

    def posterior(self, values: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z | x), [n, latent_dim] each, of (binarised) values, with their graph."""
        # In full precision: under autocast a variance, or a sum over values, may leave the range of 16 bits.
        mean, log_variance = self.autoencoder.encoder(values, condition).to(self.dtype).chunk(2, dim=1)
        return mean, log_variance

    def decoded(self, codes: Tensor, values: Tensor, condition: Tensor | None) -> Passage:
        """K codes [K, n, latent_dim] of each sample through the decoder, and the values that they are of: [K·n, …]."""

        def repeated(tensor: Tensor) -> Tensor:
            return tensor.expand(len(codes), *tensor.shape).flatten(0, 1)

        flat, condition = codes.flatten(0, 1), None if condition is None else repeated(condition)
        outputs = self.autoencoder.decoder(flat, condition).to(self.dtype)
        return Passage(repeated(values), repeated(values), flat, outputs, condition)

    # -- the public side ----------------------------------------------------------------------------------------

    def likeliest_code(self, values: Tensor, condition: Tensor | None) -> Tensor:
        """The posterior's mean."""
        if self.binarise == "threshold":
            values = (values > 0.5).to(values)
        return self.posterior(values, condition)[0]

    @torch.no_grad()
    def examine(
        self,
        samples: Tensor,
        condition: Tensor | None = None,
        generator: torch.Generator | None = None,
        importance_samples: int = 0,
    ) -> Measurements:
        """As in the base; the KL in closed form, log p(x | z) of one draw, the squared errors of the posterior's mean.

        All of samples that are binarised as in training; `generator` draws that, too, if it is by chance.
        """
        generator = generator or torch.Generator().manual_seed(0)
        given = self.values_of(samples.to(self.dtype))

        def draw(*shape: int, draw: Draw) -> Tensor:
            return draw(*shape, generator=generator).to(given)

        with evaluating(self.autoencoder):
            condition = self.condition_vectors(condition)
            values = self.binarised(given, draw)
            mean, log_variance = self.posterior(values, condition)
            kl = gaussian_kl(mean, log_variance).sum(1)
            codes = drawn_codes(mean, log_variance, draw(1, *mean.shape, draw=torch.randn))
            losses = self.reconstruction_losses(self.decoded(codes, values, condition).outputs, values)
            told = {
                "elbo": -(losses + kl),
                "loss/kl": kl,
                "loss/reconstruction": losses,
                "reconstruction/mse": self.squared_errors(self.decoded(mean[None], values, condition).outputs, values),
                "posterior/mean": mean,
            }
            if importance_samples:
                bound = self.bound(values, condition, mean, log_variance, importance_samples, draw)
                told["bound/importance_weighted"] = bound
                told["bound/bits_per_dim"] = -bits_per_dim(bound, self.values_per_sample)
            return told

    def bound(
        self,
        values: Tensor,
        condition: Tensor | None,
        mean: Tensor,
        log_variance: Tensor,
        importance_samples: int,
        draw: Draw,
    ) -> Tensor:
        """The importance-weighted bound of each sample, [n], by so many draws from its posterior.

        They are decoded some at a time: memory does not grow with their number.
        """
        most = min(DECODED, DECODED_VALUES // self.values_per_sample)
        at_a_time = max(1, most // max(1, len(values)))
        running = RunningLogMeanExp()
        while running.count < importance_samples:
            count = min(at_a_time, importance_samples - running.count)
            codes = drawn_codes(mean, log_variance, draw(count, *mean.shape, draw=torch.randn))
            passage = self.decoded(codes, values, condition)
            losses = self.reconstruction_losses(passage.outputs, passage.values).unflatten(0, codes.shape[:2])
            running.add(log_weights(losses, codes, mean, log_variance))
        return running.value()

    def traversals(self, steps: int, generator: torch.Generator | None = None) -> list[tuple[str, Tensor]]:
        """For each latent a name and latents [steps, latent_dim] in which it alone varies, from -3 to 3."""
        base = self.latents(1, generator)
        walks = []
        for index in range(self.latent_dim):
            latents = base.repeat(steps, 1)
            latents[:, index] = torch.linspace(-FARTHEST, FARTHEST, steps)
            walks.append((f"latent {index + 1}", latents))
        return walks

    # -- refusing -----------------------------------------------------------------------------------------------

    def prepare_training(self, **decided: Any) -> None:
        """As in the base. Raises `ConfigError` for an encoder that cannot make every mean and log variance."""
        activation = getattr(self.autoencoder.encoder, "code_activation", None)
        if activation is not None and not isinstance(activation, nn.Identity):
            raise ConfigError(
                "model.encoder.code_activation: what the encoder makes are means and log variances, of any size; "
                "set model.encoder.code_activation=linear"
            )
        super().prepare_training(**decided)

    def _refuse_what_has_no_bound(self) -> None:
        if self.prior != "normal":
            raise ConfigError(f"model.prior={self.prior}: the KL is from a normal prior; set model.prior=normal")
        if self.binarise != "none" and self.reconstruction != "bernoulli":
            meant = "images under a Bernoulli likelihood"
            where = meant if self.of_images else f"{meant}, and this data set holds points"
            raise ConfigError(f"model.binarise={self.binarise}: only {where}; set model.binarise=none")
        if self.objective == "iwae":
            for key, plain in {"beta": 1.0, "beta_warmup": 0.0, "free_bits": 0.0}.items():
                if getattr(self, key) != plain:
                    raise ConfigError(
                        f"model.{key}={getattr(self, key):g}: the importance-weighted objective has no KL term to "
                        f"weigh; set model.{key}={plain:g} or model.objective=elbo"
                    )


def drawn_codes(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """z = μ + σε, [K, n, latents], of standard normal noise [K, n, latents]: differentiable in μ and log σ²."""
    return mean + (log_variance / 2).exp() * noise


def log_weights(losses: Tensor, codes: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log p(x | z) + log p(z) - log q(z | x), [K, n], of -log p(x | z) [K, n] and codes [K, n, latents]."""
    zero = torch.zeros_like(mean)
    return log_normal(codes, zero, zero) - losses - log_normal(codes, mean, log_variance)


def _likelihood(reconstruction: str, sample_shape: list[int]) -> Literal["bernoulli", "gaussian"]:
    if reconstruction == "auto":
        return "bernoulli" if len(sample_shape) == 3 else "gaussian"
    if reconstruction == "bernoulli":
        return "bernoulli"
    if reconstruction == "gaussian":
        return "gaussian"
    raise ConfigError(
        f"model.reconstruction={reconstruction}: the evidence lower bound needs a likelihood; "
        "set model.reconstruction=gaussian, or bernoulli for images"
    )
