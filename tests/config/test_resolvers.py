import pytest
from omegaconf import OmegaConf

from ganlab.config import resolvers

resolvers.register()


def optimizers(recommended, algorithm="adam"):
    node = {
        "lr": f"${{recommended:{algorithm},lr,0.5}}",
        "betas": f"${{recommended:{algorithm},betas,[0.1,0.2]}}",
    }
    config = OmegaConf.create(
        {"model": {"recommended": recommended}, "optimizer": {"generator": node, "discriminator": dict(node)}}
    )
    return OmegaConf.to_container(config.optimizer, resolve=True)


def test_the_papers_setting_holds_for_its_algorithm_only():
    paper = {"adam": {"lr": 2e-4}}
    assert optimizers(paper)["generator"] == {"lr": 2e-4, "betas": [0.1, 0.2]}
    assert optimizers(paper, "sgd")["generator"] == {"lr": 0.5, "betas": [0.1, 0.2]}
    assert optimizers({})["generator"]["lr"] == 0.5


def test_a_setting_for_one_network():
    paper = {"adam": {"lr": 1e-4, "betas": [0.0, 0.9], "discriminator": {"lr": 4e-4}}}
    assert optimizers(paper) == {
        "generator": {"lr": 1e-4, "betas": [0.0, 0.9]},
        "discriminator": {"lr": 4e-4, "betas": [0.0, 0.9]},
    }


def test_zero_is_a_setting():
    assert optimizers({"adam": {"lr": 0.0}})["generator"]["lr"] == 0.0


def test_a_model_without_recommendations():
    config = OmegaConf.create({"model": {}, "optimizer": {"generator": {"lr": "${recommended:adam,lr,3}"}}})
    assert config.optimizer.generator.lr == 3


def test_the_models_setting_reaches_the_optimizer_and_the_user_has_the_last_word(job):
    config = job("model=gan", "model.recommended.adam.lr=3e-4", "optimizer.discriminator.lr=7e-4")
    assert (config.optimizer.generator.lr, config.optimizer.discriminator.lr) == (3e-4, 7e-4)
    config = job("model=gan", "optimizer=rmsprop")
    assert config.optimizer.generator.lr == 5e-5


@pytest.mark.parametrize(("attributes", "size"), [([], 7), (["Smiling"], 1), (["Smiling", "Male"], 2), (None, 7)])
def test_condition_size(attributes, size):
    assert resolvers.condition_size(7, attributes) == size


def test_condition_size_by_configuration(job):
    assert job("data=celeba", "data.attributes=[Smiling,Male]").model.condition_size == 2
    assert job("data=celeba", "data.attributes=all").data.condition_size == 40
    assert job("data=image_folder", "data.num_classes=3").data.condition_size == 3


@pytest.mark.parametrize(
    ("widths", "expected"),
    [([256, 128, 30], [30, 128, 256]), ([7], [7]), ([], []), (None, None), ("wide", "wide"), (5, 5)],
)
def test_mirrored(widths, expected):
    config = OmegaConf.create(
        {"model": {"encoder": {"widths": widths}, "decoder": {"widths": "${mirrored:model.encoder.widths}"}}}
    )
    assert OmegaConf.to_container(config, resolve=True)["model"] == {
        "encoder": {"widths": widths},
        "decoder": {"widths": expected},
    }


def test_what_is_mirrored_may_itself_follow_from_something_else():
    config = OmegaConf.create({"sizes": [3, 2, "${last}"], "last": 1, "up": "${mirrored:down}", "down": "${sizes}"})
    assert config.up == [1, 2, 3]
    config.last = 9
    assert config.up == [9, 2, 3]


def test_a_name_that_is_nowhere_has_no_mirror():
    assert OmegaConf.create({"up": "${mirrored:model.down}"}).up is None


def test_run_name(job):
    assert job("model=gan", "data=ring").hydra.run.dir.startswith("outputs/gan-ring/")
    assert job("model=gan", "data=ring", "name=first").hydra.run.dir.startswith("outputs/first/")


def test_a_jobs_folder_is_one_folder_with_a_name_that_every_file_system_takes():
    assert resolvers.job_folder(3, "model/networks=mlp,name='a b',x=$y") == "3_model.networks=mlp,name=a b,x=y"
    assert resolvers.job_folder(0, "") == "0"
    long = resolvers.job_folder(12, "key=value," * 100)
    assert len(long) <= 150 and long.startswith("12_key=value,")
