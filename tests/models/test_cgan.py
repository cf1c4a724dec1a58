"""The condition reaches both players, and a model without one is refused before it is built."""

import pytest
import torch

from ganlab.errors import ConfigError
from ganlab.tasks.building import build_model


@pytest.mark.parametrize("networks", ["auto", "mlp"])
def test_both_players_depend_on_the_label(settings, networks):
    words = [f"model/networks={networks}", "data=digits", "model.generator.width=8", "model.discriminator.width=8"]
    model = build_model(settings("model=cgan", *words))
    latents = model.latents(1, torch.Generator().manual_seed(0)).expand(10, -1)
    images = model.decode(latents, torch.arange(10))
    scores = model.score(images[:1].expand(10, -1, -1, -1), torch.arange(10))
    assert len(torch.unique(images.flatten(1), dim=0)) == 10
    assert len(scores.unique()) > 1


def test_points_take_fully_connected_networks_and_images_convolutions(settings):
    assert type(build_model(settings("model=cgan", "data=ring")).generator).__name__ == "MLPGenerator"
    assert type(build_model(settings("model=cgan", "data=digits")).generator).__name__ == "DCGANGenerator"


def test_data_without_labels_is_refused(settings):
    with pytest.raises(ConfigError, match=r"model\.condition_size=0: this model needs labels"):
        settings("model=cgan", "data=uniform")
