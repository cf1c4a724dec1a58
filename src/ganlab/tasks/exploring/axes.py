"""Directions in which a latent is moved by hand: its own dimensions, or those that change the sample most."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

DIGITS = 2
"""Coordinates are shown, and chosen, to hundredths."""
STEP = 0.25
"""How far to either side of a latent the sample is looked at, in coordinates: a difference that can be seen, so that
no kink of a network counts for more than it shows."""
MOST_DECODED, FEWEST_BASES, MOST_BASES = 2048, 4, 32


@dataclass(frozen=True)
class Cloud:
    """Where a model's latents lie: `centre` [d] + `root` [d, d] @ y, with y of mean 0 and covariance 1.

    `reach`: the largest coordinate that is offered, in `unit`s. Of a uniform prior y has the prior's range instead, and
    latents are kept `within` it. What is no noise (codes, of which each has a control of its own) has zeros in `root`.
    """

    centre: Tensor
    root: Tensor
    reach: float = 3.0
    unit: str = "standard deviations"
    within: float | None = None

    @classmethod
    def of_prior(cls, prior: str, dims: int, noise_dims: int) -> "Cloud":
        """Of latents whose first `noise_dims` numbers are noise: standard normal, or uniform on [-1, 1]."""
        root = torch.diag((torch.arange(dims) < noise_dims).double())
        if prior == "uniform":
            return cls(torch.zeros(dims).double(), root, 1.0, "the prior's range", within=1.0)
        return cls(torch.zeros(dims).double(), root)

    @classmethod
    def of_codes(cls, codes: Tensor) -> "Cloud":
        """Of the codes [n, d] of samples: their mean, and the symmetric root of their covariance."""
        codes = codes.double()
        values, vectors = torch.linalg.eigh(codes.T.cov(correction=0).reshape(codes.shape[1], -1))
        return cls(codes.mean(0), vectors * values.clamp_min(0).sqrt() @ vectors.T)

    @property
    def moving(self) -> Tensor:
        """Which dimensions vary at all, int64."""
        spread = self.root.norm(dim=1)
        return (spread > 1e-6 * spread.max()).nonzero().squeeze(1)


@dataclass(frozen=True)
class Axes:
    """k directions of a cloud with a coordinate each: `steps` [k, d] is what one unit adds to a latent, and
    `readers` [k, d] @ (latent - centre) are its coordinates; readers @ stepsᵀ = 1.

    `names`: one for each, for people; of a principal direction with its share of the trace of E[JᵀJ].
    """

    cloud: Cloud
    names: list[str]
    steps: Tensor
    readers: Tensor

    def coordinates(self, latent: Tensor) -> list[float]:
        """Of a latent [d], to hundredths and no farther out than the cloud's reach."""
        exact = self._exact(latent).clamp(-self.cloud.reach, self.cloud.reach)
        return [round(coordinate, DIGITS) + 0.0 for coordinate in exact.tolist()]

    def moved(self, latent: Tensor, coordinates: Sequence[float]) -> Tensor:
        """A latent [d] with these coordinates; those that are the shown ones of the latent stay exactly as they are."""
        wanted = torch.tensor(coordinates, dtype=torch.float64)
        shown = torch.tensor(self.coordinates(latent), dtype=torch.float64)
        changed = (wanted - shown).abs() > 0.5 * 10**-DIGITS
        way = torch.where(changed, wanted - self._exact(latent), 0.0)
        moved = latent.double().cpu() + way @ self.steps
        if self.cloud.within is not None:
            moved = moved.clamp(-self.cloud.within, self.cloud.within)
        return moved.to(latent)

    def _exact(self, latent: Tensor) -> Tensor:
        return self.readers @ (latent.double().cpu() - self.cloud.centre)


def own_axes(cloud: Cloud, most: int) -> Axes:
    """The first dimensions of the latents that vary, `most` at most; a unit is a dimension's standard deviation."""
    dims = cloud.moving[:most]
    spread = cloud.root.norm(dim=1)[dims, None]
    units = torch.eye(len(cloud.centre), dtype=torch.float64)[dims]
    return Axes(cloud, [f"latent {index + 1}" for index in dims.tolist()], units * spread, units / spread)


def principal_axes(cloud: Cloud, decode: Callable[[Tensor, Tensor], Tensor], latents: Tensor, most: int) -> Axes:
    """The directions that change the sample most, `most` at most, the strongest first.

    They are the eigenvectors of E[JᵀJ], J the Jacobian of the sample with respect to y (`Cloud`): the mean of the
    metric that pixels give to the latent space (Wang & Ponce, "The geometry of deep generative image models and its
    applications", 2021; theirs is of a perceptual distance). Of a linear map these are its right singular vectors, and
    of an autoencoder the principal components of what it gives back. J is by differences of `STEP` to either side.

    Args:
        decode: latents [n, d] and the numbers [n] of the latents that they are near to samples [n, …].
        latents: [m, d], where the mean is taken; about 2,048 samples are decoded, and as many latents used as fit.
    """
    metric = _metric(cloud, decode, latents[: _bases(cloud)])
    values, vectors = torch.linalg.eigh(metric)
    values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
    kept = min(most, int((values > 1e-9 * values[0]).sum()), len(cloud.moving))
    # An eigenvector's sign is chance: its largest number is positive here.
    largest = vectors[:, :kept].abs().argmax(0)
    signs = vectors[largest, torch.arange(kept)].sign()
    directions = vectors[:, :kept] * signs
    share = values / values.sum() if values.sum() > 0 else values
    names = [f"direction {index + 1} ({_percent(float(share[index]))})" for index in range(kept)]
    inverse = torch.linalg.pinv(cloud.root, hermitian=True)
    return Axes(cloud, names, (cloud.root @ directions).T, (inverse @ directions).T)


def _percent(share: float) -> str:
    return "<1 %" if share < 0.005 else f"{100 * share:.0f} %"


def _bases(cloud: Cloud) -> int:
    """At how many latents the Jacobian is taken."""
    return max(FEWEST_BASES, min(MOST_BASES, MOST_DECODED // (2 * max(1, len(cloud.moving)))))


def _metric(cloud: Cloud, decode: Callable[[Tensor, Tensor], Tensor], latents: Tensor) -> Tensor:
    """The mean of JᵀJ over latents [m, d], in the coordinates y: float64 [d, d]."""
    total = torch.zeros_like(cloud.root)
    # All of `root`: of codes it mixes the dimensions, and a dimension that never varies has a row of zeros.
    columns = cloud.root.T[cloud.root.T.norm(dim=1) > 0]
    places = (cloud.root.T.norm(dim=1) > 0).nonzero().squeeze(1)
    for number, latent in enumerate(latents):
        base = latent.double().cpu()
        both = torch.cat([base + STEP * columns, base - STEP * columns])
        near = torch.full((len(both),), number)
        made = decode(both.to(latent), near).double().cpu().flatten(1).nan_to_num()
        jacobian = (made[: len(columns)] - made[len(columns) :]) / (2 * STEP)
        total[places[:, None], places] += jacobian @ jacobian.T
    return total / max(1, len(latents))
