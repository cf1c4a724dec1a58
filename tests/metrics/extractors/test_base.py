import copy
import json
import os
import pickle
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from ganlab.errors import ConfigError
from ganlab.metrics.extractors.base import Extracted, Extractor, as_extractor, extract, resize
from ganlab.metrics.extractors.digits import Digits
from ganlab.metrics.extractors.module import Module
from ganlab.metrics.extractors.random_conv import RandomConv


class Restless(nn.Module):
    """Whatever can go wrong in a network that scores: batch norm, dropout, weights and noise from the global state."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8, 4)

    def forward(self, images):
        torch.rand(3)
        hidden = self.drop(self.norm(self.conv(images.float()))).mean((2, 3))
        return hidden, self.head(hidden)


class Own(Extractor):
    name, resizer, channels = "own", "none", "as they are"

    def __init__(self):
        super().__init__()
        self.restless = Restless()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, images):
        features, logits = self.restless(images)
        return Extracted(features * self.scale, logits)


EXTRACTORS = {
    "digits": Digits,
    "random_conv": RandomConv,
    "module": lambda: Module(module=Restless()),
    "wrapped": lambda: as_extractor(Restless(), "restless"),
    "own": Own,
}


@pytest.fixture(params=EXTRACTORS)
def build(request):
    return EXTRACTORS[request.param]


@pytest.fixture
def images():
    return torch.randint(0, 256, (6, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def returning(output):
    """A network that says `output` whatever it sees."""

    class Says(nn.Module):
        def forward(self, images):
            return output

    return as_extractor(Says(), "says")


def same(first, second):
    assert torch.equal(first.features, second.features)
    assert (first.logits is None) == (second.logits is None)
    assert first.logits is None or torch.equal(first.logits, second.logits)


def test_rows_of_float32(build, images):
    extractor = build()
    features, logits = extractor(images)
    assert features.dtype == torch.float32 and features.dim() == 2 and len(features) == 6
    assert features.std(0).max() > 0
    if logits is not None:
        assert logits.dtype == torch.float32 and len(logits) == 6
    assert extractor.dimension in (None, features.shape[1])
    assert extractor.num_classes in (None, logits.shape[1] if logits is not None else 0)


def test_a_parent_that_trains_changes_nothing(build, images):
    extractor = build()
    parent = nn.Module()
    parent.extractor = extractor
    before, state = extractor(images), copy.deepcopy(extractor.state_dict())
    parent.train()
    assert not any(module.training for module in extractor.modules())
    same(extractor(images), before)
    assert all(torch.equal(value, state[name]) for name, value in extractor.state_dict().items())


def test_nothing_in_it_wants_or_gets_a_gradient(build, images):
    extractor = build()
    assert not any(parameter.requires_grad for parameter in extractor.parameters())
    extractor.requires_grad_(True)  # what a parent's requires_grad_ does
    with torch.enable_grad():
        features, logits = extractor(images)
    assert not features.requires_grad and (logits is None or not logits.requires_grad)
    assert not any(parameter.requires_grad for parameter in extractor.parameters())


def test_a_network_that_its_owner_set_to_training_is_frozen_again(images):
    network = Restless()
    extractor = as_extractor(network, "restless")
    before = extractor(images)
    network.train().requires_grad_(True)
    same(extractor(images), before)
    assert network.norm.num_batches_tracked == 0


def test_autocast_rounds_nothing(build, images):
    extractor = build()
    before = extractor(images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        same(extractor(images), before)
        assert torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype == torch.bfloat16


def test_inference_mode_changes_nothing_and_leaves_ordinary_tensors(build, images):
    extractor = build()
    before = extractor(images)
    with torch.inference_mode():
        inside = extractor(images.clone())
        made_inside = build()
        collected = extract(made_inside, images.clone(), 4, "cpu")
    same(inside, before)
    assert made_inside.to(torch.float32)(images).features.shape == before.features.shape
    for result in (inside, collected):
        assert not result.features.is_inference()
        result.features.add_(1)


def test_the_random_state_is_left_alone(build, images):
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    make = build if build in (Digits, RandomConv) else None
    extractor = None if make else build()
    state = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    extractor = make() if make else extractor
    extractor(images)
    extract(extractor, images, 4, "cpu")
    extractor.weights_hash()
    assert torch.equal(torch.get_rng_state(), state[0])
    assert random.getstate() == state[1]
    assert (np.random.get_state()[1] == state[2]).all()


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(2, 3, 8, 8),
        torch.zeros(2, 3, 8, 8, dtype=torch.int64),
        torch.zeros(2, 2, 8, 8, dtype=torch.uint8),
        torch.zeros(3, 8, 8, dtype=torch.uint8),
    ],
)
def test_anything_but_bytes_of_images_is_refused(build, images):
    with pytest.raises(ValueError, match=r"images are uint8 \[n, 1 or 3 channels"):
        build()(images)
    with pytest.raises(ValueError, match="images are uint8"):
        extract(build(), images, 4, "cpu")


@pytest.mark.parametrize("batch_size", [1, 4, 6, 100])
def test_extract_puts_batches_together_in_order(build, images, batch_size):
    extractor = build()
    whole, collected = extractor(images), extract(extractor, images, batch_size, "cpu")
    assert torch.allclose(collected.features, whole.features, atol=1e-5, rtol=1e-5)
    assert (collected.logits is None) == (whole.logits is None)
    if whole.logits is not None:
        assert torch.allclose(collected.logits, whole.logits, atol=1e-5, rtol=1e-5)


def test_no_images_make_no_rows(build, images):
    none, some = extract(build(), images[:0], 4, "cpu"), extract(build(), images, 4, "cpu")
    assert none.features.shape == (0, some.features.shape[1])


def test_maps_are_averaged_and_doubles_become_floats():
    maps = torch.rand(4, 5, 3, 2, dtype=torch.float64)
    images = torch.zeros(4, 1, 8, 8, dtype=torch.uint8)
    features, logits = returning((maps, torch.ones(4, 2, dtype=torch.float64)))(images)
    assert torch.allclose(features, torch.from_numpy(maps.numpy().mean((2, 3))).float())
    assert features.dtype == logits.dtype == torch.float32
    assert returning(Extracted(torch.ones(4, 2)))(images).logits is None
    assert returning(torch.ones(4, 2).bfloat16())(images).features.dtype == torch.float32


@pytest.mark.parametrize(
    "output",
    [
        None,
        "features",
        torch.zeros(4),
        torch.zeros(3, 5),
        torch.zeros(4, 5, 6),
        torch.zeros(4, 5, dtype=torch.int64),
        (torch.zeros(4, 5), torch.zeros(3, 2)),
        (torch.zeros(4, 5), "labels"),
        (torch.zeros(4, 5),) * 3,
        {"features": torch.zeros(4, 5)},
    ],
    ids=str,
)
def test_a_network_that_returns_the_wrong_thing_is_told_in_a_line(output):
    with pytest.raises(ConfigError) as error:
        returning(output)(torch.zeros(4, 1, 8, 8, dtype=torch.uint8))
    message = str(error.value)
    assert "\n" not in message and message.startswith("metrics.extractor: says makes ")
    assert "of 4 images; it must return features [n, d]" in message


def test_logits_have_as_many_columns_as_there_are_classes():
    extractor = returning((torch.zeros(4, 5), torch.zeros(4, 3)))
    images = torch.zeros(4, 1, 8, 8, dtype=torch.uint8)
    extractor.num_classes = 3
    extractor(images)
    extractor.num_classes = 10
    with pytest.raises(ConfigError, match="makes 3 logits, and num_classes=10"):
        extractor(images)


def test_what_a_user_brings_becomes_an_extractor():
    own = Own()
    assert as_extractor(own, "other") is own and own.name == "own"
    network = Restless()
    assert as_extractor(network, "My-Net").name == "My_Net"
    assert as_extractor(network, "x").num_classes is None
    network.num_classes = 4
    assert as_extractor(network, "x").num_classes == 4
    for wrong in (len, 3, Restless):
        with pytest.raises(ConfigError, match=r"metrics\.extractor: x makes a .* must make an nn\.Module"):
            as_extractor(wrong, "x")


def test_a_description_is_plain(build):
    extractor = build()
    told = extractor.description()
    assert json.loads(json.dumps(told)) == told
    assert told["extractor"] == extractor.name
    assert told["weights_sha256"] == extractor.weights_hash()
    assert {"resizer", "input_size", "channels"} <= set(told)


def test_the_hash_sees_all_that_makes_the_weights():
    def hashed(**state):
        module = nn.Module()
        for name, value in state.items():
            module.register_buffer(name, value)
        return as_extractor(module, "x").weights_hash()

    values = torch.arange(16, dtype=torch.float32)
    known = hashed(weight=values)
    assert hashed(weight=values.clone()) == known
    bit = values.clone()
    bit[3] = torch.nextafter(bit[3], torch.tensor(9.0))
    others = [
        hashed(weight=bit),
        hashed(weights=values),
        hashed(weight=values.view(4, 4)),
        hashed(weight=values.view(torch.int32)),
        hashed(weight=values, bias=torch.tensor(1.0)),
        hashed(weight=values.bfloat16()),
    ]
    assert len({known, *others}) == 7
    assert hashed(a=values, b=bit) == hashed(b=bit, a=values) != hashed(a=bit, b=values)


def test_the_hash_sees_the_network_and_not_how_it_lies_in_memory():
    network = Restless()
    extractor = as_extractor(network, "x")
    known = extractor.weights_hash()
    assert extractor.to(memory_format=torch.channels_last).weights_hash() == known
    same_weights = as_extractor(network, "y")
    assert same_weights.weights_hash() == known
    other = type("Other", (Restless,), {})()
    other.load_state_dict(network.state_dict())
    assert as_extractor(other, "x").weights_hash() != known


def test_the_hash_is_the_same_in_another_process():
    program = (
        "from ganlab.metrics.extractors.digits import Digits;"
        "from ganlab.metrics.extractors.random_conv import RandomConv;"
        "print(Digits().weights_hash(), RandomConv().weights_hash())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == [Digits().weights_hash(), RandomConv().weights_hash()]


def test_copies_are_extractors_too(build, images):
    if build is EXTRACTORS["module"] or build is EXTRACTORS["wrapped"] or build is Own:
        clone = copy.deepcopy(extractor := build())
    else:
        clone = pickle.loads(pickle.dumps(extractor := build()))
    same(clone(images), extractor(images))
    assert clone.description() == extractor.description()


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (64, 64), (20, 31)])
def test_resized_as_pillow_resizes(size):
    pixels = np.random.default_rng(0).random(size, dtype=np.float32)
    resized = resize(torch.from_numpy(pixels).view(1, 1, *size), 16)[0, 0].numpy()
    exact = np.asarray(Image.fromarray(pixels).resize((16, 16), Image.Resampling.BICUBIC))
    assert resized.shape == (16, 16)
    assert np.abs(resized - exact.clip(0, 1)).max() < 1e-4
    assert resized.min() >= 0 and resized.max() <= 1


def test_nothing_is_resized_that_has_the_size():
    image = torch.tensor([1.5]).expand(1, 1, 16, 16)
    assert resize(image, 16) is image
