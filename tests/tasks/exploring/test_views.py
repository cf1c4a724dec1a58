"""The parts of the page: their pixels and their words."""

import base64
import re
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.tasks.exploring.nearest import Nearest
from ganlab.tasks.exploring.places import Place
from ganlab.tasks.exploring.views import Views

CGAN = ["model=cgan", "data=digits", "data.image_size=8", "model.generator.width=8", "model.latent_dim=6"]
AE = ["model=ae", "data=digits", "data.image_size=8", "model.latent_dim=4"]


def pictures(html):
    """Of each picture its pixels, by name where it has one, else by number."""
    found = re.findall(r'<figure class="\w+"( data-name="([^"]*)")?><img[^>]*src="data:image/png;base64,([^"]+)"', html)
    images = [Image.open(BytesIO(base64.b64decode(data))) for _, _, data in found]
    return {
        name or number: np.asarray(image)
        for number, ((_, name, _), image) in enumerate(zip(found, images, strict=True))
    }


def captions(html):
    return re.findall("<figcaption>(.*?)</figcaption>", html)


def bytes_of(sample):
    """uint8 [height, width] of a gray sample."""
    return np.round((sample[0].double().numpy() + 1) * 127.5).clip(0, 255).astype(np.uint8)


@pytest.fixture
def views_of(explorer_of):
    def make(*words, real=True):
        explorer = explorer_of(*words, real=real)
        return Views(explorer, Nearest(explorer.train, explorer.class_names) if real else None, "Because of rain.")

    return make


def test_the_sample_is_shown_pixel_by_pixel(views_of):
    views = views_of(*CGAN, real=False)
    html = views.shown(Place(3, condition=4))
    shown = pictures(html)["shown"]
    wanted = bytes_of(views.explorer.model.sample(1, torch.tensor([4]), torch.Generator().manual_seed(3))[0])
    assert shown.shape == (448, 448) and (shown == np.kron(wanted, np.ones((56, 56), np.uint8))).all()
    assert captions(html) == ["seed 3, class 4"]


def test_a_test_sample_stands_beside_what_is_given_back(views_of):
    views = views_of(*AE)
    place = Place(row=2, kind="own", coordinates=(3.0, 3.0, 3.0, 3.0))
    html = views.shown(place)
    given, back, moved = (picture[14::28, 14::28] for picture in pictures(html).values())
    sample = views.explorer.test.at(torch.tensor([2])).samples
    assert (given == bytes_of(sample[0])).all()
    assert (back == bytes_of(views.explorer.model.reconstruct(sample)[0])).all()
    assert (moved == bytes_of(views.explorer.sample(place))).all() and (moved != back).any()
    label = int(views.explorer.test.labels[2])
    assert captions(html)[0] == f"test sample 2, class {label}" and re.fullmatch(
        r"given back, \d+\.\d dB", captions(html)[1]
    )


def test_neighbours_are_training_samples_with_their_distances(views_of):
    views = views_of(*CGAN)
    html = views.near(Place(0, condition=1))
    sample = bytes_of(views.explorer.sample(Place(0, condition=1))).astype(float)
    train = views.explorer.train.at(torch.arange(len(views.explorer.train)))
    every = np.stack([bytes_of(image) for image in train.samples])
    distances = np.sqrt(((every - sample) ** 2).mean(axis=(1, 2))) / 255
    nearest = np.argsort(distances, kind="stable")[:6]
    for number, row in enumerate(nearest):
        assert (pictures(html)[number][6::12, 6::12] == every[row]).all()
        assert captions(html)[number] == f"{int(train.conditions[row])} · {100 * distances[row]:.1f} %"
    assert f"all {len(every)}." in html


def test_without_training_samples_a_line_says_why(views_of):
    html = views_of(*CGAN, real=False).near(Place(condition=0))
    assert pictures(html) == {} and "Because of rain." in html


def test_the_way_between_two(views_of):
    views = views_of(*CGAN, real=False)
    first, last = (views.explorer.end(Place(seed, condition=seed)) for seed in (1, 2))
    for share, caption in ((0.0, "A"), (0.37, "0.37 of the way from A to B"), (1.0, "B")):
        html = views.walk(first, last, share)
        wanted = bytes_of(views.explorer.of_end(views.explorer.between(first, last, share)))
        assert (pictures(html)["walk"][14::28, 14::28] == wanted).all() and captions(html)[0] == caption
    assert "great circle" in html
    ends = pictures(views.ends(first, last))
    assert (ends["A"][6::12, 6::12] == bytes_of(views.explorer.of_end(first))).all() and list(ends) == ["A", "B"]


def test_many_samples_say_what_they_are(views_of):
    assert captions(views_of(*CGAN, real=False).grid(4)) == ["40 samples of seed 4, a row the same noise"]
    assert captions(views_of(*AE).grid(4)) == ["test samples, drawn by seed 4"]


def test_points_are_marked_among_samples_and_training_points(views_of):
    views = views_of("model=cgan", "data=ring", "model.generator.width=8")
    html = views.shown(Place(1, condition=2))
    assert re.fullmatch(
        r"here: \(\S+, \S+\); orange: samples of seed 1, class 2; blue: training points", captions(html)[0]
    )
    assert pictures(html)["shown"].shape == (520, 520, 3)
    assert re.search(r"nearest of 10,000 training points: \S+ away", views.near(Place(1, condition=2)))
    first, last = (views.explorer.end(Place(seed, condition=1)) for seed in (1, 2))
    assert list(pictures(views.walk(first, last, 0.5))) == ["walk"] and list(pictures(views.ends(first, last))) == [
        "A",
        "B",
    ]


def test_an_autoencoder_of_points(views_of):
    views = views_of("model=ae", "data=swiss_roll", "model.latent_dim=1")
    html = views.shown(Place(row=1))
    assert re.search(r"of this one \S+ away; blue: training points", captions(html)[0])
