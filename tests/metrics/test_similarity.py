import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from sklearn.datasets import load_digits
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as ms_ssim

from ganlab.metrics.similarity import PairSimilarity, draw_pairs, window
from two_processes import on_two_ranks

TOLERANCE = 2e-5
"""Of float32, beside oracles in float64."""


def noise(count, size, channels=1, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, channels, size, size), generator=random, dtype=torch.uint8)


def blobs(count, size, channels=1, seed=0):
    """Smooth images that have a part in common, uint8: structures as large as an eighth of the image, some noise."""
    coarse = 0.6 * noise(count, 8, channels, seed).float() + 0.4 * noise(1, 8, channels, seed + 1).float()
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")
    return (smooth + noise(count, size, channels, seed + 2).float() / 20).clamp(0, 255).to(torch.uint8)


@pytest.fixture(scope="module")
def digits():
    """Images uint8 [1797, 1, 8, 8] and labels."""
    data = load_digits()
    return torch.tensor(data.images * 255 / 16).round().to(torch.uint8).unsqueeze(1), torch.tensor(data.target)


def scored(images, labels=None, batch=1000, **options):
    metric = PairSimilarity(**options)
    for i in range(0, len(images), batch):
        metric.update(images[i : i + batch], None if labels is None else labels[i : i + batch])
    return metric.compute().item()


