import pytest
import torch
from torch import nn

from ganlab.metrics.extractors.isolation import full_precision, isolated_construction, isolated_inference

BACKENDS = torch.backends
NEWER = hasattr(BACKENDS.cuda.matmul, "fp32_precision")


def precisions():
    if not NEWER:
        return [torch.get_float32_matmul_precision(), BACKENDS.cudnn.allow_tf32]
    switches = BACKENDS.cuda.matmul, BACKENDS.cudnn.conv, BACKENDS.mkldnn.matmul, BACKENDS.mkldnn.conv
    return [switch.fp32_precision for switch in switches]


def test_float32_is_float32_inside_and_as_before_outside():
    untouched = precisions()
    try:
        torch.set_float32_matmul_precision("medium")
        before = precisions()
        assert before != untouched
        with full_precision():
            assert set(precisions()) <= {"ieee", "highest", False}
        assert precisions() == before
        with pytest.raises(KeyError), full_precision():
            raise KeyError
        assert precisions() == before
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.skipif(not NEWER, reason="this torch has only the older switches")
def test_a_run_that_uses_the_newer_switches():
    """They make reading the older ones an error."""
    matmul = BACKENDS.cuda.matmul
    was = matmul.fp32_precision
    try:
        matmul.fp32_precision = "tf32"
        before = precisions()
        with isolated_inference(torch.device("cpu")):
            assert set(precisions()) == {"ieee"}
        assert precisions() == before
    finally:
        matmul.fp32_precision = was


def test_what_is_built_inside_depends_on_nothing_outside():
    with isolated_construction():
        plain = nn.Linear(3, 2)
    torch.manual_seed(99)
    state = torch.get_rng_state()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.inference_mode(), torch.device("meta"):
            with isolated_construction():
                built = nn.Linear(3, 2)
            assert nn.Linear(3, 2).weight.is_meta and torch.get_default_dtype() == torch.bfloat16
        with pytest.raises(KeyError), isolated_construction():
            raise KeyError
        assert torch.get_default_dtype() == torch.bfloat16
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(built.weight, plain.weight) and built.weight.dtype == torch.float32
    assert not built.weight.is_inference() and built.weight.device.type == "cpu"


def test_inference_inside_is_without_gradients_and_its_noise_is_taken_back():
    weight = torch.ones(2, requires_grad=True)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with torch.autocast("cpu", dtype=torch.bfloat16), isolated_inference(torch.device("cpu")):
        torch.rand(5)
        assert not (weight * 2).requires_grad
        assert torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype == torch.float32
    assert torch.equal(torch.rand(2), expected)
