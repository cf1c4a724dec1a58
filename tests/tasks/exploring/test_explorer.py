"""What the page shows, against the model asked directly."""

from dataclasses import replace

import pytest
import torch
from sklearn.decomposition import PCA

from ganlab.errors import ConfigError
from ganlab.pictures import slerp
from ganlab.tasks.exploring.explorer import Explorer
from ganlab.tasks.exploring.places import End, Place

GAN = ["model=gan", "data=digits", "data.image_size=8", "model.generator.width=8", "model.discriminator.width=8"]
CGAN = ["model=cgan", "data=digits", "data.image_size=8", "model.generator.width=8", "model.latent_dim=6"]
INFOGAN = ["model=infogan", "data=digits", "data.image_size=8", "model.generator.width=8", "model.latent_dim=5"]
"""[10, uniform, uniform] after 5 numbers of noise."""
VAE = ["model=vae", "data=digits", "data.image_size=8", "model.latent_dim=4"]
AE = ["model=ae", "data=digits", "data.image_size=8", "model.latent_dim=4"]


class Doubling:
    """A model of no family: twice the latent."""

    name, prior, latent_dim, condition_size, encodes, reconstructs = "doubling", "normal", 2, 0, False, False

    def __init__(self, shape, generates=True):
        self.sample_shape, self.generates = shape, generates


def seeded(seed):
    return torch.Generator().manual_seed(seed)


# -- noise and conditions ----------------------------------------------------------------------------------------------


def test_a_seed_shows_what_sampling_gives(explorer_of, same):
    explorer = explorer_of(*GAN)
    for seed in (0, 7):
        assert same(explorer.sample(Place(seed)), explorer.model.sample(1, None, seeded(seed))[0])


def test_a_class_is_what_the_model_is_told(explorer_of, same):
    explorer = explorer_of(*CGAN)
    assert explorer.first() == Place(condition=0)
    for label in (0, 3):
        wanted = explorer.model.sample(1, torch.tensor([label]), seeded(5))[0]
        assert same(explorer.sample(Place(5, condition=label)), wanted)
    assert not same(explorer.sample(Place(5, condition=0)), explorer.sample(Place(5, condition=3)))


def test_attributes_are_chosen_together(explorer_of):
    model = explorer_of(*CGAN).model
    explorer = Explorer(model, ["Smiling", "Male"], num_classes=0)
    assert explorer.by_attributes and explorer.first().condition == []
    assert explorer.condition_names[:3] == ["Smiling", "Male", "2"], "a name that is absent is its number"
    assert explorer.condition([1, 4]).tolist() == [0, 1, 0, 0, 1, 0, 0, 0, 0, 0]
    wanted = model.decode(explorer.origin(Place())[None], explorer.condition([1, 4])[None])[0]
    assert torch.equal(explorer.sample(Place(condition=[1, 4])), wanted)


# -- sliders -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["principal", "own"])
def test_a_slider_moves_the_latent_along_its_axis_alone(explorer_of, same, kind):
    explorer = explorer_of(*GAN, "model.latent_dim=20")
    start = Place(3, kind=kind)
    axes, shown = explorer.axes[kind], explorer.coordinates(start)
    assert len(shown) == 8
    moved = [*shown]
    moved[2] = shown[2] + 1.5 if shown[2] < 0 else shown[2] - 1.5
    latent, origin = explorer.latent(replace(start, coordinates=tuple(moved))), explorer.origin(start)
    way = (latent - origin).double()
    length = float(way @ axes.steps[2] / axes.steps[2].square().sum())
    assert abs(length - (moved[2] - shown[2])) < 0.006, "to the hundredth that the slider shows"
    assert torch.allclose(way, length * axes.steps[2], atol=1e-5)
    assert same(explorer.sample(replace(start, coordinates=tuple(moved))), explorer.model.decode(latent[None])[0])
    assert not same(explorer.sample(replace(start, coordinates=tuple(moved))), explorer.sample(start))


def test_own_axes_are_the_latents_own_numbers(explorer_of):
    explorer = explorer_of(*CGAN)
    place = Place(1, kind="own", coordinates=(0.0, 1.0, -2.0, 2.5, 0.5, 3.0), condition=0)
    assert torch.allclose(explorer.latent(place), torch.tensor(place.coordinates), atol=1e-6)


def test_the_first_principal_direction_changes_the_image_more_than_any_own_dimension(explorer_of):
    explorer = explorer_of(*GAN, "model.latent_dim=20")

    def change(kind, index):
        changes = []
        for seed in range(8):
            start = Place(seed, kind=kind)
            origin, step = explorer.origin(start), explorer.axes[kind].steps[index].float()
            ends = explorer.model.decode(torch.stack([origin - step, origin + step]))
            changes.append((ends[1] - ends[0]).square().sum().item())
        return sum(changes)

    assert change("principal", 0) > max(change("own", index) for index in range(8))


