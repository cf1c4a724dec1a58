import pytest
from omegaconf import OmegaConf

from ganlab.config.callback import _derived, drop_unused_optimizers
from ganlab.config.check import problems_of, unused_optimizers
from ganlab.config.nearest import LISTED, nearest
from ganlab.config.paths import conf_folder

NEEDS_IMAGES, NEEDS_LABELS = {"dcgan", "lapgan"}, {"acgan", "cgan", "semi_supervised_gan"}


def lines_of(config, overrides=()):
    drop_unused_optimizers(config, overrides)
    config = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
    written = OmegaConf.to_container(config, resolve=False)
    return problems_of(OmegaConf.to_container(config, resolve=True), set(_derived(written)))


@pytest.fixture
def problems(job):
    """problems("model=dcgan", …): the lines of the check, as the command line would print them."""
    return lambda *overrides: lines_of(job(*overrides), overrides)


def options(group):
    return sorted(path.stem for path in (conf_folder() / group).glob("*.yaml"))


@pytest.mark.parametrize("data", options("data"))
@pytest.mark.parametrize("model", options("model"))
def test_each_shipped_model_with_each_data(job, model, data):
    optimizers = options("optimizer")
    optimizer = optimizers[(options("data").index(data) + options("model").index(model)) % len(optimizers)]
    config = job(f"model={model}", f"data={data}", f"optimizer={optimizer}")
    lines, declared = lines_of(config), OmegaConf.to_container(config.data, resolve=True)
    if model in NEEDS_IMAGES and len(declared["sample_shape"]) == 1:
        assert len(lines) == 1 and "this data set holds points" in lines[0]
    elif model in NEEDS_LABELS and declared["condition_size"] == 0:
        assert len(lines) == 1 and "choose labelled data" in lines[0]
    else:
        assert lines == []


@pytest.mark.parametrize(
    "choice", ["data=celeba data.attributes=[Smiling,Male]", "data=image_folder data.num_classes=3"]
)
def test_data_that_can_have_conditions_fit_a_conditional_model(problems, choice):
    assert problems("model=cgan", *choice.split()) == []


OTHERS = ("optimizer", "trainer", "logger", "callbacks", "metrics", "model/networks")


@pytest.mark.parametrize("turn", range(max(len(options(group)) for group in OTHERS)))
def test_every_other_option_passes(problems, turn):
    assert problems(*(f"{group}={options(group)[turn % len(options(group))]}" for group in OTHERS)) == []


@pytest.mark.parametrize("experiment", options("experiment"))
def test_every_experiment_passes(problems, experiment):
    assert problems(f"experiment={experiment}") == []


def test_an_unknown_key_anywhere_is_named_with_the_nearest(problems):
    lines = problems(
        "+trainer.max_iteration=5",
        "+model.latnt_dim=3",
        "+model.generator.widht=3",
        "+data.bach_size=3",
        "+optimizer.generator.momentm=0.9",
        "optimizer=rmsprop",
        "+colour=red",
    )
    told = {line.partition("=")[0]: line for line in lines}
    assert len(told) == len(lines) == 6
    assert told["trainer.max_iteration"].startswith("trainer.max_iteration=5: unknown key; nearest: max_iterations")
    assert told["model.latnt_dim"].startswith("model.latnt_dim=3: unknown key; nearest: latent_dim")
    assert told["model.generator.widht"] == "model.generator.widht=3: unknown key; nearest: width"
    assert told["data.bach_size"].startswith("data.bach_size=3: unknown key; nearest: batch_size")
    assert told["optimizer.generator.momentm"].startswith(
        "optimizer.generator.momentm=0.9: unknown key; nearest: moment"
    )
    assert told["colour"].startswith("colour=red: unknown key")


