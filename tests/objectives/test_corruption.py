"""Shares and moments of what is corrupted, and by hand."""

import pytest
import torch

from ganlab.objectives.corruption import CORRUPTIONS, corrupted

NOISE = torch.tensor([[0.0, 0.19, 0.2, 0.39, 0.4, 0.99]])
GREY = torch.full((1, 6), 0.3)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("masking", [0, 0, 0, 0, 0.3, 0.3]),
        ("salt_and_pepper", [0, 0, 1, 1, 0.3, 0.3]),
        ("gaussian", [0.3, 0.376, 0.38, 0.456, 0.46, 0.696]),
    ],
)
def test_by_hand(kind, expected):
    torch.testing.assert_close(corrupted(GREY, kind, 0.4, NOISE), torch.tensor([expected]))


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_shares_are_the_level(level):
    random = torch.Generator().manual_seed(3)
    values, noise = torch.full((100, 1, 20, 20), 0.5), torch.rand(100, 1, 20, 20, generator=random)
    bound = 5 * (level * (1 - level) / values.numel()) ** 0.5  # five standard errors
    masked, peppered = corrupted(values, "masking", level, noise), corrupted(values, "salt_and_pepper", level, noise)
    assert (masked == 0).double().mean().item() == pytest.approx(level, abs=bound)
    for extreme in (0, 1):
        assert (peppered == extreme).double().mean().item() == pytest.approx(level / 2, abs=bound)
    assert ((peppered == 0.5) == (masked == 0.5)).all()


def test_gaussian_noise_is_of_the_levels_standard_deviation():
    noise = torch.randn(50_000, generator=torch.Generator().manual_seed(4))
    assert corrupted(torch.ones(50_000), "gaussian", 0.3, noise).std().item() == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("level", [0.0, 0.4])
def test_the_clean_values_stay_and_level_0_changes_nothing(kind, level):
    clean = GREY.clone()
    result = corrupted(clean, kind, level, NOISE)
    assert torch.equal(result, clean) == (level == 0)
    result += 1
    assert torch.equal(clean, GREY)


def test_at_level_1_nothing_is_left():
    noise = torch.rand(1000, generator=torch.Generator().manual_seed(5))
    assert corrupted(torch.full((1000,), 0.5), "masking", 1.0, noise).count_nonzero() == 0


def test_what_does_not_fit_is_said():
    with pytest.raises(ValueError, match="no corruption 'salt'; there are masking, gaussian, salt_and_pepper"):
        corrupted(GREY, "salt", 0.1, NOISE)
    with pytest.raises(ValueError, match=r"noise of shape \[6\] for values of shape \[1, 6\]"):
        corrupted(GREY, "masking", 0.1, NOISE[0])