def test_principal_directions_are_of_all_classes_together(explorer_of, monkeypatch):
    explorer, told = explorer_of(*CGAN), set()
    decode = explorer.model.decode

    def watched(latents, condition=None):
        told.update(condition.argmax(1).tolist())
        return decode(latents, condition)

    monkeypatch.setattr(explorer.model, "decode", watched)
    again = Explorer(explorer.model, [], 10)
    assert told == set(range(10))
    assert torch.allclose(again.axes["principal"].steps, explorer.axes["principal"].steps)


def test_a_place_whose_sliders_were_not_touched_is_its_start(explorer_of):
    explorer = explorer_of(*INFOGAN)
    for kind in ("principal", "own"):
        start = Place(11, kind=kind)
        touched = replace(start, coordinates=tuple(explorer.coordinates(start)), codes=tuple(explorer.codes(start)))
        assert torch.equal(explorer.latent(touched), explorer.origin(start))


# -- codes -------------------------------------------------------------------------------------------------------------


def test_codes_are_set_and_noise_stays(explorer_of, same):
    explorer = explorer_of(*INFOGAN)
    assert [(control.name, control.size) for control in explorer.code_controls] == [
        ("code 1", 10),
        ("code 2", 1),
        ("code 3", 1),
    ]
    start = Place(4)
    latent = explorer.model.latents(1, seeded(4))[0]
    told = explorer.codes(start)
    assert latent[5:15].argmax() == told[0]
    assert torch.allclose(latent[15:], torch.tensor(told[1:]), atol=0.0051)
    wanted = latent.clone()
    wanted[5:15] = torch.eye(10)[3]
    wanted[16] = -0.25
    place = replace(start, codes=(3, told[1], -0.25))
    assert torch.equal(explorer.latent(place), wanted)
    assert same(explorer.sample(place), explorer.model.decode(wanted[None])[0])
    assert all(not axes.steps[:, 5:].any() for axes in explorer.axes.values()), "sliders of noise leave codes alone"


# -- walks -------------------------------------------------------------------------------------------------------------


def test_noise_walks_on_a_great_circle_and_codes_go_straight(explorer_of):
    explorer = explorer_of(*INFOGAN)
    first, last = explorer.end(Place(1)), explorer.end(Place(2))
    quarter = explorer.between(first, last, 0.25).latent
    assert torch.equal(quarter[:5], slerp(first.latent[None, :5], last.latent[None, :5], 0.25)[0])
    assert torch.allclose(quarter[5:], 0.75 * first.latent[5:] + 0.25 * last.latent[5:])


def test_a_uniform_prior_walks_straight(explorer_of):
    explorer = explorer_of(*GAN, "model.prior=uniform")
    assert explorer.cloud.reach == 1
    first, last = explorer.end(Place(1)), explorer.end(Place(2))
    half = explorer.between(first, last, 0.5).latent
    assert torch.allclose(half, (first.latent + last.latent) / 2)


def test_conditions_walk_too_and_the_ends_are_the_ends(explorer_of, same):
    explorer = explorer_of(*CGAN)
    places = Place(1, condition=2), Place(8, condition=6)
    first, last = map(explorer.end, places)
    way = explorer.walk(first, last, 5)
    assert way.shape == (5, 1, 8, 8)
    assert same(way[0], explorer.sample(places[0])) and same(way[-1], explorer.sample(places[1]))
    middle = explorer.between(first, last, 0.5)
    assert middle.condition.tolist() == [0, 0, 0.5, 0, 0, 0, 0.5, 0, 0, 0]
    assert same(way[2], explorer.model.decode(middle.latent[None], middle.condition[None])[0])


# -- many samples ------------------------------------------------------------------------------------------------------


def test_a_column_a_class_and_the_same_noise_along_a_row(explorer_of, same):
    explorer = explorer_of(*CGAN)
    samples, captions = explorer.grid(6)
    assert captions == [str(digit) for digit in range(10)] and len(samples) == 40
    latents = explorer.model.latents(4, seeded(6))
    for row, column in ((0, 0), (2, 7), (3, 9)):
        wanted = explorer.model.decode(latents[row][None], torch.tensor([column]))[0]
        assert same(samples[row * 10 + column], wanted)


def test_without_classes_all_noise_is_different(explorer_of, same):
    explorer = explorer_of(*GAN)
    samples, captions = explorer.grid(6)
    assert captions == [] and same(samples, explorer.model.sample(40, None, seeded(6)))


# -- autoencoders ------------------------------------------------------------------------------------------------------


def test_a_test_sample_is_the_start_of_an_autoencoder(explorer_of, same):
    explorer = explorer_of(*AE, real=True)
    assert explorer.first() == Place(row=0) and explorer.starts_from_samples
    model, data = explorer.model, explorer.test
    sample = data.at(torch.tensor([5])).samples
    assert same(explorer.origin(Place(row=5)), model.encode(sample)[0])
    given_back, decibels = explorer.reconstruction(5)
    assert same(given_back, model.reconstruct(sample)[0]) and same(explorer.sample(Place(row=5)), given_back)
    mse = ((given_back - sample[0]) / 2).square().mean()
    assert abs(decibels - float(-10 * mse.log10())) < 1e-4
    assert explorer.class_of(5) == str(int(data.labels[5]))


