"""Plain PyTorch loops, as anyone would write them: what ganlab's speed is measured against.

They have the networks, batches, data and optimizers of a configuration, and nothing else: no averaged generator,
nothing frozen or fused, no memory format, losses read every 50 iterations. `steps` yields after each iteration.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits, mse_loss

from ganlab.tasks import building

LOG_EVERY = 50
OPTIMIZERS = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}
OPTIONS = ("lr", "betas", "eps", "alpha", "momentum", "weight_decay")


def cross_entropy(scores: Tensor, real: bool) -> Tensor:
    return binary_cross_entropy_with_logits(scores, torch.full_like(scores, float(real)))


def least_squares(scores: Tensor, real: bool) -> Tensor:
    return mse_loss(scores, torch.full_like(scores, float(real)))


def wasserstein(scores: Tensor, real: bool) -> Tensor:
    return -scores.mean() if real else scores.mean()


LOSSES: dict[str, Callable[[Tensor, bool], Tensor]] = {
    "lsgan": least_squares,
    "wgan": wasserstein,
    "wgan_gp": wasserstein,
}
"""By model; cross-entropy for all others."""


def gradient_penalty(critic: Any, real: Tensor, fake: Tensor, condition: Tensor | None) -> Tensor:
    shares = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device)
    between = (shares * real + (1 - shares) * fake).requires_grad_()
    scores = critic(between, condition)
    (gradient,) = torch.autograd.grad(scores, between, torch.ones_like(scores), create_graph=True)
    return ((gradient.flatten(1).norm(2, dim=1) - 1) ** 2).mean()


def optimizer_of(network: torch.nn.Module, config: dict[str, Any]) -> torch.optim.Optimizer:
    options = {key: config[key] for key in OPTIONS if key in config}
    return OPTIMIZERS[config["algorithm"]](network.parameters(), **options)


def steps(settings: dict[str, Any], device: str = "cpu") -> Iterator[None]:
    """One iteration of the configured model at each `next`."""
    model = building.build_model(settings).to(device)
    data = building.build_data(settings, model)
    data.setup()
    loop = autoencoder_steps if model.reconstructs else adversarial_steps
    return loop(model, iter(data.train_dataloader()), settings, device)


def adversarial_steps(model: Any, batches: Iterator[Any], settings: dict[str, Any], device: str) -> Iterator[None]:
    generator, discriminator = model.generator, model.discriminator
    optimizer_g = optimizer_of(generator, settings["optimizer"]["generator"])
    optimizer_d = optimizer_of(discriminator, settings["optimizer"]["discriminator"])
    loss, updates = LOSSES.get(model.name, cross_entropy), model.discriminator_updates
    weight, clip = settings["model"].get("gradient_penalty", 0), settings["model"].get("clip")
    iteration = 0
    while True:
        batch = next(batches)
        conditions = model.condition_vectors(batch.conditions)
        for number, real in enumerate(batch.samples.to(device).chunk(updates)):
            condition = None if conditions is None else conditions.to(device).chunk(updates)[number]
            optimizer_d.zero_grad()
            loss_real = loss(discriminator(real, condition), True)
            loss_real.backward()
            fake = generator(torch.randn(len(real), model.latent_dim, device=device), condition)
            loss_fake = loss(discriminator(fake.detach(), condition), False)
            loss_fake.backward()
            if weight:
                (weight * gradient_penalty(discriminator, real, fake.detach(), condition)).backward()
            optimizer_d.step()
            if clip is not None:
                for parameter in discriminator.parameters():
                    parameter.data.clamp_(-clip, clip)
        optimizer_g.zero_grad()
        loss_g = loss(discriminator(fake, condition), True)
        loss_g.backward()
        optimizer_g.step()
        iteration += 1
        if iteration % LOG_EVERY == 0:
            loss_real.item(), loss_fake.item(), loss_g.item()
        yield


def autoencoder_steps(model: Any, batches: Iterator[Any], settings: dict[str, Any], device: str) -> Iterator[None]:
    coders = model.autoencoder
    optimizer = optimizer_of(coders, settings["optimizer"]["autoencoder"])
    iteration = 0
    while True:
        values = (next(batches).samples.to(device) + 1) / 2
        optimizer.zero_grad()
        if model.name == "vae":
            mean, log_variance = coders.encoder(values).chunk(2, dim=1)
            codes = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
            made = torch.sigmoid(coders.decoder(codes))
            divergence = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
            loss = (binary_cross_entropy(made, values, reduction="sum") + divergence) / len(values)
        else:
            loss = mse_loss(torch.sigmoid(coders.decoder(coders.encoder(values))), values, reduction="sum")
            loss = loss / len(values)
        loss.backward()
        optimizer.step()
        iteration += 1
        if iteration % LOG_EVERY == 0:
            loss.item()
        yield
