"""The benchmark's loops do the same work, and its rows say what was timed. No speed is asserted."""

import re
import sys

import pytest
import torch

from loading import ROOT, loaded_file

TINY = {
    "ring": ["model=gan", "data=ring", "data.batch_size=8"],
    "vae": ["model=vae", "data=digits", "data.image_size=8", "data.margin=0", "data.batch_size=8"],
}


@pytest.fixture
def speed(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    before = set(sys.modules)
    module = loaded_file("benchmarks/speed.py")
    for name, words in TINY.items():
        monkeypatch.setitem(module.CASES, name, module.Case(words, 3, 2))
    threads = torch.get_num_threads()
    yield module
    torch.set_num_threads(threads)
    for name in {"plain", "phases", "roofline"} - before:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", TINY)
def test_a_case_prints_a_row_for_each_loop(speed, capsys, name):
    speed.measure(name)
    rows = capsys.readouterr().out.splitlines()
    labels = [re.match(rf"{name}\s+(.*?)\s+[\d.]+ it/s\s+wall ×[\d.]+", row)[1] for row in rows]
    assert labels == ["plain loop", "plain loop (A/A)", "ganlab"]


def test_the_shares_of_an_iterations_phases_are_told(speed, capsys):
    speed.profile("ring")
    row = capsys.readouterr().out
    shares = dict(re.findall(r"(\w+) ([\d.]+) %", row))
    assert set(shares) == {"rest", "data", "discriminator", "generator", "average", "callbacks"}
    assert sum(map(float, shares.values())) == pytest.approx(100, abs=0.5)
    assert float(shares["discriminator"]) > float(shares["average"])


def test_the_operations_of_an_iteration_are_those_of_its_products(speed):
    """Three layers of 8 samples: two passes of the discriminator for its own step, one for the generator's."""
    case = speed.Case([*TINY["ring"], "model.latent_dim=3"], 1, 1)
    settings = speed.case_settings(case, 2)
    model = speed.building.build_model(settings)
    counted = speed.flops_of(lambda callback: speed.trained(settings, callback))

    def forward(network):
        return sum(2 * 8 * m.weight.numel() for m in network.modules() if isinstance(m, torch.nn.Linear))

    def first(network):
        return 2 * 8 * next(m.weight.numel() for m in network.modules() if isinstance(m, torch.nn.Linear))

    of_d, of_g = forward(model.discriminator), forward(model.generator)
    # Forward, gradients of the weights, gradients of the inputs; data and latents need none of the last.
    discriminator = 2 * (3 * of_d - first(model.discriminator))
    generator = 2 * of_d + 3 * of_g - first(model.generator)
    assert counted == discriminator + generator


@pytest.mark.parametrize("model", ["gan", "lsgan", "wgan", "wgan_gp", "ae", "vae"])
def test_the_plain_loop_of_each_kind_trains(speed, settings, model):
    updates = ["model.discriminator_updates=2"] if model.startswith("wgan") else []
    data = TINY["vae" if model in ("ae", "vae") else "ring"][1:]
    steps = speed.plain.steps(settings(f"model={model}", *data, *updates, "seed=3"))
    next(steps)
    network = steps.gi_frame.f_locals["model"]
    before = {name: weight.clone() for name, weight in network.named_parameters()}
    next(steps)
    moved = {name for name, weight in network.named_parameters() if not torch.equal(weight, before[name])}
    # A critic's last bias has no gradient.
    assert moved >= {name for name in before if name.endswith("weight") and "ema" not in name}