def test_units_of_codes_are_standard_deviations_of_training_codes(explorer_of):
    explorer = explorer_of(*AE, real=True)
    codes = explorer.model.encode(explorer.train.at(torch.arange(len(explorer.train))).samples)
    spread = codes.double().std(0, correction=0)
    assert torch.allclose(explorer.axes["own"].steps, torch.diag(spread), rtol=1e-4)
    place = Place(row=0, kind="own", coordinates=(0.0, 1.0, -1.0, 2.0))
    wanted = codes.double().mean(0) + torch.tensor([0.0, 1.0, -1.0, 2.0]).double() * spread
    assert torch.allclose(explorer.latent(place).double(), wanted, atol=1e-4)


def test_principal_directions_of_a_linear_autoencoder_are_components_of_what_it_gives_back(explorer_of):
    explorer = explorer_of(*AE, "model/coders=linear", "model.output=linear", "model.latent_dim=3", real=True)
    samples = explorer.train.at(torch.arange(len(explorer.train))).samples
    fitted = PCA(3).fit(explorer.model.reconstruct(samples).flatten(1).double())
    origin, steps = explorer.origin(Place(row=0)), explorer.axes["principal"].steps.float()
    ways = (explorer.model.decode(origin + steps) - explorer.model.decode(origin[None])).flatten(1)
    cosines = (ways / ways.norm(dim=1, keepdim=True)).double() @ torch.tensor(fitted.components_).T.double()
    assert torch.allclose(cosines.abs(), torch.eye(3).double(), atol=1e-3)


def test_without_a_prior_the_many_samples_are_test_samples_and_what_is_given_back(explorer_of, same):
    explorer = explorer_of(*AE, real=True)
    samples, captions = explorer.grid(3)
    assert captions == [] and len(samples) == 40
    for top in (0, 20):
        given = samples[top : top + 10]
        assert same(samples[top + 10 : top + 20], explorer.model.reconstruct(given))


def test_a_vae_starts_from_noise_and_from_test_samples(explorer_of, same):
    explorer = explorer_of(*VAE, real=True)
    assert explorer.first() == Place() and explorer.starts_from_samples
    assert same(explorer.sample(Place(3)), explorer.model.sample(1, None, seeded(3))[0])
    sample = explorer.test.at(torch.tensor([3])).samples
    assert same(explorer.sample(Place(row=3)), explorer.model.reconstruct(sample)[0])
    assert explorer.cloud.reach == 3 and torch.equal(explorer.axes["own"].steps, torch.eye(4).double())


def test_a_conditional_vae_is_told_the_samples_own_class_and_then_another(explorer_of, same):
    explorer = explorer_of(*VAE, "model.condition_size=${data.condition_size}", real=True)
    batch = explorer.test.at(torch.tensor([9]))
    label = int(batch.conditions[0])
    assert explorer.own_condition(9) == label
    code = explorer.model.encode(batch.samples, batch.conditions)
    assert same(explorer.origin(Place(row=9)), code[0])
    other = (label + 1) % 10
    wanted = explorer.model.decode(code, torch.tensor([other]))[0]
    assert same(explorer.sample(Place(row=9, condition=other)), wanted)


# -- points ------------------------------------------------------------------------------------------------------------


def test_points_are_samples_of_the_seed_and_class(explorer_of, same):
    explorer = explorer_of("model=cgan", "data=ring", "model.generator.width=8")
    points = explorer.cloud_of_points(Place(2, condition=3), 300)
    assert same(points, explorer.model.sample(300, torch.full((300,), 3), seeded(2)))


def test_an_autoencoder_of_points_gives_test_points_back(explorer_of, same):
    explorer = explorer_of("model=ae", "data=swiss_roll", "model.latent_dim=1", real=True)
    sample = explorer.test.at(torch.arange(50)).samples
    assert same(explorer.cloud_of_points(Place(row=0), 50), explorer.model.reconstruct(sample))
    _, distance = explorer.reconstruction(4)
    assert abs(distance - float((explorer.model.reconstruct(sample)[4] - sample[4]).norm())) < 1e-6


# -- what cannot be --------------------------------------------------------------------------------------------------


def test_what_no_page_can_show():
    with pytest.raises(
        ConfigError, match=r"samples of shape \[5\]; the page shows images of 1 or 3 channels and points"
    ):
        Explorer(Doubling([5]))
    with pytest.raises(ConfigError, match=r"samples of shape \[4, 8, 8\]"):
        Explorer(Doubling([4, 8, 8]))
    with pytest.raises(ConfigError, match="nothing to explore"):
        Explorer(Doubling([2], generates=False))


def test_the_latent_handed_over_is_not_changed(explorer_of):
    explorer = explorer_of(*INFOGAN)
    first, last = explorer.end(Place(1)), explorer.end(Place(2))
    kept = End(first.latent.clone(), None), End(last.latent.clone(), None)
    explorer.walk(first, last, 4)
    assert torch.equal(first.latent, kept[0].latent) and torch.equal(last.latent, kept[1].latent)
