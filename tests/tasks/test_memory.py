"""What does not fit into the machine's memory is refused before it is made."""

import pytest
import torch

from ganlab.errors import ConfigError
from ganlab.tasks import memory
from ganlab.tasks.building import build_model


@pytest.fixture
def with_room(monkeypatch):
    """with_room(1e9): the machine has so many bytes."""
    return lambda size: monkeypatch.setattr(memory, "memory_of_machine", lambda: size)


def test_an_ordinary_run_has_room(settings):
    memory.verify_room(settings("model=dcgan", "data=digits"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("data=ring", "data.batch_size=1000000000"), "data.batch_size=1000000000: samples of 2 values .* 8 GB"),
        (("data=ring", "trainer.accumulate=4000000"), "trainer.accumulate=4000000: .* 8 GB"),
        (("data=ring", "data.test_count=1000000000"), "data.test_count=1000000000: the data .* 8 GB"),
        (("data=grid", "data.side=50000"), "data.side=50000: the data .* 20 GB"),
        (("data=digits", "data.image_size=8192"), "samples of 1×8192×8192 values .* 17 GB"),
        (("model=gan", "data=ring", "model.generator.width=20000"), "model=gan: its weights .* 13 GB"),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else "",
)
def test_what_exceeds_the_machine_is_named_with_its_bytes(settings, with_room, words, said):
    with_room(2e9)
    with pytest.raises(ConfigError, match=f"{said}, and this machine has 2 GB$"):
        memory.verify_room(settings(*words))


@pytest.mark.parametrize(
    "words",
    [
        ("model=gan", "data=ring"),
        ("model=dcgan", "data=digits"),
        ("model=gan", "data=ring", "model.discriminator.norm=spectral", "model.discriminator.gain=2"),
        ("model=lapgan", "data=digits"),
        ("model=vae", "data=digits"),
        ("model=stacked_ae", "data=digits"),
    ],
    ids=" ".join,
)
def test_weights_are_counted_without_making_them(settings, with_room, words):
    """To the byte: one byte less than weights and gradients take is too little, and this is enough."""
    config = (
        settings(*words, "data.batch_size=1", "data.image_size=8")
        if "data=digits" in words
        else settings(*words, "data.batch_size=1", "data.test_count=1")
    )
    before = torch.random.get_rng_state()
    bytes_of_weights = sum(weight.numel() * 4 for weight in build_model(config).parameters())
    torch.random.set_rng_state(before)
    with_room(2 * bytes_of_weights)
    memory.verify_room(config)
    assert torch.equal(torch.random.get_rng_state(), before)
    with_room(2 * bytes_of_weights - 1)
    with pytest.raises(ConfigError, match="weights and their gradients"):
        memory.verify_room(config)


def test_an_allocator_that_fails_is_told_in_a_line():
    for fault in (lambda: torch.empty(2**50), lambda: torch.empty(2**62, 2**62), lambda: bytearray(2**60)):
        with pytest.raises(ConfigError, match="not enough memory"), memory.shortage_told():
            fault()
        try:
            fault()
        except Exception as error:
            assert "out of memory" in str(memory.shortage(error))


def test_other_faults_are_no_shortage():
    with pytest.raises(RuntimeError, match="a fault"), memory.shortage_told():
        raise RuntimeError("a fault")
    assert memory.shortage(RuntimeError("a fault")) is None


def test_a_containers_limit_is_below_the_machines(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    limit.write_text("1000000\n")
    monkeypatch.setattr(memory, "LIMITS", (tmp_path / "none", limit))
    assert memory.memory_of_machine() == 1_000_000
    limit.write_text("max\n")
    assert memory.memory_of_machine() > 1e8
