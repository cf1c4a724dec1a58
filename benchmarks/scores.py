"""How fast scores are, against the library that has them too: each row is a ratio of times in the same run.

    python benchmarks/scores.py                   # Fréchet distance at 2,048 features, against torchmetrics
    python benchmarks/scores.py neighbours        # precision, recall, density, coverage: time, peak memory

The rivals are called one after the other, several times over; told are the median of the ratios and their range.
"""

import resource
import statistics
import sys
import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from ganlab.metrics.frechet import FrechetDistance, GaussianStatistics
from ganlab.metrics.neighbours import ManifoldMetrics

FEATURES = 2048
ROUNDS = 5


class Given(nn.Module):
    """Hands features through to torchmetrics, which wants a network on images."""

    num_features = FEATURES

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


def features(count: int, seed: int) -> Tensor:
    """float32 [count, 2048] as networks make them: a random network's rectified answers to 512 latents.

    Another seed, another distribution: the latents' scales differ.
    """
    network, random = torch.Generator().manual_seed(0), torch.Generator().manual_seed(seed + 1)
    first = torch.randn(512, 2 * FEATURES, generator=network) / 512**0.5
    second = torch.randn(2 * FEATURES, FEATURES, generator=network) / FEATURES**0.5
    scale = torch.rand(512, generator=random) + 0.5
    parts = (torch.randn(count, 512, generator=random) * scale).split(1000)
    return torch.cat([((part @ first).relu() @ second).relu() for part in parts])


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def frechet(count: int) -> None:
    """compute() of both on the same features, the reference's statistics known to both."""
    real, generated = features(count, 0), features(count, 1)
    theirs = FrechetInceptionDistance(feature=Given(), normalize=True).set_dtype(torch.float64)
    for rows, is_real in ((real, True), (generated, False)):
        for part in rows.double().split(500):
            theirs.update(part[:, :, None, None], real=is_real)
    statistics_of_real = GaussianStatistics.of(real)
    factor = seconds(lambda: GaussianStatistics.of(real))
    ours = FrechetDistance(statistics_of_real)
    ours.update(generated)
    ratios, own = [], []
    for _ in range(ROUNDS):
        ours._computed = theirs._computed = None
        own.append(seconds(ours.compute))
        ratios.append(seconds(theirs.compute) / own[-1])
    difference = abs(float(ours.compute()) / float(theirs.compute()) - 1)
    print(
        f"Fréchet distance, {count:,} × {FEATURES:,}: {statistics.median(own):.2f} s, torchmetrics "
        f"×{statistics.median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f}) the time; values differ by "
        f"{difference:.0e}; the reference's statistics {factor:.1f} s, once"
    )


def neighbours(count: int) -> None:
    """Precision, recall, density and coverage of two sets of so many samples."""
    real, generated = features(count, 0), features(count, 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    metric = ManifoldMetrics(real)
    metric.update(generated)
    took = seconds(metric.compute)
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"precision, recall, density, coverage, {count:,} × {FEATURES:,}: {took:.0f} s, {more:,.0f} MiB above the "
        f"features' {2 * real.nbytes / 2**20:,.0f} MiB (a matrix of distances would be {count**2 * 8 / 2**20:,.0f})"
    )


def main() -> None:
    warnings.filterwarnings("ignore")
    if "neighbours" in sys.argv[1:]:
        for count in (2_000, 10_000):
            neighbours(count)
    else:
        for count in (10_000, 1_000):
            frechet(count)


if __name__ == "__main__":
    main()
