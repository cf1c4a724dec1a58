import math

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from ganlab.metrics.mixture import MixtureModes, StackedModes
from two_processes import on_two_ranks

CORNERS = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])


def ring(count=8, radius=2.0):
    angles = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
    return radius * torch.stack([angles.cos(), angles.sin()], dim=1).float()


def at(counts, offset=(0.0, 0.0), modes=CORNERS):
    """So many points at each mode, off it by `offset`."""
    return modes.repeat_interleave(torch.tensor(counts), dim=0) + torch.tensor(offset)


def scored(points, modes=CORNERS, std=0.1, batch=1000, **options):
    metric = MixtureModes(modes, std, **options)
    for part in points.split(batch):
        metric.update(part)
    return {name: value.item() for name, value in metric.compute().items()}


def stacked(triples, digits=10):
    """Logits [n, 3, digits] of a classifier that reads these digits off the channels."""
    return 9 * torch.nn.functional.one_hot(torch.as_tensor(triples), digits).float() - 3


def stacked_scores(logits, digits=10, batch=1000):
    metric = StackedModes(digits)
    for part in logits.split(batch):
        metric.update(part)
    return {name: value.item() for name, value in metric.compute().items()}


def test_a_sample_is_good_within_three_standard_deviations_of_its_mode():
    """Off by (0.24, 0.17) is 0.294 away, by (0.24, 0.19) 0.306: the Euclidean distance, against 0.3."""
    good, bad = at([3, 0, 0, 0], (0.24, 0.17)), at([0, 5, 0, 0], (0.24, 0.19))
    expected = {"modes": 1, "modes_strict": 1, "high_quality": 3 / 8, "mode_kl": entropy([3, 5, 0, 0], [1, 1, 1, 1])}
    assert scored(torch.cat([good, bad])) == pytest.approx(expected, rel=1e-12)
    assert scored(torch.cat([good, bad]), threshold=3.1)["high_quality"] == 1
    assert scored(torch.cat([good, bad]), threshold=2.9)["high_quality"] == 0


def test_the_border_is_good():
    assert scored(at([1, 0, 0, 0], (0.5, 0.0)), std=0.25, threshold=2.0)["high_quality"] == 1
    assert scored(at([1, 0, 0, 0], (0.50001, 0.0)), std=0.25, threshold=2.0)["high_quality"] == 0


@pytest.mark.parametrize("second", [1, 3, 4, 5, 20])
def test_a_strict_mode_has_a_fifth_of_its_fair_share(second):
    """100 samples, four modes: the share is 25, a fifth of it 5."""
    found = scored(at([100 - second, second, 0, 0]))
    assert (found["modes"], found["modes_strict"]) == (2, 1 + (second >= 5))


def test_the_fair_share_is_of_all_samples_and_only_good_ones_fill_it():
    lucky = torch.cat([at([1, 1, 1, 1]), at([24, 24, 24, 24], (0.5, 0.5))])
    found = scored(lucky)
    assert found == pytest.approx({"modes": 4, "modes_strict": 0, "high_quality": 0.04, "mode_kl": 0}, abs=1e-12)
    assert scored(torch.cat([at([5, 5, 5, 4]), at([20, 20, 20, 21], (0.5, 0.5))]))["modes_strict"] == 3


def test_one_mode_of_k_has_a_divergence_of_log_k():
    assert scored(at([50, 0, 0, 0]))["mode_kl"] == pytest.approx(math.log(4), rel=1e-12)
    assert scored(at([10, 10, 10, 10]))["mode_kl"] == 0