WRONG = [
    {
        "trainer.max_iterations=abc": "trainer.max_iterations=abc: must be an integer",
        "trainer.compile=1": "trainer.compile=1: must be a boolean",
        "data.batch_size=-3": "data.batch_size=-3: must be greater than 0",
        "model.latent_dim=true": "model.latent_dim=True: must be an integer",
        "model.ema_decay=1": "model.ema_decay=1: must be less than 1",
        "model.loss=hing": "model.loss=hing: must be 'minimax', 'non_saturating' or 'hinge'",
        "model.generator.width=0": "model.generator.width=0: must be greater than 0",
        "optimizer.generator.lr=nan": "optimizer.generator.lr=nan: must be a finite number",
        "optimizer.generator.betas=[0.5]": "two numbers, each at least 0 and below 1",
        "optimizer.discriminator.algorithm=adagrad": "discriminator.algorithm=adagrad: unknown; nearest: adam",
        "seed=-1": "seed=-1: must be greater than or equal to 0",
        "name=5": "name=5: must be a string",
        "callbacks.extra=[{a:1}]": "callbacks.extra.0={'a': 1}: a callback needs a _target_",
        "~model.name": "model.name: missing",
        "~trainer.devices": "trainer.devices: missing",
        "~optimizer.generator.schedule": "optimizer.generator.schedule: missing",
        "~logger": "logger: missing",
    },
    {
        "trainer.max_iterations=10.5": "trainer.max_iterations=10.5: must be an integer",
        "model.generator=3": "model.generator=3: must be a group of keys",
        "optimizer.generator.betas=[0.5,1.0]": "two numbers, each at least 0 and below 1",
    },
    {
        "trainer.max_iterations='10'": "trainer.max_iterations=10: must be an integer",
        "model._target_=ganlab.models.gan.GNA": "ganlab.models.gan has no 'GNA'; nearest: GAN",
    },
    {
        "model._target_=ganlab.models.wgam.WGAM": "there is no module 'ganlab.models.wgam'",
        "trainer.max_iterations=0": "trainer.max_iterations=0: must be greater than 0",
    },
    {
        "~model._target_": "model._target_: missing",
        "trainer.max_iterations=null": "trainer.max_iterations=None: must be an integer",
    },
]
"""Overrides and what is said of each; those of one group are given together."""


@pytest.mark.parametrize("group", WRONG)
def test_a_wrong_value_is_one_line_with_key_and_value(problems, group):
    told = problems("data=ring", "model=gan", *group)
    for override, line in group.items():
        assert [other for other in told if line in other], override
    assert len(told) == len(group)


def test_the_alternatives_of_a_union_share_a_line(problems):
    assert problems(
        "trainer.devices=some", "trainer.channels_last=maybe", "trainer.precision=fp8", "trainer.threads=-1"
    ) == [
        "trainer.devices=some: must be an integer or 'auto'",
        "trainer.precision=fp8: must be '32', '64', 'bf16-mixed' or '16-mixed' or 32 or 64",
        "trainer.channels_last=maybe: must be a boolean or 'auto'",
        "trainer.threads=-1: must be greater than 0 or 'auto'",
    ]


def test_entries_of_a_list_that_are_wrong_in_the_same_way_share_a_line(problems):
    [line] = problems("callbacks.extra=[1,some name,{_target_: x},auto]")
    assert line == "callbacks.extra.0=1: must be a group of keys; the same of 2 more in the list"


def test_all_problems_are_told_at_once(problems):
    lines = problems("trainer.max_iterations=-1", "data.batch_size=x", "model.latent_dim=0", "seed=-2", "logger.csv=3")
    assert sorted(line.partition(":")[0] for line in lines) == [
        "data.batch_size=x",
        "logger.csv=3",
        "model.latent_dim=0",
        "seed=-2",
        "trainer.max_iterations=-1",
    ]


def test_what_two_networks_take_from_one_place_is_one_line(problems):
    (line,) = problems("model=dcgan", "data.image_size=24")
    assert line.startswith("model.generator.sample_shape, model.discriminator.sample_shape=[1, 24, 24]: ")
    assert "data.image_size=16 or data.image_size=32" in line


