import os

import pytest
import torch
from torch import nn

from ganlab.errors import DeviceError
from ganlab.tasks import devices


@pytest.fixture
def machine(monkeypatch):
    """machine(cuda=4): what torch and the system say about the machine."""

    def describe(cuda=0, mps=False, cores=8):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(os, "cpu_count", lambda: cores)
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)), raising=False)

    return describe


@pytest.mark.parametrize(
    ("cuda", "mps", "wanted", "accelerator"),
    [
        (0, False, "auto", "cpu"),
        (2, False, "auto", "cuda"),
        (0, True, "auto", "mps"),
        (2, True, "auto", "cuda"),
        (2, False, "gpu", "cuda"),
        (0, True, "gpu", "mps"),
        (2, False, "cuda", "cuda"),
        (0, True, "mps", "mps"),
        (2, True, "cpu", "cpu"),
    ],
)
def test_accelerator(machine, cuda, mps, wanted, accelerator):
    machine(cuda, mps)
    assert devices.resolve_accelerator({"accelerator": wanted}) == accelerator


@pytest.mark.parametrize(
    ("cuda", "mps", "wanted"),
    [(0, False, "gpu"), (0, False, "cuda"), (0, True, "cuda"), (0, False, "mps"), (2, False, "mps")],
)
def test_an_accelerator_that_the_machine_lacks(machine, cuda, mps, wanted):
    machine(cuda, mps)
    with pytest.raises(DeviceError, match=f"^trainer.accelerator={wanted}: this machine shows no .*use trainer.acc"):
        devices.resolve_accelerator({"accelerator": wanted})


@pytest.mark.parametrize(
    ("accelerator", "wanted", "count"),
    [("cuda", 4, 4), ("cuda", 1, 1), ("cuda", "auto", 4), ("mps", "auto", 1), ("cpu", 8, 8), ("cpu", "auto", 1)],
)
def test_devices(machine, accelerator, wanted, count):
    machine(cuda=4, mps=True, cores=8)
    assert devices.resolve_devices({"accelerator": accelerator, "devices": wanted}, accelerator) == count


@pytest.mark.parametrize(
    ("accelerator", "wanted", "said"),
    [("cuda", 8, "4 CUDA devices"), ("mps", 2, "1 Apple GPUs"), ("cpu", 9, "8 CPU cores")],
)
def test_more_devices_than_there_are(machine, accelerator, wanted, said):
    machine(cuda=4, mps=True, cores=8)
    with pytest.raises(
        DeviceError, match=f"^trainer.devices={wanted}: this machine shows {said}; use at most {said[0]}$"
    ):
        devices.resolve_devices({"accelerator": accelerator, "devices": wanted}, accelerator)


def test_two_processes_run_on_one_core_too(machine):
    machine(cores=1)
    assert devices.resolve_devices({"accelerator": "cpu", "devices": 2}, "cpu") == 2


def test_several_devices_do_not_become_processes_on_the_cpu_unasked(machine):
    machine()
    with pytest.raises(
        DeviceError, match=r"^trainer\.devices=2: this machine shows 0 GPUs; add trainer.accelerator=cpu"
    ):
        devices.resolve_devices({"accelerator": "auto", "devices": 2}, "cpu")
    assert devices.resolve_devices({"accelerator": "auto", "devices": 1}, "cpu") == 1


@pytest.mark.parametrize(
    ("precision", "lightnings"),
    [(32, "32-true"), ("32", "32-true"), (64, "64-true"), ("bf16-mixed", "bf16-mixed"), ("16-mixed", "16-mixed")],
)
def test_precision_on_cuda(precision, lightnings):
    assert devices.resolve_precision({"precision": precision}, "cuda") == lightnings


@pytest.mark.parametrize("accelerator", ["cpu", "mps"])
def test_fp16_elsewhere(accelerator):
    with pytest.raises(DeviceError, match=f"^trainer.precision=16-mixed: needs a CUDA device.* uses the {accelerator}"):
        devices.resolve_precision({"precision": "16-mixed"}, accelerator)
    assert devices.resolve_precision({"precision": "bf16-mixed"}, accelerator) == "bf16-mixed"


TINY, LARGE, CONVOLUTIONAL = nn.Linear(10, 10), nn.Linear(1000, 1000), nn.Sequential(nn.Conv2d(1, 1, 1))


@pytest.mark.parametrize(
    ("wanted", "network", "processes", "threads"),
    [
        ("auto", TINY, 1, 1),
        ("auto", LARGE, 1, 8),
        ("auto", CONVOLUTIONAL, 1, 8),
        ("auto", LARGE, 2, 4),
        ("auto", LARGE, 3, 2),
        ("auto", LARGE, 16, 1),
        (3, TINY, 1, 3),
        (3, LARGE, 2, 3),
    ],
)
def test_threads(machine, wanted, network, processes, threads):
    machine(cores=8)
    assert devices.choose_threads(wanted, network, processes) == threads


def test_threads_without_affinity(machine, monkeypatch):
    machine(cores=6)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert devices.choose_threads("auto", LARGE, 2) == 3
