"""Types for the values that a configuration may hold.

Constructors of models, networks and data modules annotate their keyword-only parameters
with these; the configuration check reads those annotations without importing the class
(see `ganlab.config.signature`), so nothing heavy may be imported here.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationInfo

PositiveInt = Annotated[int, Field(gt=0, le=10**12)]
"""A count. What has more is a slip of the finger, and would overflow where counts are multiplied."""
NonNegativeInt = Annotated[int, Field(ge=0, lt=2**63)]
"""A count or a seed."""
FewTimes = Annotated[int, Field(gt=0, le=1000)]
"""How often something is done or stacked within an iteration, all of which is in memory together."""
WarmupUpdates = FewTimes
"""Updates in one iteration, whose batches are in memory together."""
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
"""A share: 0 and 1 included."""
PositiveFraction = Annotated[float, Field(gt=0, le=1)]
"""A share: 0 left out, 1 included."""
OpenFraction = Annotated[float, Field(gt=0, lt=1)]
"""A share: neither 0 nor 1."""
Decay = Annotated[float, Field(ge=0, lt=1)]
"""A decay factor of a running average: 0 included, 1 not."""


def _power_of_two_times_four(size: int) -> int:
    if size < 8 or size & (size - 1):
        lower = 8
        while lower * 2 <= size:
            lower *= 2
        raise ValueError(
            f"a DCGAN doubles 4 pixels up to the image size, so that must be 8, 16, 32, 64, 128, …; "
            f"set data.image_size={lower} or data.image_size={lower * 2}"
        )
    return size


DoublingSize = Annotated[int, AfterValidator(_power_of_two_times_four)]
"""Pixels along a side that strided (transposed) convolutions reach from 4: 8, 16, 32, 64, 128, …"""


def _sample_shape(shape: list[int]) -> list[int]:
    if len(shape) not in (1, 3) or min(shape) < 1:
        raise ValueError("a sample is [dimensions] for points or [channels, height, width] for images")
    return shape


SampleShape = Annotated[list[int], AfterValidator(_sample_shape)]
"""[dimensions] for points, [channels, height, width] for images."""


def _doubling_image_shape(shape: list[int]) -> list[int]:
    if len(_sample_shape(shape)) != 3:
        raise ValueError("a DCGAN makes images, and this data set holds points; use model/networks=mlp or other data")
    _, height, width = shape
    if height != width:
        raise ValueError(f"a DCGAN makes square images, not {height}×{width}")
    _power_of_two_times_four(height)
    return shape


DoublingImageShape = Annotated[list[int], AfterValidator(_doubling_image_shape)]
"""[channels, size, size] with a size that is a power of two times 4, above 4."""


def _doubling_image_shape_or_points(shape: list[int]) -> list[int]:
    return shape if len(_sample_shape(shape)) == 1 else _doubling_image_shape(shape)


DoublingImageShapeOrPoints = Annotated[list[int], AfterValidator(_doubling_image_shape_or_points)]
"""[dimensions], or [channels, size, size] with a size that is a power of two times 4, above 4."""


def _convolutional_coder_shape(shape: list[int]) -> list[int]:
    fits = len(_sample_shape(shape)) == 3 and shape[1] == shape[2] and shape[1] >= 8 and not shape[1] & (shape[1] - 1)
    if not fits:
        raise ValueError(
            "convolutions of an autoencoder halve square images of 8, 16, 32, 64, … pixels down to 4; "
            "choose model/coders=mlp, or such a data.image_size"
        )
    return shape


ConvolutionalCoderShape = Annotated[list[int], AfterValidator(_convolutional_coder_shape)]
"""[channels, size, size] with a size that is a power of two times 4, above 4."""


def _square_image_shape(shape: list[int]) -> list[int]:
    if len(_sample_shape(shape)) != 3:
        raise ValueError("a Laplacian pyramid is made of images, and this data set holds points; use other data")
    _, height, width = shape
    if height != width:
        raise ValueError(f"the levels of this pyramid are square images, and these have {height}×{width} pixels")
    return shape


PyramidShape = Annotated[list[int], AfterValidator(_square_image_shape)]
"""[channels, size, size]."""


def _levels_that_fit(levels: int, info: ValidationInfo) -> int:
    """Beside the sample shape and the latents that stand before it."""
    before = info.data or {}
    if "sample_shape" in before:
        size = before["sample_shape"][1]
        most = (size & -size).bit_length()
        if levels > most:
            offered = "only 1 level fits" if most == 1 else f"1 to {most} levels fit"
            raise ValueError(f"each level halves the size, and of {size} pixels {offered}")
    if levels > before.get("latent_dim", levels):
        raise ValueError(f"every level has a part of the latents; set model.latent_dim to at least {levels}")
    return levels


PyramidLevels = Annotated[int, Field(gt=0), AfterValidator(_levels_that_fit)]
"""How many levels a pyramid has, the full size included: the side of its images is divisible by 2^(levels - 1)."""


def _labelled(size: int) -> int:
    if size < 1:
        raise ValueError(
            "this model needs labels (or attribute vectors), and the data has none; "
            "choose labelled data (data=digits, mnist, ring, …) or an unconditional model (model=gan, dcgan)"
        )
    return size


def _classified(count: int) -> int:
    if count < 2:
        raise ValueError(
            "this model tells classes apart, and the data has none; choose labelled data (data=digits, mnist, ring, …)"
        )
    return count


ClassCount = Annotated[int, AfterValidator(_classified)]
"""How many classes the data has; at least 2."""


def _codes(codes: list[Any]) -> list[Any]:
    if not codes:
        raise ValueError("there must be at least one code, e.g. [10, uniform, uniform]")
    for code in codes:
        categorical = isinstance(code, int) and not isinstance(code, bool) and code >= 2
        if code != "uniform" and not categorical:
            raise ValueError(
                f"{code} is no code: a whole number from 2 on is a categorical code of so many values, "
                "uniform is a number on [-1, 1]; e.g. [10, uniform, uniform]"
            )
    return codes


Codes = Annotated[list[Any], AfterValidator(_codes)]
"""InfoGAN's codes: whole numbers from 2 on (categorical), or uniform."""


ConditionSize = Annotated[int, AfterValidator(_labelled)]
"""Length of a condition vector (classes, or attributes); at least 1."""


Component = dict[str, Any]
"""A node with a `_target_` of its own, checked against that target's signature."""