def test_the_divergence_is_scipys_over_all_samples():
    random = np.random.default_rng(0)
    points, modes = random.normal(size=(500, 3)), random.normal(size=(30, 3))
    nearest = np.linalg.norm(points[:, None] - modes, axis=2)
    counts = np.bincount(nearest.argmin(1), minlength=30)
    found = scored(torch.tensor(points), torch.tensor(modes), std=0.2)
    assert found["mode_kl"] == pytest.approx(entropy(counts, np.ones(30)), rel=1e-12)
    good = nearest.min(1) <= 0.6
    assert 0.2 < good.mean() < 0.8
    per_mode = np.bincount(nearest.argmin(1)[good], minlength=30)
    strict = (per_mode >= 0.2 * 500 / 30).sum()
    assert strict < (per_mode > 0).sum() < 30
    assert (found["modes"], found["modes_strict"]) == ((per_mode > 0).sum(), strict)
    assert found["high_quality"] == pytest.approx(good.mean(), rel=1e-12)


@pytest.mark.parametrize("threshold", [1.0, 3.0])
def test_a_perfect_sampler(threshold):
    """In the plane the squared distance over the variance is exponential: 1 - exp(-threshold^2 / 2) are good.

    At 3 that is 0.98889. The binomial error over 200,000 is below 0.0011; the divergence has mean 7 / 400,000 and
    its fourfold is past the 0.9999 quantile of a chi-square of 7 degrees.
    """
    random, count = torch.Generator().manual_seed(0), 200_000
    points = ring()[torch.randint(8, (count,), generator=random)] + 0.02 * torch.randn(count, 2, generator=random)
    found = scored(points, ring(), 0.02, threshold=threshold, batch=70_000)
    share = 1 - math.exp(-(threshold**2) / 2)
    assert found["high_quality"] == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / count))
    assert found["modes"] == found["modes_strict"] == 8
    assert 0 < found["mode_kl"] < 4 * 7 / (2 * count)


def test_a_collapsed_mode_without_width_divides_by_nothing():
    exact, near = at([3, 3, 0, 0]), at([2, 0, 0, 0], (1e-6, 0.0))
    assert scored(torch.cat([exact, near]), std=0.0) == pytest.approx(
        {"modes": 2, "modes_strict": 2, "high_quality": 0.75, "mode_kl": entropy([5, 3, 0, 0], [1, 1, 1, 1])}
    )


def test_narrow_modes_far_out_are_not_blurred():
    modes = torch.tensor([[1e4, 1e4], [1e4, 1e4 + 1]], dtype=torch.float64)
    points = at([30, 30], (0.0, 2**-14), modes)
    assert scored(points, modes, 2**-15)["high_quality"] == 1
    assert scored(points, modes, 2**-16)["high_quality"] == 0


def test_a_sample_that_is_not_finite_is_bad():
    points = at([4, 4, 0, 0])
    points[0, 1], points[5, 0] = torch.nan, torch.inf
    found = scored(points)
    assert (found["modes"], found["modes_strict"], found["high_quality"]) == (2, 2, 0.75)
    assert math.isnan(found["mode_kl"])
    found = scored(torch.full((5, 2), torch.nan))
    assert (found["modes"], found["high_quality"]) == (0, 0) and math.isnan(found["mode_kl"])


def test_modes_in_one_place_are_refused():
    """A ring with both ends of linspace(0, 2 pi, 8), which coincide but for rounding."""
    angles = torch.linspace(0, 2 * math.pi, 8)
    twice = torch.stack([angles.cos(), angles.sin()], dim=1)
    assert len(twice.unique(dim=0)) == 8
    for modes in (twice, CORNERS.repeat(2, 1), torch.zeros(0, 2), torch.full((1, 2), torch.nan)):
        with pytest.raises(ValueError, match="no two in the same place"):
            MixtureModes(modes, 0.1)
    assert scored(torch.zeros(3, 2), torch.zeros(1, 2))["modes"] == 1


def test_a_stack_of_digits_is_one_of_a_thousand():
    """Which channel shows which digit counts: (1, 2, 3) is not (3, 2, 1)."""
    found = stacked_scores(stacked([[1, 2, 3], [3, 2, 1], [2, 1, 3], [1, 2, 3], [0, 0, 0], [9, 9, 9]]))
    assert found == pytest.approx({"modes": 5, "mode_kl": entropy([2, 1, 1, 1, 1] + [0] * 995, np.ones(1000))})


