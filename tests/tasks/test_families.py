"""The families that add something of their own, from the command line to their files."""

import csv

import pytest
import torch

TINY = ["model.generator.width=4", "model.discriminator.width=4", "data.batch_size=8", "trainer.log_every=2"]
TINY += ["trainer.max_iterations=4", "trainer.sample_every=4", "trainer.threads=1", "hydra.run.dir=run"]


def logged(folder):
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    "words",
    [
        ["data=digits"],
        ["data=digits", "data.channels=3", "data.image_size=32", "model.codes=[uniform,3,2]"],
        ["data=ring", "model.codes=[8]"],
        ["data=ring", "model/networks=mlp", "model.loss=hinge"],
    ],
)
def test_infogan(ganlab, tmp_path, words):
    done = ganlab("model=infogan", *words, *TINY, "metrics.scores=[]", tiny=False)
    assert done.returncode == 0, done.stderr
    codes = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["ganlab"]["config"]["model"]["codes"]
    for row in logged(tmp_path / "run"):
        numbers = [tag for tag in row if tag.startswith("loss/information_")]
        assert numbers == [f"loss/information_{number}" for number in range(1, len(codes) + 1)]
        assert all(row[tag] for tag in numbers)
    assert (tmp_path / "run/samples/traversal_iteration_000004.png").is_file()


@pytest.mark.parametrize(
    "words",
    [
        ["data=digits", "data.labels_per_class=3"],
        ["data=digits", "data.labels_per_class=3", "model.discriminator.minibatch_kernels=4", "trainer.accumulate=2"],
        ["data=ring", "data.labels_per_class=2", "model.historical_averaging=0.1", "model.discriminator_updates=2"],
    ],
)
def test_semi_supervised_gan(ganlab, tmp_path, words):
    done = ganlab("model=semi_supervised_gan", *words, *TINY, "metrics.scores=[accuracy]", tiny=False)
    assert done.returncode == 0, done.stderr
    rows = logged(tmp_path / "run")
    assert all(float(row["loss/supervised"]) > 0 for row in rows)
    assert 0 <= float(rows[-1]["metric/accuracy"]) <= 1


@pytest.mark.parametrize("data", ["digits", "ring"])
def test_acgan(ganlab, tmp_path, data):
    done = ganlab("model=acgan", f"data={data}", *TINY, "metrics.scores=[accuracy]", tiny=False)
    assert done.returncode == 0, done.stderr
    assert 0 <= float(logged(tmp_path / "run")[-1]["metric/accuracy"]) <= 1


ALL_AT_ONCE = ["model.r1=0.1", "model.r2=0.1", "model.gradient_penalty=0.1", "model.gradient_centre=0"]
ALL_AT_ONCE += ["model.instance_noise=0.1", "model.historical_averaging=0.01"]
ALL_AT_ONCE += ["model.discriminator.norm=spectral"]


ON_POINTS = [(model, "ring") for model in ("gan", "wgan", "fgan", "infogan")]
ON_IMAGES = [(model, "digits") for model in ("lsgan", "wgan_gp", "cgan", "acgan", "semi_supervised_gan")]


@pytest.mark.parametrize(("model", "data"), [*ON_POINTS, *ON_IMAGES])
def test_what_goes_with_every_family_goes_together(ganlab, tmp_path, model, data):
    words = [*ALL_AT_ONCE, "model.discriminator.gain=2.0"]
    words += ["model.augment=[color,translation,cutout]"] if data == "digits" else []
    words += ["model.relativistic=paired"] if model in ("gan", "lsgan", "cgan", "infogan", "acgan") else []
    words += ["data.labels_per_class=2"] if model == "semi_supervised_gan" else []
    done = ganlab(f"model={model}", f"data={data}", *words, *TINY, "metrics.scores=[]", tiny=False)
    assert done.returncode == 0, done.stderr
    row = logged(tmp_path / "run")[-1]
    for tag in ("r1", "r2", "gradient", "history_generator", "history_discriminator"):
        assert float(row[f"penalty/{tag}"]) > 0, tag
    assert float(row["instance_noise/std"]) == 0  # half of the run is over