@pytest.mark.parametrize(
    ("size", "channels"), [(3, 1), (8, 1), (8, 3), (16, 3), (28, 1), (64, 1), (64, 3), (128, 1), (256, 3)]
)
def test_copies_of_one_image_score_1(size, channels):
    """Flat white ones are float32's worst case: their variances are the difference of large numbers."""
    images = blobs(1, size, channels).repeat(3, 1, 1, 1)
    assert scored(images, pairs=1) == pytest.approx(1, abs=TOLERANCE)
    if size < 256:
        assert scored(torch.full_like(images, 255), pairs=2) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("size", "kernel", "sigma", "weights"),
    [
        (8, 7, 1.5 * 7 / 11, (1.0,)),
        (16, 11, 1.5, (1.0,)),
        (28, 11, 1.5, (0.0448, 0.2856)),
        (32, 11, 1.5, (0.0448, 0.2856)),
        (64, 11, 1.5, (0.0448, 0.2856, 0.3001)),
        (128, 11, 1.5, (0.0448, 0.2856, 0.3001, 0.2363)),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_set_of_two_has_torchmetrics_similarity_of_that_pair(size, kernel, sigma, weights, channels):
    """Weights are the paper's five, cut and rescaled to the sum 1."""
    images = blobs(2, size, channels)
    first, second = images[:1].double(), images[1:].double()
    weights = tuple(weight / sum(weights) for weight in weights)
    options = {"kernel_size": kernel, "sigma": sigma, "betas": weights, "normalize": "relu", "data_range": 255.0}
    expected = ms_ssim(first, second, **options).item()
    assert 0.02 < expected < 0.9
    metric = PairSimilarity(pairs=3)
    assert (metric.kernel_size, metric.scales) == (None, None)
    metric.update(images)
    assert metric.compute().item() == pytest.approx(expected, abs=TOLERANCE)
    assert (metric.kernel_size, metric.scales) == (kernel, len(weights))


def test_at_256_pixels_it_is_the_paper_s():
    images = blobs(2, 256)
    expected = ms_ssim(images[:1].double(), images[1:].double(), data_range=255.0).item()
    assert 0.02 < expected < 0.9
    assert scored(images, pairs=1) == pytest.approx(expected, abs=TOLERANCE)
    assert window(256) == (11, 5)


def test_every_size_has_a_window_that_torchmetrics_takes():
    found = {side: window(side) for side in range(3, 300)}
    for side, (kernel, scales) in found.items():
        assert kernel == min(11, side if side % 2 else side - 1)
        assert side // 2 ** (scales - 1) >= kernel and side >= 2**scales
        assert side // max(1, scales - 1) ** 2 > kernel - 1
    assert [found[side][1] for side in (8, 21, 22, 43, 44, 98, 99, 175, 176)] == [1, 1, 2, 2, 3, 3, 4, 4, 5]
    for side in (3, 4, 9, 10, 11, 23, 45, 99):
        assert 0 <= scored(noise(2, side), pairs=1) < 0.5
    assert 0 < scored(blobs(2, 64)[:, :, :20], pairs=1) < 1


@pytest.mark.parametrize("options", [{}, {"seed": 3}, {"pairs": 70}])
@pytest.mark.parametrize("labelled", [True, False])
def test_it_is_torchmetrics_on_the_pairs_drawn(digits, options, labelled):
    images, labels = (part[:300] for part in digits)
    options = {"pairs": 500, "seed": 0, **options}
    generator = torch.Generator().manual_seed(options["seed"])
    first, second = draw_pairs(labels if labelled else torch.zeros(300, dtype=torch.int64), options["pairs"], generator)
    pairs = images[first].double(), images[second].double()
    expected = ms_ssim(*pairs, kernel_size=7, sigma=1.5 * 7 / 11, betas=(1.0,), data_range=255.0).item()
    assert scored(images, labels if labelled else None, **options) == pytest.approx(expected, abs=TOLERANCE)


def test_unlabelled_pairs_are_uniform_over_all_ordered_ones():
    first, second = draw_pairs(torch.full((6,), -1), 30_000, torch.Generator().manual_seed(0))
    counts = np.bincount((first * 6 + second).numpy(), minlength=36).reshape(6, 6)
    assert (counts.diagonal() == 0).all()
    assert chisquare(counts[~np.eye(6, dtype=bool)]).pvalue > 1e-3


def test_labelled_pairs_are_uniform_within_their_class_and_leave_the_single_out():
    """The first of a pair is uniform over images that have a companion, the second over its companions."""
    labels = torch.tensor([4, 0, 7, 0, 4, 1, 0, 4, 4, 7])
    first, second = draw_pairs(labels, 40_000, torch.Generator().manual_seed(0))
    assert torch.equal(labels[first], labels[second])
    counts = np.bincount((first * 10 + second).numpy(), minlength=100).reshape(10, 10)
    companions = [int((labels == label).sum()) - 1 for label in labels]
    expected = np.array(
        [[40_000 / 9 / companions[i] if i != j and labels[i] == labels[j] else 0 for j in range(10)] for i in range(10)]
    )
    assert (counts[expected == 0] == 0).all()
    assert chisquare(counts[expected > 0], expected[expected > 0]).pvalue > 1e-3


@pytest.mark.parametrize(("size", "channels"), [(28, 1), (32, 3), (64, 1)])
def test_independent_noise_scores_near_0(size, channels):
    assert 0 <= scored(noise(40, size, channels), pairs=20) < 0.05


def test_it_rises_as_a_set_loses_its_variety(digits):
    images, _ = digits
    count = 1000
    values = [scored(images[torch.arange(count) % distinct]) for distinct in (1000, 10, 3, 1)]
    assert values == sorted(values) and values[-1] == pytest.approx(1, abs=TOLERANCE)
    assert np.diff(values).min() > 0.01


def test_images_of_one_class_are_more_alike(digits):
    images, labels = digits
    assert scored(images, labels) > scored(images) + 0.15
    assert scored(images, torch.zeros_like(labels)) == scored(images)


@pytest.mark.parametrize("labelled", [True, False])
def test_it_depends_on_the_order_and_not_on_the_batches(digits, labelled):
    images, labels = (part[:200] for part in digits)
    labels = labels if labelled else None
    whole = scored(images, labels)
    assert [scored(images, labels, batch=batch) for batch in (1, 17, 199)] == [whole] * 3
    assert scored(images.flip(0), None if labels is None else labels.flip(0)) != whole
    assert scored(images, labels, seed=1) != whole


def test_it_leaves_the_random_state_alone_and_computes_the_same_again(digits):
    images, labels = (part[:100] for part in digits)
    state = torch.get_rng_state()
    metric = PairSimilarity()
    metric.update(images, labels)
    first = metric.compute()
    assert torch.equal(torch.get_rng_state(), state)
    metric.reset()
    metric.update(images, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert metric.compute() == first
    assert first.dtype == torch.float64 and first.ndim == 0
    assert list(metric.parameters()) == [] and metric.state_dict() == {}


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("cut", [0, 60])
def test_two_ranks_make_the_whole_in_their_order(digits, cut, labelled):
    images, labels = (part[:100] for part in digits)

    def score(rank):
        metric, own = PairSimilarity(), (slice(cut), slice(cut, None))[rank]
        metric.update(images[own], labels[own] if labelled else None)
        return metric.compute().item()

    assert on_two_ranks(score) == [scored(images, labels if labelled else None)] * 2


def test_wrong_input_has_a_line():
    metric = PairSimilarity()
    for images in (noise(4, 8).float(), noise(4, 8)[0]):
        with pytest.raises(ValueError, match=r"images must be uint8 \[n, c, h, w\]"):
            metric.update(images)
    for labels in (torch.zeros(3, dtype=torch.int64), torch.zeros(4), torch.tensor([0, 1, -1, 1])):
        with pytest.raises(ValueError, match=r"labels must be int64 \[4\]"):
            metric.update(noise(4, 8), labels)
    metric.update(noise(4, 8))
    with pytest.raises(ValueError, match=r"images \[1, 9, 9\] after images \[1, 8, 8\]"):
        metric.update(noise(4, 9))
    metric.update(noise(4, 8), torch.zeros(4, dtype=torch.int64))
    with pytest.raises(ValueError, match="some images have labels, others have none"):
        metric.compute()
    with pytest.raises(ValueError, match="2 pixels are too small"):
        PairSimilarity().update(noise(4, 2))
    with pytest.raises(ValueError, match="pairs is 0"):
        PairSimilarity(pairs=0)
    for images, labels in ((noise(0, 8), None), (noise(1, 8), None), (noise(3, 8), torch.arange(3))):
        with pytest.raises(ValueError, match=f"{len(images)} images, and no two of one class"):
            scored(images, labels, batch=3) if len(images) else _empty(images)


def _empty(images):
    metric = PairSimilarity()
    metric.update(images)
    metric.compute()
