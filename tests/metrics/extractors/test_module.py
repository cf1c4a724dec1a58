import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from ganlab.errors import ConfigError, DataError
from ganlab.metrics.extractors.module import Module

FLATTEN = {"_target_": "torch.nn.Flatten"}
NETWORKS = '''
import random
import torch
from torch import nn
from ganlab.errors import DataError

class Classifier(nn.Module):
    """Weights drawn at random, as of a user who forgot to load them."""
    def __init__(self, width, layers):
        super().__init__()
        assert type(layers) is list
        self.body = nn.Conv2d(3, width, 3)
        self.head = nn.Linear(width, 5)

    def forward(self, images):
        maps = self.body(images)
        return maps, self.head(maps.mean((2, 3)))

class Lost(nn.Module):
    def __init__(self):
        raise DataError("/weights.pth: not there")

class Broken(nn.Module):
    def __init__(self):
        raise ValueError("two lines\\nof trouble")

def number():
    return 3
'''


@pytest.fixture
def networks(tmp_path, monkeypatch):
    """A user's own module `user_networks`, and the node that names something in it."""
    (tmp_path / "user_networks.py").write_text(NETWORKS)
    monkeypatch.syspath_prepend(tmp_path)
    return lambda name, **options: {"_target_": f"user_networks.{name}", **options}


@pytest.fixture
def images():
    return torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def seen_by(images, **options):
    """What the network is given, [n, channels, height, width]: one that only flattens returns it."""
    flat = Module(module=FLATTEN, **options)(images).features
    size = options.get("image_size")
    return flat.view(len(images), -1, *(images.shape[2:] if size is None else (size, size))).double().numpy()


def test_bytes_become_shares_of_one(images):
    assert np.abs(seen_by(images) - images.numpy() / 255).max() < 1e-6


def test_normalised_by_channel(images):
    mean, std = [0.4, 0.5, 0.6], [0.1, 0.2, 0.3]
    exact = (images.numpy() / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    assert np.abs(seen_by(images, mean=mean, std=std) - exact).max() < 1e-5
    assert np.abs(seen_by(images, mean=0.5, std=0.5) - (images.numpy() / 127.5 - 1)).max() < 1e-5
    gray = images[:, :1]
    exact = (gray.numpy() / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    assert np.abs(seen_by(gray, mean=mean, std=std, channels=3) - exact).max() < 1e-5


def test_resized_as_pillow_resizes(images):
    exact = np.asarray(
        Image.fromarray(images[0, 0].numpy().astype(np.float32)).resize((13, 13), Image.Resampling.BICUBIC)
    )
    assert np.abs(seen_by(images, image_size=13)[0, 0] - exact.clip(0, 255) / 255).max() < 1e-4
    assert Module(module=FLATTEN, image_size=13).description()["resizer"] != "none"


def test_channels_as_the_network_wants_them(images):
    gray = images[:, :1]
    repeated = seen_by(gray, channels=3)
    assert repeated.shape[1] == 3 and (repeated == repeated[:, :1]).all()
    assert seen_by(gray).shape[1] == 1
    luminance = np.asarray(Image.fromarray(images[0].permute(1, 2, 0).numpy()).convert("L"))
    assert np.abs(seen_by(images, channels=1)[0, 0] * 255 - luminance).max() < 1.01
    assert (seen_by(images, channels=3) == seen_by(images)).all()


def test_a_network_with_logits(networks, images):
    extractor = Module(module=networks("Classifier", width=7, layers=[1, 2]), num_classes=5)
    features, logits = extractor(images)
    body, head = extractor.network.body, extractor.network.head
    maps = torch.nn.functional.conv2d(images.double() / 255, body.weight.double(), body.bias.double())
    exact = maps.mean((2, 3))
    assert torch.allclose(features.double(), exact, atol=1e-5)
    assert torch.allclose(logits.double(), exact @ head.weight.double().T + head.bias.double(), atol=1e-5)
    assert extractor.num_classes == 5
    with pytest.raises(ConfigError, match="5 logits, and num_classes=10"):
        Module(module=networks("Classifier", width=7, layers=[]), num_classes=10)(images)


def test_random_weights_are_the_same_each_time_and_disturb_nobody(networks):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = Module(module=networks("Classifier", width=7, layers=[]))
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(9)
    assert Module(module=networks("Classifier", width=7, layers=[])).weights_hash() == first.weights_hash()


def test_its_description_tells_all_that_moves_a_score(networks):
    node = networks("Classifier", width=7, layers=[])
    variants = [
        {},
        {"mean": 0.5},
        {"std": [0.5] * 3},
        {"image_size": 9},
        {"channels": 3},
        {"channels": 1},
        {"name": "other"},
        {"module": networks("Classifier", width=8, layers=[])},
    ]
    told = [Module(**{"module": node, **options}).description() for options in variants]
    assert all(first != second for row, first in enumerate(told) for second in told[:row])
    assert told[0]["network"] == "user_networks.Classifier"
    assert told[0]["extractor"] == "module"


def test_it_takes_a_network_that_is_there_already(images):
    """As Hydra gives it where nodes are built from the inside."""
    assert Module(module=nn.Flatten())(images).features.shape == (5, 192)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": [0.1, 0.2]}, "metrics.extractor.mean has 2 values; give 1 or 3"),
        ({"std": [0.1, 0.2, 0.3], "channels": 1}, "metrics.extractor.std has 3 values; give 1, one"),
        ({"mean": []}, "metrics.extractor.mean has 0 values"),
        ({"name": "my net"}, "metrics.extractor.name=my net"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ConfigError, match=message):
        Module(module=FLATTEN, **options)


def test_more_values_than_channels(images):
    extractor = Module(module=FLATTEN, mean=[0.1, 0.2, 0.3])
    extractor(images)
    with pytest.raises(ConfigError, match=r"mean has 3 values, and the images 1 channel.*set .*channels=3"):
        extractor(images[:, :1])


def test_networks_that_cannot_be_made_are_told_in_a_line(networks):
    for node, kind, message in (
        (networks("Absent"), ConfigError, "metrics.extractor.module: user_networks.Absent cannot be made"),
        (networks("Broken"), ConfigError, "user_networks.Broken cannot be made: two lines"),
        (networks("Lost"), DataError, "/weights.pth: not there"),
        (networks("number"), ConfigError, "metrics.extractor.module makes a int, and must make an nn.Module"),
        (networks("Classifier", width=3), ConfigError, "cannot be made"),
    ):
        with pytest.raises(kind) as error:
            Module(module=node)
        assert message in str(error.value) and "\n" not in str(error.value)


def test_a_network_that_returns_the_wrong_thing(images):
    with pytest.raises(ConfigError, match=r"module makes float32 \[960\] of 5 images; it must return features"):
        Module(module={"_target_": "torch.nn.Flatten", "start_dim": 0})(images)
