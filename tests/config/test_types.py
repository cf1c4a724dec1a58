import pytest
from pydantic import TypeAdapter, ValidationError, create_model

from ganlab.config import types


def accepts(kind, value):
    try:
        TypeAdapter(kind).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


def test_ranges():
    ends = {
        "PositiveInt": ([1, 10**9], [0, -1, 1.0]),
        "NonNegativeInt": ([0], [-1]),
        "PositiveFloat": ([1e-30, 1], [0, -1.0, float("inf"), float("nan")]),
        "NonNegativeFloat": ([0, 0.0], [-1e-30, float("inf"), float("nan")]),
        "FiniteFloat": ([-5.0, 0], [float("inf"), float("nan")]),
        "Fraction": ([0, 0.5, 1], [-0.1, 1.1, float("nan")]),
        "Decay": ([0, 0.999], [1, -0.1]),
    }
    for name, (good, bad) in ends.items():
        kind = getattr(types, name)
        assert [accepts(kind, value) for value in good] == [True] * len(good), name
        assert [accepts(kind, value) for value in bad] == [False] * len(bad), name


def test_doubling_sizes():
    # A power of two times 4, above 4.
    assert [size for size in range(-4, 300) if accepts(types.DoublingSize, size)] == [8, 16, 32, 64, 128, 256]


@pytest.mark.parametrize(
    ("size", "offered"), [(24, (16, 32)), (100, (64, 128)), (7, (8, 16)), (-8, (8, 16)), (0, (8, 16))]
)
def test_the_neighbours_of_a_wrong_size_are_offered(size, offered):
    with pytest.raises(ValidationError) as error:
        TypeAdapter(types.DoublingSize).validate_python(size)
    assert f"set data.image_size={offered[0]} or data.image_size={offered[1]}" in str(error.value)


def test_shapes():
    shapes = [[2], [1, 16, 16], [3, 64, 32], [3, 24, 24], [3, 4, 4], [16, 16], [], [0], [1, -8, -8]]
    accepted = {
        "SampleShape": [[2], [1, 16, 16], [3, 64, 32], [3, 24, 24], [3, 4, 4]],
        "DoublingImageShape": [[1, 16, 16]],
        "DoublingImageShapeOrPoints": [[2], [1, 16, 16]],
    }
    for name, expected in accepted.items():
        assert [shape for shape in shapes if accepts(getattr(types, name), shape)] == expected, name


def test_a_condition_needs_a_label():
    assert not accepts(types.ConditionSize, 0)
    assert accepts(types.ConditionSize, 1)


def pyramid_says(levels, **before):
    """What the check says of a number of levels beside a model's other values; None if they fit."""
    fields = {"sample_shape": (types.PyramidShape, ...), "latent_dim": (int, 64), "levels": (types.PyramidLevels, ...)}
    try:
        create_model("model", **fields).model_validate({"levels": levels, **before})
    except ValidationError as error:
        return "; ".join(detail["msg"] for detail in error.errors())
    return None


def test_levels_fit_a_size_that_can_be_halved_so_often():
    for size in (1, 7, 16, 20, 28, 48, 64):
        fitting = [levels for levels in range(1, 12) if pyramid_says(levels, sample_shape=[1, size, size]) is None]
        assert fitting == [levels for levels in range(1, 12) if size % 2 ** (levels - 1) == 0], size
    assert "of 20 pixels 1 to 3 levels fit" in pyramid_says(4, sample_shape=[1, 20, 20])
    assert "of 7 pixels only 1 level fits" in pyramid_says(2, sample_shape=[1, 7, 7])
    assert "set model.latent_dim to at least 3" in pyramid_says(3, sample_shape=[1, 8, 8], latent_dim=2)
    assert "greater than 0" in pyramid_says(0, sample_shape=[1, 8, 8])


def test_a_pyramid_is_of_square_images():
    shapes = [[2], [1, 16, 16], [3, 7, 7], [3, 64, 32], [], [1, -8, -8]]
    assert [shape for shape in shapes if accepts(types.PyramidShape, shape)] == [[1, 16, 16], [3, 7, 7]]
    # A wrong shape is one complaint, and not one about the levels too.
    assert pyramid_says(3, sample_shape=[2]).startswith("Value error, a Laplacian pyramid is made of images")
    assert "; " not in pyramid_says(3, sample_shape=[3, 64, 32])
