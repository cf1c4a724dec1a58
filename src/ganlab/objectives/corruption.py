"""What a denoising autoencoder is shown instead of the clean input, Vincent et al. 2010 (section 3.3).

All of it is a function of values and of noise that the caller draws: nothing here is random.
"""

from torch import Tensor

CORRUPTIONS = ("masking", "gaussian", "salt_and_pepper")


def corrupted(values: Tensor, kind: str, level: float, noise: Tensor) -> Tensor:
    """A corrupted copy of `values`, of any shape; images in [0, 1].

    `noise`, of the same shape: standard normal for gaussian, else uniform on [0, 1). `level`, at least 0:
    - masking: the probability that a value becomes 0;
    - gaussian: the standard deviation of what is added; the result may leave the range;
    - salt_and_pepper: the probability that a value becomes 0 or 1, either as likely.
    Raises ValueError for another kind, or noise of another shape.
    """
    if noise.shape != values.shape:
        raise ValueError(f"noise of shape {list(noise.shape)} for values of shape {list(values.shape)}")
    if kind == "masking":
        return values.masked_fill(noise < level, 0)
    if kind == "gaussian":
        return values + level * noise
    if kind == "salt_and_pepper":
        # Among the draws below `level`, those below its half are half: no second coin is needed.
        return values.masked_fill(noise < level, 1).masked_fill(noise < level / 2, 0)
    raise ValueError(f"there is no corruption {kind!r}; there are {', '.join(CORRUPTIONS)}")
