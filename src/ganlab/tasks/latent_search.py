"""The latents whose samples agree with the visible part of images (Amos 2016; Yeh et al. 2017)."""

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ganlab.errors import ConfigError, TrainingError
from ganlab.metrics.inpainting import context_losses, context_weights, normal_losses
from ganlab.models.base import LatentPart


@dataclass(frozen=True)
class Search:
    """Minimises context + `prior_weight` · realism + `latent_weight` · -log p(z) of each start by itself, with Adam.

    `context`: of visible pixels, weighted by their nearness to the hole (`ganlab.metrics.inpainting`). Realism is
    the generator's loss, where the model judges. -log p(z) is that of normal latents; uniform ones are held to their
    range, and one-hot codes stay as they are drawn. The step size falls from `step_size` to 0 along a cosine.
    """

    steps: int
    step_size: float
    context: Literal["absolute", "squared"]
    window: int
    prior_weight: float
    latent_weight: float
    batch: int


class Found(NamedTuple):
    """Of each image the best of its starts: its latent [n, latent_dim], sample [n, …], condition or None, loss [n] and
    number [n]."""

    latents: Tensor
    samples: Tensor
    conditions: Tensor | None
    losses: Tensor
    starts: Tensor


def starts_of(model: Any, count: int, restarts: int, draws: int, seed: int) -> Tensor:
    """Latents to start from, [draws, count, restarts, latent_dim] on the CPU: so many draws from the prior a start.

    The first one-hot code, if there is one, takes its values in turn. Raises `ConfigError` for fewer restarts than
    it has values: some would be left out.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = model.latents(draws * count * restarts, generator).cpu().view(draws, count, restarts, -1)
    first = 0
    for kind, size in model.latent_parts:
        if kind == "one_hot":
            if restarts < size:
                raise ConfigError(
                    f"restarts={restarts}: the starts are to take {size} values of a code in turn; set restarts={size} "
                    "or more"
                )
            drawn[..., first : first + size] = one_hot(torch.arange(restarts) % size, size).to(drawn)
            break
        first += size
    return drawn


def search(
    model: Any, given: Tensor, hidden: Tensor, starts: Tensor, conditions: Tensor | None, settings: Search
) -> Found:
    """The best start of each image after the search, all on the CPU; so many latents at a time as `settings.batch`.

    Args:
        model: in eval mode, its weights frozen.
        given: [n, channels, height, width] in [-1, 1]; what it has in the hole is not looked at.
        hidden: bool [n, 1, height, width].
        starts: [draws, n, restarts, latent_dim]: each start is the draw with the least loss.
        conditions: of each start, [n, restarts] or [n, restarts, k].

    Raises `TrainingError` if no start of an image comes to finite numbers.
    """
    given = torch.where(hidden, 0.0, given)
    weights = context_weights(hidden, settings.window)
    restarts, device = starts.shape[2], model.device
    found: list[Found] = []
    for rows in torch.arange(len(given)).split(max(1, settings.batch // restarts)):
        targets, own = (part[rows].to(device).repeat_interleave(restarts, dim=0) for part in (given, weights))
        condition = None if conditions is None else conditions[rows].flatten(0, 1).to(device)
        aim = Aim(model, targets, own, condition, settings)
        latents = descended(aim, best_draws(aim, starts[:, rows].flatten(1, 2)))
        found.append(best_starts(aim, latents, len(rows)))
    if not all(part.losses.isfinite().all() for part in found):
        raise TrainingError(f"no search came to finite numbers: iteration {model.iteration} makes no images")
    together: list[Any] = [None if parts[0] is None else torch.cat(parts) for parts in zip(*found, strict=True)]
    return Found(*together)


@dataclass(frozen=True)
class Aim:
    """What m latents are to come to: `targets` [m, …] with their `weights` [m, 1, …], under `condition` [m, …]."""

    model: Any
    targets: Tensor
    weights: Tensor
    condition: Tensor | None
    settings: Search

    def __call__(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """The whole loss of each latent [m], infinite where it is no number, and its sample."""
        model, settings = self.model, self.settings
        samples = model.decode_with_graph(latents, self.condition)
        losses = context_losses(samples, self.targets, self.weights, squared=settings.context == "squared")
        if model.judges and settings.prior_weight:
            losses = losses + settings.prior_weight * model.realism_losses(samples, self.condition)
        if settings.latent_weight:
            losses = losses + settings.latent_weight * normal_losses(latents * self.which("normal"))
        return torch.where(losses.isfinite(), losses, math.inf), samples

    def which(self, wanted: LatentPart) -> Tensor:
        """Which numbers of a latent are of a kind: bool [latent_dim]."""
        kinds = [kind for kind, size in self.model.latent_parts for _ in range(size)]
        return torch.tensor([kind == wanted for kind in kinds], device=self.model.device)


@torch.no_grad()
def best_draws(aim: Aim, draws: Tensor) -> Tensor:
    """Of each start's draws [draws, m, latent_dim] that with the least loss, [m, latent_dim] on the model's device."""
    best, least = draws[0].to(aim.model.device, copy=True), None
    for drawn in draws if len(draws) > 1 else ():
        latents = drawn.to(best.device)
        losses, _ = aim(latents)
        better = losses < least if least is not None else torch.ones_like(losses, dtype=torch.bool)
        best[better] = latents[better]
        least = losses if least is None else torch.minimum(losses, least)
    return best


def descended(aim: Aim, latents: Tensor) -> Tensor:
    """Latents [m, latent_dim] after the steps of the search."""
    settings = aim.settings
    uniform, fixed = aim.which("uniform"), aim.which("one_hot")
    latents = latents.clone().requires_grad_()
    optimizer = torch.optim.Adam([latents], lr=settings.step_size)
    for step in range(settings.steps):
        optimizer.param_groups[0]["lr"] = settings.step_size * (1 + math.cos(math.pi * step / settings.steps)) / 2
        losses, _ = aim(latents)
        (latents.grad,) = torch.autograd.grad(losses.sum(), latents)
        latents.grad.masked_fill_(fixed, 0.0)
        optimizer.step()
        with torch.no_grad():
            latents.copy_(torch.where(uniform, latents.clamp(-1, 1), latents))
    return latents.detach()


@torch.no_grad()
def best_starts(aim: Aim, latents: Tensor, count: int) -> Found:
    """Of each of `count` images the latent of [m, latent_dim] with the least loss, image by image."""
    losses, samples = aim(latents)
    least, best = losses.view(count, -1).min(1)
    rows = torch.arange(count, device=best.device) * (len(latents) // count) + best
    told = None if aim.condition is None else aim.condition[rows].cpu()
    return Found(latents[rows].cpu(), samples[rows].float().cpu(), told, least.cpu(), best.cpu())