@pytest.mark.slow
def test_two_processes_train_whom_one_with_their_batches_would(ganlab, tmp_path):
    words = ["model=gan", "data=ring", "model.balanced=true", "trainer.max_iterations=40", "metrics.scores=[]"]
    words = [*TINY, *words, "optimizer.generator.lr=0.02", "optimizer.discriminator.lr=0.02", "trainer.log_every=1"]
    together = ganlab(*words, "trainer.devices=2", "trainer.accelerator=cpu", tiny=False)
    alone = ganlab(*words, "data.batch_size=16", "hydra.run.dir=alone", tiny=False)
    assert (together.returncode, alone.returncode) == (0, 0), together.stderr + alone.stderr
    trained = [
        [(row["updates/discriminator"], row["updates/generator"]) for row in logged(tmp_path / folder)]
        for folder in ("run", "alone")
    ]
    assert trained[0] == trained[1]
    assert min(map(float, trained[0][-1])) >= 3, "both had their turn"


def test_minibatch_discrimination_of_points_draws_no_field(ganlab, tmp_path):
    """The picture's 9,216 places as one batch would take 50 GB."""
    done = ganlab(
        "model=gan", "data=ring", "model.discriminator.minibatch_kernels=32", *TINY, "metrics.scores=[]", tiny=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run/samples/iteration_000004.png").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model=infogan", "model.codes=[1]"], "model.codes=[1]: 1 is no code"),
        (["model=infogan", "model.codes=[]"], "model.codes=[]: there must be at least one code"),
        (["model=infogan", "model.codes=[gaussian]"], "gaussian is no code"),
        (["model=semi_supervised_gan", "data=uniform"], "model.num_classes=0: this model tells classes apart"),
        (["model=acgan", "data=swiss_roll"], "model.condition_size=0: this model tells classes apart"),
        (["model=dcgan", "data=digits", "model.r1=1"], "set model.discriminator.norm=none"),
        (["model=gan", "data=ring", "model.augment=[color]"], "these are operations on images"),
        (["model=gan", "model.augment=[colour]"], "model.augment.0=colour: must be 'color', 'translation' or 'cutout'"),
        (["model=gan", "model.discriminator_updates=0"], "model.discriminator_updates=0: must be greater than 0"),
        (["model=wgan", "model.clip=0"], "model.clip=0: must be greater than 0"),
        (["model=fgan", "model.divergence=kll"], "model.divergence=kll: must be 'kl'"),
        (["model=lsgan", "model.b=-1"], "model.b=-1"),
        (["model=gan", "data=ring", "model.discriminator.gain=2.0"], "model.discriminator.gain=2"),
        (
            ["model=gan", "model.balanced=true", "model.loss=minimax"],
            "model.balanced=true: the two losses of model=gan",
        ),
        (["model=wgan", "model.balanced=true"], "model.balanced=true: the two losses of model=wgan"),
        (["model=gan", "model.balanced=true", "model.relativistic=paired"], "model.balanced=true: the two losses"),
        (["model=gan", "model.balanced=true", "model.discriminator_updates=2"], "model.discriminator_updates=2: with"),
        (["model=wgan", "model.relativistic=average"], "model.relativistic=average: the losses of model=wgan"),
        (["model=fgan", "model.relativistic=paired"], "model.relativistic=paired: the losses of model=fgan"),
        (["model=gan", "model.relativistic=paired", "model.label_smoothing=0.1"], "model.relativistic=paired: the"),
        (["model=gan", "model.loss=hinge", "model.label_smoothing=0.1"], "model.label_smoothing=0.1: the hinge loss"),
        (["model=wgan", "model.warmup_updates=5000"], "model.warmup_updates=5000: must be less than or equal to 1000"),
        (["model=acgan", "model.discriminator.conditioning=projection"], "conditioning=projection: this discriminator"),
        (["model=semi_supervised_gan", "+model.condition_size=10"], "model.condition_size=10: this model learns"),
    ],
)
def test_bad_input_is_a_line(ganlab, tmp_path, words, said):
    done = ganlab(*words, tiny=False)
    assert done.returncode == 2 and done.stdout == ""
    told = [line for line in done.stderr.splitlines() if line]
    assert len(told) == 1 and said in told[0], done.stderr
    assert not list(tmp_path.iterdir())
