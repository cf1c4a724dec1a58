"""Against a plain loop over samples that slices, and closed forms."""

import copy
from itertools import combinations

import pytest
import torch

from ganlab.objectives.augmentation import POLICIES, SHARES, augmented

SUBSETS = [subset for size in range(4) for subset in combinations(POLICIES, size)]


def drawn(count=12, channels=3, height=16, width=16, dtype=torch.float64, seed=3):
    random = torch.Generator().manual_seed(seed)
    images = torch.rand(count, channels, height, width, generator=random, dtype=dtype) * 2 - 1
    shares = torch.rand(count, SHARES, generator=random, dtype=torch.float64)
    # The ends, which a generator hardly ever draws, and the middle.
    shares[0], shares[1], shares[2] = 0, 1, 0.5
    return images, shares


def by_hand(images, policy, shares):
    """One sample after the other, in Python's own numbers."""
    results = []
    for image, numbers in zip(images, shares.tolist(), strict=True):
        image = copy.deepcopy(image)
        _, height, width = image.shape
        if "color" in policy:
            image += numbers[0] - 0.5
            grey = sum(image) / len(image)
            image = torch.stack([grey + 2 * numbers[1] * (channel - grey) for channel in image])
            mean = image.sum() / image.numel()
            image = mean + (numbers[2] + 0.5) * (image - mean)
        if "translation" in policy:
            down, right = (
                min(int(number * (2 * round(side / 8) + 1)), 2 * round(side / 8)) - round(side / 8)
                for number, side in ((numbers[3], height), (numbers[4], width))
            )
            moved = torch.zeros_like(image)
            source = image[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)]
            top, left = max(-down, 0), max(-right, 0)
            moved[:, top : top + source.shape[1], left : left + source.shape[2]] = source
            image = moved
        if "cutout" in policy:
            ends = []
            for number, side in ((numbers[5], height), (numbers[6], width)):
                cut = -(-side // 2)
                places = side if cut % 2 else side + 1
                centre = min(int(number * places), places - 1)
                ends.append((max(centre - cut // 2, 0), centre - cut // 2 + cut))
            image[:, ends[0][0] : ends[0][1], ends[1][0] : ends[1][1]] = 0
        results.append(image)
    return torch.stack(results)


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 8, 8), (3, 24, 16), (2, 13, 22)], ids=str)
@pytest.mark.parametrize("policy", SUBSETS, ids="-".join)
def test_it_is_the_plain_loop(policy, shape):
    images, shares = drawn(40, *shape)
    torch.testing.assert_close(augmented(images, policy, shares), by_hand(images, policy, shares), rtol=0, atol=1e-12)


def test_the_order_of_the_policy_does_not_matter():
    images, shares = drawn()
    assert torch.equal(augmented(images, POLICIES[::-1], shares), augmented(images, POLICIES, shares))


def test_an_operation_keeps_its_numbers_whatever_else_is_done():
    """A cut hides the same pixels with and without the colours, whose change has no zeros of its own."""
    images, shares = drawn()
    alone, both = augmented(images, ["cutout"], shares), augmented(images, ["color", "cutout"], shares)
    assert torch.equal(alone == 0, both == 0)


def test_middle_shares_leave_colours_alone_and_ends_reach_the_papers_ranges():
    images, shares = drawn()
    shares[:, :3] = 0.5
    torch.testing.assert_close(augmented(images, ["color"], shares), images)

    def spread(pixels):
        return (pixels - pixels.mean((1, 2, 3), keepdim=True)).norm()

    for column, low, high in ((0, -0.5, 0.5), (1, 0, 2), (2, 0.5, 1.5)):
        for end, expected in ((0.0, low), (1.0, high)):
            moved = shares.clone()
            moved[:, column] = end
            result = augmented(images, ["color"], moved)
            if column == 0:
                torch.testing.assert_close(result, images + expected)
            elif column == 1:
                grey = images.mean(1, keepdim=True)
                torch.testing.assert_close(result - grey, expected * (images - grey))
            else:
                torch.testing.assert_close(spread(result), expected * spread(images))


def test_one_channel_has_no_saturation():
    images, shares = drawn(channels=1)
    other = shares.clone()
    other[:, 1] = 1 - other[:, 1]
    assert torch.equal(augmented(images, ["color"], shares), augmented(images, ["color"], other))


def test_every_shift_up_to_an_eighth_is_equally_likely():
    """A single bright pixel in the middle of 16 says where it went: 5 places along each side, a fifth each."""
    count = 5_000
    images = torch.zeros(count, 1, 16, 16)
    images[:, :, 8, 8] = 1
    shares = torch.rand(count, SHARES, generator=torch.Generator().manual_seed(0))
    places = augmented(images, ["translation"], shares).flatten(1).argmax(1)
    for place in (places // 16, places % 16):
        counts = torch.bincount(place - 6, minlength=5)
        assert len(counts) == 5
        assert (counts / count - 0.2).abs().max() < 4 * (0.2 * 0.8 / count) ** 0.5


@pytest.mark.parametrize(("size", "places"), [(16, 17), (10, 10)])
def test_a_cut_is_half_as_wide_as_the_image_and_its_centre_is_anywhere(size, places):
    """Even and odd cuts alike are thrown symmetrically: as often too far up as too far down."""
    side = size // 2
    shares = torch.zeros(1000, SHARES)
    shares[:, 5] = (torch.arange(1000) + 0.5) / 1000
    shares[:, 6] = 0.5
    hidden = (augmented(torch.ones(1000, 1, size, size), ["cutout"], shares) == 0)[:, 0]
    assert (hidden.any(1).sum(1) == side).all()  # in the middle it is whole
    rows = hidden.any(2)
    heights = rows.sum(1)
    assert heights.max() == side and heights.min() == -(-side // 2)
    assert len(rows.unique(dim=0)) == places
    seen = rows.unique(dim=0).sum(0)
    assert torch.equal(seen, seen.flip(0))


@pytest.mark.parametrize("policy", SUBSETS[1:], ids="-".join)
def test_gradients_by_finite_differences(policy):
    images, shares = drawn(5, 2, 4, 4)
    images, shares = images[3:], shares[3:]
    images.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: augmented(x, policy, shares), images)
    # A penalty on the discriminator's gradient differentiates once more.
    assert torch.autograd.gradgradcheck(lambda x: augmented(x, policy, shares).square(), images)


def test_nothing_is_random_and_the_images_stay():
    images, shares = drawn(dtype=torch.float32)
    kept, state = images.clone(), torch.get_rng_state()
    results = [augmented(images, POLICIES, shares) for _ in range(2)]
    assert torch.equal(*results) and torch.equal(images, kept)
    assert torch.equal(torch.get_rng_state(), state)
    assert results[0].dtype == torch.float32


def test_low_precision_moves_and_cuts_as_full_precision_does():
    images, shares = drawn(dtype=torch.float32)
    images = images.bfloat16()
    low = augmented(images, ["translation", "cutout"], shares)
    assert low.dtype == torch.bfloat16
    assert torch.equal(low.float(), augmented(images.float(), ["translation", "cutout"], shares))


def test_what_does_not_fit_is_refused():
    images, shares = drawn()
    with pytest.raises(ValueError, match="no augmentation 'colour'; there are color, translation, cutout"):
        augmented(images, ["colour"], shares)
    with pytest.raises(ValueError, match=r"shares of shape \[11, 7\]"):
        augmented(images, POLICIES, shares[1:])
    with pytest.raises(ValueError, match=r"images of shape \[12, 2\]"):
        augmented(images[:, :2, 0, 0], POLICIES, shares)
