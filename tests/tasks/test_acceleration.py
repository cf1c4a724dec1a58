"""What is decided for a machine's sake: compile mode, TF32, kernels by trial."""

import os
import types

import pytest
import torch

from ganlab.tasks import acceleration
from ganlab.tasks.building import Machine


def machine(accelerator="cuda", processes=1):
    return Machine(accelerator, processes, 1, "32-true")


@pytest.mark.parametrize(
    ("wanted", "on", "mode"),
    [
        ("auto", machine("cuda"), "reduce-overhead"),
        ("auto", machine("cuda", processes=2), "default"),
        ("auto", machine("cpu"), "default"),
        ("max-autotune", machine("cpu"), "max-autotune"),
    ],
)
def test_cuda_graphs_are_for_one_gpu(wanted, on, mode):
    assert acceleration.compile_mode(wanted, on) == mode


@pytest.fixture
def backends(monkeypatch):
    """Torch's switches, to be written without a trace."""
    fake = types.SimpleNamespace(
        cuda=types.SimpleNamespace(matmul=types.SimpleNamespace(fp32_precision="none")),
        cudnn=types.SimpleNamespace(conv=types.SimpleNamespace(fp32_precision="none"), benchmark=False),
    )
    monkeypatch.setattr(torch, "backends", fake)
    return fake


def test_each_run_says_anew_how_a_gpu_multiplies(backends):
    for tf32, kind in ((True, "tf32"), (False, "ieee")):
        acceleration.settle_arithmetic(machine("cuda"), tf32)
        assert backends.cuda.matmul.fp32_precision == backends.cudnn.conv.fp32_precision == kind
    assert backends.cudnn.benchmark


def test_a_deterministic_run_tries_no_kernels(backends, monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda *given, **named: asked.append((given, named)))
    monkeypatch.setenv(acceleration.CUBLAS_WORKSPACE, "")
    monkeypatch.delenv(acceleration.CUBLAS_WORKSPACE)
    acceleration.settle_arithmetic(machine("cuda"), True)
    assert backends.cudnn.benchmark and not asked and acceleration.CUBLAS_WORKSPACE not in os.environ
    acceleration.settle_arithmetic(machine("cuda"), True, deterministic=True)
    assert not backends.cudnn.benchmark and asked == [((True,), {"warn_only": True})]
    assert os.environ[acceleration.CUBLAS_WORKSPACE] == ":4096:8"


def test_a_cpu_is_left_alone(backends):
    acceleration.settle_arithmetic(machine("cpu"), True, deterministic=True)
    assert backends.cuda.matmul.fp32_precision == "none" and not backends.cudnn.benchmark


def test_only_a_run_that_asks_is_compiled(make_gan, monkeypatch):
    monkeypatch.setattr(torch._dynamo.config, "optimize_ddp", True)
    for asked, processes, whole in ((False, 1, True), (True, 1, True), (True, 2, False)):
        model = make_gan()
        options = {"compile": asked, "compile_mode": "auto"}
        acceleration.compile_training(model, options, machine("cpu", processes), print)
        assert (model.compiled is not None) == asked
        assert torch._dynamo.config.optimize_ddp == whole, "gradient buckets do not cut graphs"
    assert model.compiled.options == {"mode": "default"}


@pytest.fixture
def asked(monkeypatch):
    """What the C library is asked; it takes no threshold above 32 MiB."""
    asked = []

    def mallopt(option, value):
        asked.append((option, value))
        return int(value <= 2**25)

    monkeypatch.setattr("ctypes.CDLL", lambda name: types.SimpleNamespace(mallopt=mallopt))
    return asked


def test_what_a_step_frees_is_kept_on_a_cpu(asked):
    acceleration.keep_memory(machine("cuda"))
    assert asked == []
    acceleration.keep_memory(machine("cpu"))
    assert asked == [(-1, 2**31 - 1), (-3, 2**30), (-3, 2**25)]


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda name: types.SimpleNamespace())
    acceleration.keep_memory(machine("cpu"))