def test_the_same_value_of_other_names_is_told_apart(problems):
    lines = problems("seed=-1", "optimizer.generator.lr=-1", "optimizer.discriminator.lr=-1")
    assert lines == [
        "seed=-1: must be greater than or equal to 0",
        "optimizer.generator.lr, optimizer.discriminator.lr=-1: must be greater than or equal to 0",
    ]


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("data.image_size=-8", "data.image_size=-8: must be greater than 0"),
        ("data.image_size=abc", "data.image_size=abc: must be an integer"),
        ("data.num_classes=-1", "data.num_classes=-1: must be greater than or equal to 0"),
        ("data.sample_shape=3", "data.sample_shape=3: must be a list"),
    ],
)
def test_what_follows_from_wrong_data_is_not_told_again(problems, override, line):
    assert problems(override) == [line]


def test_a_wrong_value_beside_the_data_does_not_hide_what_follows_from_the_data(problems):
    lines = problems("model=dcgan", "data.image_size=24", "seed=-1")
    assert len(lines) == 2 and "seed=-1" in lines[0] and "[1, 24, 24]" in lines[1]


def test_fp16_on_the_cpu(problems):
    assert problems("trainer.precision=16-mixed", "trainer.accelerator=cpu") == [
        "trainer.precision=16-mixed: needs a CUDA device; on the CPU use bf16-mixed or 32"
    ]
    assert problems("trainer.precision=16-mixed", "trainer.accelerator=cuda") == []
    assert problems("trainer.precision=bf16-mixed", "trainer.accelerator=cpu") == []


@pytest.mark.parametrize(
    ("choice", "line"),
    [
        ("model=semi_supervised_gan", None),
        ("model=semi_supervised_gan data=ring", None),
        ("model=gan", "model=gan learns from no labels; labels_per_class is for model=semi_supervised_gan"),
        ("model=cgan", "model=cgan is given the label of every sample; labels_per_class is for model=semi_"),
        ("model=cgan +model.num_classes=10", "model=cgan is given the label of every sample; labels_per_class is"),
        ("model=gan data.num_classes=0", "data=digits has no class labels (data.num_classes=0); set it to 0"),
    ],
)
def test_labels_are_counted_out_only_to_a_model_that_learns_from_few(problems, choice, line):
    told = [line for line in problems(*choice.split(), "data.labels_per_class=5") if "num_classes=10" not in line]
    if line is None:
        assert told == []
    else:
        assert len(told) == 1 and told[0].startswith(f"data.labels_per_class=5: {line}")
    assert problems("model=gan", "data.labels_per_class=0") == []


@pytest.mark.parametrize(("value", "kind"), [("-1", "greater than or equal to 0"), ("1.5", "an integer")])
def test_a_number_of_labels_is_a_count(problems, value, kind):
    assert problems(f"data.labels_per_class={value}") == [f"data.labels_per_class={value}: must be {kind}"]


def test_a_models_conditions_are_as_long_as_the_datas(problems):
    (line,) = problems("model=cgan", "model.condition_size=3")
    assert line == (
        "model.condition_size=3: data.condition_size=10 is how long the data's conditions are; "
        "set model.condition_size=10"
    )
    assert problems("model=cgan", "model.condition_size=10") == []
    assert problems("model=lapgan", "model.condition_size=0") == [], "a model need not look at them"
    (line,) = problems("model=cgan", "model.condition_size=3", "data=uniform")
    assert "data.condition_size=0" in line


def test_nearest():
    assert nearest("batchsize", ["batch_size", "image_size", "root"]).startswith("; nearest: batch_size")
    assert nearest("zzz", ["b", "a"]) == "; there are: a, b"
    assert nearest("zzz", []) == ""
    assert nearest("zzz", [f"a{number}" for number in range(LISTED + 1)]) == ""


def test_unused_optimizers():
    optimizer = {"generator": {}, "discriminator": {}, "autoencoder": {}}
    assert unused_optimizers({"model": {"trains": ["generator"]}, "optimizer": optimizer}) == [
        "discriminator",
        "autoencoder",
    ]
    assert unused_optimizers({"model": {}, "optimizer": optimizer}) == []
    assert unused_optimizers({"model": None, "optimizer": None}) == []
