"""What tells configurations apart, in the fewest words that are true."""

import pytest
from omegaconf import OmegaConf
from run_folders import write_run

from ganlab.tasks.comparing.labels import labels_of, written
from ganlab.tasks.comparing.runs import read_runs


@pytest.fixture
def labels(tmp_path):
    """labels(["model=gan"], ["model=lsgan"]): of one run each, in that order."""

    def of(*overrides):
        folders = [write_run(tmp_path / str(place), *words) for place, words in enumerate(overrides)]
        return labels_of([read_runs([str(folder)]).runs for folder in folders])

    return of


def test_only_what_differs_is_told(labels):
    told = labels(["model=gan", "data.image_size=8", "seed=0"], ["model=lsgan", "data.image_size=8", "seed=1"])
    assert told == ["model=gan", "model=lsgan"]


def test_a_default_is_told_beside_what_was_typed(labels):
    assert labels([], ["model.latent_dim=8"]) == ["latent_dim=64", "latent_dim=8"]


def test_one_value_of_two_networks_is_one_word_and_of_one_it_names_the_network(labels):
    both = ["optimizer.generator.lr=1e-3", "optimizer.discriminator.lr=1e-3"]
    assert labels([], both) == ["lr=0.0002", "lr=0.001"]


def test_the_name_of_one_networks_key_says_which(labels):
    assert labels([], ["optimizer.generator.lr=1e-3"]) == ["generator.lr=0.0002", "generator.lr=0.001"]


def test_what_follows_from_a_choice_is_not_told_but_what_was_typed_is(labels):
    told = labels(["model=gan"], ["model=wgan"], ["model=wgan", "model.latent_dim=8"], ["model=lsgan", "model.a=-1"])
    assert told == ["model=gan", "model=wgan latent_dim=64", "model=wgan latent_dim=8", "model=lsgan a=-1"]


def test_what_follows_by_interpolation_is_not_told(labels):
    assert labels(["data.image_size=8"], ["data.image_size=32"]) == ["image_size=8", "image_size=32"]


def test_a_resumed_run_is_told_by_what_it_became(labels, tmp_path):
    labels(["model.latent_dim=8"], ["model.latent_dim=8"])
    config = tmp_path / "1" / ".hydra" / "config.yaml"
    resumed = OmegaConf.load(config)
    resumed.model.latent_dim, resumed.trainer.max_iterations = 16, 300
    config.write_text(OmegaConf.to_yaml(resumed))
    groups = [read_runs([str(tmp_path / name)]).runs for name in "01"]
    assert labels_of(groups) == ["latent_dim=8 max_iterations=100", "latent_dim=16 max_iterations=300"]


def test_alone_it_is_called_by_its_experiment_or_model_and_data(labels):
    assert labels(["model=wgan", "trainer.max_iterations=7"]) == ["wgan on digits"]


def test_an_experiment_is_a_name(labels):
    assert labels(["experiment=ring", "model=wgan"]) == ["experiment=ring"]


def test_labels_are_on_one_line_and_command_no_terminal(labels):
    escaping = r'model.loss="a\x1b[31mred\nline"'
    assert labels([], [escaping])[1] == r"loss=a\x1b[31mred\nline"


def test_values_are_written_as_they_are_typed():
    values = [None, True, 1e-4, 2.0, 1e-12, [10, "uniform", 0.5], {"a": [1], "b": None}, float("inf")]
    told = ["null", "true", "0.0001", "2", "1e-12", "[10,uniform,0.5]", "{a:[1],b:null}", "inf"]
    assert list(map(written, values)) == told
