"""conf/model/wgan_gp.yaml holds the paper's Algorithm 1."""

import pytest

from ganlab.models.wgan import WGAN, WassersteinModel
from ganlab.tasks.building import build_model


@pytest.mark.parametrize("words", [["data=ring"], ["data=digits"], ["data=digits", "model/networks=mlp"]])
def test_the_defaults_are_the_papers(settings, words):
    config = settings("model=wgan_gp", *words)
    node = config["model"]
    assert (node["gradient_penalty"], node["gradient_centre"], node["discriminator_updates"]) == (10.0, 1, 5)
    assert (node["r1"], node["r2"]) == (0, 0)
    for network in ("generator", "discriminator"):
        optimizer = config["optimizer"][network]
        assert (optimizer["algorithm"], optimizer["lr"], optimizer["betas"]) == ("adam", 1e-4, [0.0, 0.9])
    model = build_model(config)
    assert isinstance(model, WassersteinModel) and not isinstance(model, WGAN)
    assert not any("Norm" in type(module).__name__ for module in model.discriminator.modules())
    assert (model.penalties.gradient, model.threshold) == (10.0, None)
