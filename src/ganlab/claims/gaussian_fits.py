"""How far one Gaussian is from a mixture of two by each f-divergence, by integration (Nowozin et al. 2016, table 1)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import minimize

X = np.linspace(-16, 18, 3401)
"""Where densities are integrated."""
Logs = np.ndarray

_INTEGRANDS: dict[str, Callable[[Logs, Logs], np.ndarray]] = {
    "kl": lambda p, q: np.exp(p) * (p - q),
    "reverse_kl": lambda p, q: np.exp(q) * (q - p),
    "pearson": lambda p, q: np.exp(2 * p - q) - 2 * np.exp(p) + np.exp(q),
    "neyman": lambda p, q: np.exp(2 * q - p) - 2 * np.exp(q) + np.exp(p),
    "squared_hellinger": lambda p, q: (np.exp(p / 2) - np.exp(q / 2)) ** 2,
    "jensen_shannon": lambda p, q: np.exp(p) * (p - _middle(p, q)) + np.exp(q) * (q - _middle(p, q)),
    "total_variation": lambda p, q: np.abs(np.exp(p) - np.exp(q)) / 2,
}
"""Of log p, the real density's, and log q; `jensen_shannon` is twice the divergence of that name, as f-GAN has it."""


def _middle(p: Logs, q: Logs) -> Logs:
    return np.logaddexp(p, q) - np.log(2)


def log_normal(x: np.ndarray, mean: float, std: float) -> Logs:
    """The logarithm of the density of N(mean, std²)."""
    return -0.5 * ((x - mean) / std) ** 2 - np.log(std * np.sqrt(2 * np.pi))


@dataclass(frozen=True)
class Mixture:
    """Two Gaussians on the line, the first with probability `share`."""

    share: float
    means: tuple[float, float]
    stds: tuple[float, float]

    def log_density(self, x: np.ndarray) -> Logs:
        first, second = (log_normal(x, mean, std) for mean, std in zip(self.means, self.stds, strict=True))
        return np.logaddexp(first + np.log(self.share), second + np.log(1 - self.share))


NEAR = Mixture(0.65, (2.0, -0.8), (0.8, 0.9))
"""Its modes overlap."""
APART = Mixture(0.65, (2.0, -4.0), (0.8, 0.9))
"""The same with the second mode farther away."""


def divergence(name: str, mixture: Mixture, mean: float, std: float) -> float:
    """Of the mixture and N(mean, std²), over the interval of X, in nats.

    "gan" is "jensen_shannon" less log 4. Neyman's is infinite for a Gaussian of wide tails, which no interval shows.
    """
    if name == "gan":
        return divergence("jensen_shannon", mixture, mean, std) - float(np.log(4))
    with np.errstate(over="ignore", invalid="ignore"):
        integrand = _INTEGRANDS[name](_real(mixture), log_normal(X, mean, std))
    return float(np.nan_to_num(np.trapezoid(integrand, X), nan=np.inf))


@cache
def _real(mixture: Mixture) -> Logs:
    return mixture.log_density(X)


def optimum(name: str, mixture: Mixture) -> tuple[float, float]:
    """Mean and standard deviation of the nearest Gaussian, found from a wide start and from one at each mode."""
    starts = [(1.0, 1.5), *zip(mixture.means, mixture.stds, strict=True)]
    found = [
        minimize(
            lambda at: divergence(name, mixture, at[0], float(np.exp(at[1]))),
            [mean, np.log(std)],
            method="Nelder-Mead",
            options={"xatol": 1e-5},
        )
        for mean, std in starts
    ]
    best = min(found, key=lambda result: float(result.fun))
    return float(best.x[0]), float(np.exp(best.x[1]))
