"""The pyramid against operators written by hand, and its exactness."""

import math

import pytest
import torch

from ganlab.networks.pyramid import bands_of, expand, level_sizes, reduce


def laplacian_pyramid(images, levels):
    return [band.residual for band in bands_of(images, levels)]


def collapse(pyramid):
    """The paper's equation 4: from the coarsest image on, I = u(I of the coarser level) + h."""
    *residuals, images = pyramid
    for residual in reversed(residuals):
        images = expand(images) + residual
    return images


SHAPES = [(1, 16, 16), (3, 32, 32), (3, 8, 24)]


def images(shape, count=3):
    random = torch.Generator().manual_seed(5)
    return torch.rand(count, *shape, generator=random, dtype=torch.float64) * 2 - 1


def halving(size):
    """Blur by the tent (1, 3, 3, 1) / 8 and every other place, as a matrix [size / 2, size], place by place."""
    matrix = torch.zeros(size // 2, size, dtype=torch.float64)
    for row in range(size // 2):
        for offset, weight in zip(range(-1, 3), (1, 3, 3, 1), strict=True):
            if 0 <= 2 * row + offset < size:
                matrix[row, 2 * row + offset] = weight
    return matrix / matrix.sum(1, keepdim=True)


def doubling(size):
    """Each new place lies a quarter of a pixel beside an old one: 3/4 of it and 1/4 of its neighbour."""
    matrix = torch.zeros(2 * size, size, dtype=torch.float64)
    for row in range(2 * size):
        near = row // 2
        far = min(max(near + (1 if row % 2 else -1), 0), size - 1)
        matrix[row, near] += 0.75
        matrix[row, far] += 0.25
    return matrix


@pytest.mark.parametrize("shape", SHAPES)
def test_the_operators_are_those_written_by_hand(shape):
    x, (_, height, width) = images(shape), shape
    small = torch.einsum("ih,nchw,jw->ncij", halving(height), x, halving(width))
    torch.testing.assert_close(reduce(x), small, rtol=0, atol=1e-12)
    large = torch.einsum("ih,nchw,jw->ncij", doubling(height), x, doubling(width))
    torch.testing.assert_close(expand(x), large, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [2, 4])
def test_the_smallest_images_have_levels_too(size):
    x = images((1, size, size))
    small = torch.einsum("ih,nchw,jw->ncij", halving(size), x, halving(size))
    torch.testing.assert_close(reduce(x), small, rtol=0, atol=1e-12)
    torch.testing.assert_close(expand(images((1, 1, 1))), images((1, 1, 1)).expand(-1, -1, 2, 2))


def test_the_finest_stripes_do_not_come_back_as_a_coarse_level():
    """Stripes of one pixel have a mean that a small image can hold, and nothing else."""
    stripes = torch.tensor([1.0, -1.0]).repeat(8).expand(1, 1, 16, 16)
    inner = reduce(stripes)[..., 1:-1]
    torch.testing.assert_close(inner, torch.zeros_like(inner), rtol=0, atol=1e-6)


def gain_at(period):
    """How much of a wave of so many pixels is left after `reduce`."""
    wave = torch.sin(2 * math.pi * torch.arange(240, dtype=torch.float64) / period).expand(1, 1, 240, 240)
    return (reduce(wave)[0, 0, 0, 5:-5].std() / wave[0, 0, 0].std()).item()


def test_the_blur_takes_out_what_the_smaller_image_cannot_hold():
    # A wave of 3 pixels has less than two samples a period afterwards; a 2×2 mean would leave cos(π/3) = 1/2 of it.
    assert gain_at(3) < 0.2
    assert gain_at(16) > 0.9


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_collapse_gives_back_the_images(shape, levels):
    x = images(shape)
    pyramid = laplacian_pyramid(x, levels)
    torch.testing.assert_close(collapse(pyramid), x, rtol=0, atol=1e-14)
    single = x.float()
    torch.testing.assert_close(collapse(laplacian_pyramid(single, levels)), single, rtol=0, atol=3e-7)
    _, height, width = shape
    assert [tuple(band.shape[2:]) for band in pyramid] == [(height >> k, width >> k) for k in range(levels)]


def test_the_bands_are_the_papers_equation_3():
    x = images((3, 16, 16))
    (h0, l0), (h1, l1), (last, none) = bands_of(x, 3)
    assert none is None
    middle = reduce(x)
    assert torch.equal(l0, expand(middle)) and torch.equal(h0, x - expand(middle))
    assert torch.equal(l1, expand(reduce(middle))) and torch.equal(h1, middle - expand(reduce(middle)))
    assert torch.equal(last, reduce(middle))
    assert h0.abs().max() <= 2
    # A smooth image has next to no residual: the pyramid is a band-pass, not a copy.
    ramp = torch.linspace(-1, 1, 32).expand(1, 1, 32, 32)
    assert laplacian_pyramid(ramp, 2)[0][..., 3:-3].abs().max() < 1e-6


def test_what_cannot_be_halved_is_refused():
    assert level_sizes(48, 5) == [48, 24, 12, 6, 3]
    assert level_sizes(7, 1) == [7]
    with pytest.raises(ValueError, match="20 pixels have no pyramid of 4 levels"):
        level_sizes(20, 4)
    with pytest.raises(ValueError, match="0 levels"):
        level_sizes(8, 0)
    with pytest.raises(ValueError, match="3×4 pixels cannot be halved"):
        reduce(torch.zeros(1, 1, 3, 4))