@pytest.mark.parametrize("digits", [2, 10])
def test_all_stacks_evenly_have_no_divergence(digits):
    every = torch.cartesian_prod(*[torch.arange(digits)] * 3)
    assert stacked_scores(stacked(every, digits), digits) == pytest.approx(
        {"modes": digits**3, "mode_kl": 0}, abs=1e-12
    )
    one = stacked_scores(stacked(every[:1].repeat(5, 1), digits), digits)
    assert one == pytest.approx({"modes": 1, "mode_kl": 3 * math.log(digits)}, rel=1e-12)


@pytest.mark.parametrize("count", [1000, 26_000])
def test_a_perfect_sampler_of_stacks(count):
    """Expected are 1000 (1 - 0.999^n) modes and, to first order, 999 / 2n nats: the floor, 0.0192 at 26,000."""
    triples = torch.randint(10, (count, 3), generator=torch.Generator().manual_seed(0))
    found = stacked_scores(stacked(triples))
    assert found["modes"] == pytest.approx(1000 * (1 - 0.999**count), abs=40)
    counts = np.bincount(triples.numpy() @ [100, 10, 1], minlength=1000)
    assert found["mode_kl"] == pytest.approx(entropy(counts, np.ones(1000)), rel=1e-10)
    if count == 26_000:
        # The chi-square's standard deviation is sqrt(2 * 999) / 2n = 0.00086.
        assert found["mode_kl"] == pytest.approx(999 / (2 * count), abs=4 * 0.00086)


@pytest.mark.parametrize(
    ("make", "samples"),
    [
        (lambda: MixtureModes(CORNERS, 0.3), torch.randn(200, 2, generator=torch.Generator().manual_seed(0))),
        (lambda: StackedModes(4), torch.randn(200, 3, 4, generator=torch.Generator().manual_seed(0))),
    ],
)
def test_batches_ranks_autocast_and_gradients_are_without_effect(make, samples):
    whole = make()
    whole.update(samples)
    expected = whole.compute()

    def score(rank):
        metric = make()
        for part in (samples[:3], samples[3:150], samples[150:150], samples[150:])[rank::2]:
            metric.update(part)
        return metric.compute()

    for found in on_two_ranks(score):
        assert found == expected
    pieces = make()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for part in samples.split(7):
            pieces.update(part.clone().requires_grad_())
        found = pieces.compute()
    assert found == expected
    assert all(value.dtype == torch.float64 and value.ndim == 0 for value in found.values())
    assert list(whole.parameters()) == [] and whole.state_dict() == {}


def test_wrong_input_has_a_line():
    with pytest.raises(ValueError, match="3 dimensions, those of the reference 2"):
        MixtureModes(CORNERS, 0.1).update(torch.zeros(4, 3))
    for options in ({"std": -0.1}, {"std": math.nan}, {"std": 0.1, "threshold": 0.0}):
        with pytest.raises(ValueError, match="std must not be negative and threshold positive"):
            MixtureModes(CORNERS, **options)
    with pytest.raises(ValueError, match="digits is 1"):
        StackedModes(1)
    with pytest.raises(ValueError, match=r"logits must be \[n, 3, 10\]; got \[4, 3, 9\]"):
        StackedModes().update(torch.zeros(4, 3, 9))
    with pytest.raises(ValueError, match="logits must be floats of 3 dimensions"):
        StackedModes().update(torch.zeros(4, 10))
    for metric, nothing in ((MixtureModes(CORNERS, 0.1), CORNERS[:0]), (StackedModes(), torch.zeros(0, 3, 10))):
        metric.update(nothing)
        with pytest.raises(ValueError, match="no samples to count"):
            metric.compute()
