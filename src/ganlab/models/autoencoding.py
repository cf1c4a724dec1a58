"""Encode, decode, compare; what a family adds to that is a corruption, a price on the code, or a distribution."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ganlab.config.types import Component, PositiveFloat
from ganlab.errors import ConfigError
from ganlab.models.base import GenerativeModel, Measurements, build_network
from ganlab.models.evaluating import evaluating
from ganlab.models.regularisers import Regulariser
from ganlab.networks.autoencoder import Autoencoder
from ganlab.objectives.reconstruction import (
    absolute_error,
    bernoulli_loss,
    gaussian_loss,
    peak_signal_to_noise,
    squared_error,
)


@dataclass(frozen=True)
class Passage:
    """A batch's way through an autoencoder.

    `values` [n, *sample_shape] are to be given back, `inputs` is what the encoder saw of them, `codes` [n, k] what the
    decoder was given, `outputs` what it made of them, before the model's last nonlinearity.
    """

    values: Tensor
    inputs: Tensor
    codes: Tensor
    outputs: Tensor
    condition: Tensor | None


class AutoencodingModel(GenerativeModel):
    """Minimises E[reconstruction(x, decode(encode(corrupted x)))] + the family's terms; an iteration is one update.

    Networks see and make *values*: pixels in [0, 1], or a point's coordinates. A reconstruction is a sum over a
    sample's values and a mean over the batch: of squares or absolute differences, or the negative log-likelihood in
    nats of independent Bernoulli values or of Gaussian ones with a standard deviation `std` (one number, which may
    be "learned"). Beside it the mean squared error a value is logged, and of images the peak
    signal-to-noise ratio in decibels.

    `output`: "sigmoid" squashes what the decoder makes, "linear" leaves it; "auto" squashes pixels. A Bernoulli
    likelihood always has the sigmoid. `tied`: the decoder's weights are the encoder's, transposed.

    A family sets `regulariser`, or overrides `loss_of` and `examine`.
    """

    reconstructs = True
    encodes = True
    autoencoder: Any
    corrupts: ClassVar[bool] = False
    """Whether the encoder is shown corrupted samples: `corrupt`."""
    undercomplete: bool = False
    """Whether nothing but a narrow code keeps the model from copying its input."""
    trained_networks = ("autoencoder",)
    watched_held_out: ClassVar[tuple[str, ...]] = ("reconstruction/mse",)

    def __init__(
        self,
        *,
        encoder: Component,
        decoder: Component,
        reconstruction: Literal["squared", "absolute", "bernoulli", "gaussian"] = "squared",
        output: Literal["auto", "sigmoid", "linear"] = "auto",
        std: PositiveFloat | Literal["learned"] = 1.0,
        tied: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.reconstruction, self.std = reconstruction, std
        self.of_images = len(self.sample_shape) == 3
        self.values_per_sample = math.prod(self.sample_shape)
        self._refuse_what_does_not_fit(output)
        squashes = reconstruction == "bernoulli" or output == "sigmoid" or (output == "auto" and self.of_images)
        self.squash: Callable[[Tensor], Tensor] = torch.sigmoid if squashes else _as_it_is
        self.autoencoder = Autoencoder(
            build_network(encoder, self.code_outputs, self.condition_size),
            build_network(decoder, self.latent_dim, self.condition_size),
        )
        if tied:
            self.autoencoder.decoder.tie(self.autoencoder.encoder)
        if std == "learned":
            self.autoencoder.register_parameter("log_std", nn.Parameter(torch.zeros(())))
        self.regulariser = Regulariser()

    @property
    def code_outputs(self) -> int:
        """How many numbers the encoder makes of a sample."""
        return self.latent_dim

    def prepare_training(self, **decided: Any) -> None:
        """As in the base. Raises `ConfigError` for a price on the code that the encoder cannot pay."""
        self.regulariser.verify(self.autoencoder.encoder)
        super().prepare_training(**decided)

    # -- one iteration ------------------------------------------------------------------------------------------

    def training_step(self, batch: Any, batch_idx: int) -> Measurements:
        self.begin_iteration()
        measured = self._updated(self.trained_network, batch)
        self.finish_iteration()
        return measured

    @property
    def trained_network(self) -> str:
        """The network that this iteration trains: the phase's, if there are phases."""
        return self.phase.name if self.phase is not None else self.trained_networks[0]

    def _updated(self, network: str, batch: Any) -> Measurements:
        measured: Measurements = {}
        for samples, condition in self._parts(batch):
            loss, measured = self.graphed("loss_of", network, self.values_of(samples), condition)
            self.descend(loss)
        self.update(network)
        return measured

    def _parts(self, batch: Any) -> list[tuple[Tensor, Tensor | None]]:
        conditions = self.condition_vectors(batch.conditions)
        samples = self.laid_out(batch.samples)
        if conditions is None:
            return [(part, None) for part in samples.chunk(self.accumulate)]
        return list(zip(samples.chunk(self.accumulate), conditions.chunk(self.accumulate), strict=True))

    def loss_of(self, network: str, values: Tensor, condition: Tensor | None) -> tuple[Tensor, Measurements]:
        """The loss that trains a network, with its graph, and what is logged of it."""
        passage = self.passed(values, condition)
        reconstruction = self.reconstruction_losses(passage.outputs, passage.values).mean()
        terms = self.terms(passage)
        loss = sum(terms.values(), reconstruction)
        measured = {"loss/autoencoder": loss.detach()}
        if self.measuring:
            measured["loss/reconstruction"] = reconstruction.detach()
            measured |= {tag: term.detach() for tag, term in terms.items()} | self.describe(passage)
        return loss, measured

    def passed(self, values: Tensor, condition: Tensor | None) -> Passage:
        """Values on their way through the autoencoder, with the corruption that belongs to training."""
        inputs = self.regulariser.corrupted(values, self.draw_shared)
        codes = self.autoencoder.encoder(inputs, condition)
        return Passage(values, inputs, codes, self.autoencoder.decoder(codes, condition), condition)

    def terms(self, passage: Passage) -> Measurements:
        """Weighted terms of the loss beside the reconstruction, by tag."""
        encoder = self.autoencoder.encoder
        return self.regulariser.terms(
            encoder,
            lambda inputs: encoder(inputs, passage.condition),
            passage.inputs,
            passage.codes,
            self.draw_shared,
        )

    @torch.no_grad()
    def describe(self, passage: Passage) -> Measurements:
        """What is logged beside the loss: the error a value, its decibels, and what the regulariser tells."""
        mse = self.squared_errors(passage.outputs, passage.values).mean()
        told = {"reconstruction/mse": mse}
        if self.of_images:
            told["reconstruction/psnr"] = peak_signal_to_noise(mse)
        if self.std == "learned":
            told["reconstruction/std"] = self.autoencoder.log_std.detach().exp()
        return told | self.regulariser.describe(passage.codes)

    # -- comparing ----------------------------------------------------------------------------------------------

    def reconstruction_losses(self, outputs: Tensor, values: Tensor) -> Tensor:
        """The chosen reconstruction of each sample, [n]; in nats if it is a likelihood."""
        if self.reconstruction == "bernoulli":
            return bernoulli_loss(outputs, values)
        made = self.squash(outputs)
        if self.reconstruction == "gaussian":
            return gaussian_loss(made, values, self.log_std)
        return (squared_error if self.reconstruction == "squared" else absolute_error)(made, values)

    @property
    def log_std(self) -> Any:
        """Of a Gaussian likelihood: a number, or a scalar parameter."""
        return self.autoencoder.log_std if self.std == "learned" else math.log(float(self.std))

    def squared_errors(self, outputs: Tensor, values: Tensor) -> Tensor:
        """The mean squared error a value of each sample, [n]."""
        return squared_error(self.squash(outputs), values) / self.values_per_sample

    @torch.no_grad()
    def examine(
        self,
        samples: Tensor,
        condition: Tensor | None = None,
        generator: torch.Generator | None = None,
        importance_samples: int = 0,
    ) -> Measurements:
        """What is said of real samples [n, *sample_shape], by tag, a number for each of them: [n].

        Networks are in eval mode, nothing is corrupted but where a tag says so. `generator` (on the CPU) is for
        families that draw; so many `importance_samples` make a bound tighter, where there is one (0: none is told).
        """
        with evaluating(self.autoencoder):
            values, conditions = self.values_of(samples.to(self.dtype)), self.condition_vectors(condition)
            outputs = self.autoencoder(values, conditions)
            return {
                "loss/reconstruction": self.reconstruction_losses(outputs, values),
                "reconstruction/mse": self.squared_errors(outputs, values),
            }

    def held_out(
        self, samples: Tensor, condition: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Measurements:
        """What is watched of a few held-out samples while training, by tag, a number for each: [n]."""
        return self.examine(samples, condition, generator)

    # -- the public side ----------------------------------------------------------------------------------------

    def values_of(self, samples: Tensor) -> Tensor:
        """Samples as the data have them (images in [-1, 1]) as values."""
        return (samples + 1) / 2 if self.of_images else samples

    def samples_of(self, values: Tensor) -> Tensor:
        """Values as samples: images in [-1, 1]."""
        return values * 2 - 1 if self.of_images else values

    @torch.no_grad()
    def encode(self, samples: Tensor, condition: Tensor | None = None) -> Tensor:
        """Codes [n, latent_dim] of samples [n, *sample_shape], in eval mode."""
        with evaluating(self.autoencoder):
            return self.likeliest_code(self.values_of(samples.to(self.dtype)), self.condition_vectors(condition))

    def likeliest_code(self, values: Tensor, condition: Tensor | None) -> Tensor:
        """The code of values, without chance."""
        return self.autoencoder.encoder(values, condition)

    @torch.no_grad()
    def decode(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        """Samples [n, *sample_shape] of codes [n, latent_dim], in eval mode."""
        return self.decode_with_graph(latents, condition)

    def decode_with_graph(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        """As `decode`, differentiable in the codes."""
        with evaluating(self.autoencoder):
            outputs = self.autoencoder.decoder(latents.to(self.dtype), self.condition_vectors(condition))
            return self.samples_of(self.squash(outputs))

    def reconstruct(self, samples: Tensor, condition: Tensor | None = None) -> Tensor:
        """Samples [n, *sample_shape] through code and back, in eval mode."""
        return self.decode(self.encode(samples, condition), condition)

    def filters(self) -> Tensor | None:
        """The first layer's weights as samples, [units, *sample_shape]; None unless it sees all values at once."""
        linears = getattr(self.autoencoder.encoder, "linears", None)
        if not linears:
            return None
        weights = linears[0].weight.detach()
        return weights[:, : self.values_per_sample].unflatten(1, self.sample_shape)

    def _refuse_what_does_not_fit(self, output: str) -> None:
        if self.reconstruction == "bernoulli" and not self.of_images:
            raise ConfigError(
                "model.reconstruction=bernoulli: it is a likelihood of values in [0, 1], and this data set holds "
                "points; set model.reconstruction=gaussian"
            )
        if self.reconstruction == "bernoulli" and output == "linear":
            raise ConfigError(
                "model.output=linear: a Bernoulli likelihood has probabilities; set model.output=auto, or another "
                "model.reconstruction"
            )
        if self.std == "learned" and self.reconstruction != "gaussian":
            raise ConfigError(
                f"model.std=learned: model.reconstruction={self.reconstruction} has no standard deviation; "
                "set model.reconstruction=gaussian"
            )
        if self.reconstruction != "gaussian" and self.std not in ("learned", 1.0):
            raise ConfigError(
                f"model.std={self.std:g}: model.reconstruction={self.reconstruction} has no standard deviation; "
                "leave it at 1, or set model.reconstruction=gaussian"
            )
        if self.undercomplete and self.latent_dim >= self.values_per_sample:
            raise ConfigError(
                f"model.latent_dim={self.latent_dim}: a code at least as wide as a sample's {self.values_per_sample} "
                "values may copy it; set it lower, or choose a model with a price on its code "
                "(model=sparse_ae, denoising_ae, contractive_ae)"
            )


def _as_it_is(outputs: Tensor) -> Tensor:
    return outputs
