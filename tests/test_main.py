"""The command line from end to end, in processes of its own: what it refuses, how it says so, and how fast."""

import os
import re
import subprocess
import sys

import pytest
import yaml

HEAVY = {"torch", "lightning", "torchvision", "torchmetrics", "sklearn", "matplotlib"}


def environment(**more):
    """Without a GPU, and without what a surrounding distributed or debugged run might have left."""
    foreign = ("LOCAL_RANK", "MASTER_", "WORLD_SIZE", "NODE_RANK", "HYDRA_FULL_ERROR", "GANLAB_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    return {**kept, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", **more}


def start(folder, *words, module="ganlab", options=(), **more):
    return subprocess.run(
        [sys.executable, *options, "-m", module, *words],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def refused(tmp_path):
    """refused("seed=-1"): the lines on standard error, after verifying that nothing else has happened."""

    def lines(*words, module="ganlab"):
        before = sorted(tmp_path.rglob("*"))
        done = start(tmp_path, *words, module=module)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr and "Warning" not in done.stderr
        assert done.stdout == ""
        assert sorted(tmp_path.rglob("*")) == before
        return done.stderr.splitlines()

    return lines


def starts(lines, *beginnings):
    """Whether there is one line for each of the beginnings, and no other."""
    assert len(lines) == len(beginnings), lines
    for beginning in beginnings:
        assert any(line.startswith(beginning) for line in lines), (beginning, lines)
    return True


def test_names_that_are_not_there(refused):
    assert starts(
        refused("model=dcgn", "data=mnst", "optimizer=adm"),
        "model=dcgn: there is no model named dcgn; nearest: dcgan",
        "data=mnst: there is no data named mnst; nearest: mnist",
        "optimizer=adm: there is no optimizer named adm; nearest: adam",
    )


def test_keys_that_are_not_there_and_words_that_cannot_be_read(refused):
    assert starts(
        refused("modle.latent_dim=3", "trainer.max_iteration=5", "optimizer.critic.lr=1", "name=[a", "foo"),
        "modle.latent_dim=3: unknown key; nearest: model.latent_dim",
        "trainer.max_iteration=5: unknown key; nearest: trainer.max_iterations",
        "optimizer.critic.lr=1: unknown key; nearest: optimizer.",
        "name=[a: cannot be read as key=value",
        "foo: cannot be read as key=value",
    )


def test_values_that_cannot_be(refused):
    fp16_on_the_cpu = ("trainer.accelerator=cpu", "trainer.precision=16-mixed")
    assert starts(
        refused("trainer.max_iterations=many", "data.batch_size=-3", "+model.widht=3", "seed=-1", *fp16_on_the_cpu),
        "trainer.max_iterations=many: must be an integer",
        "data.batch_size=-3: must be greater than 0",
        "model.widht=3: unknown key",
        "seed=-1: must be greater than or equal to 0",
        "trainer.precision=16-mixed: needs a CUDA device",
    )


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["model=dcgan", "data.image_size=24"],
            r"model\..*sample_shape=\[1, 24, 24\]: .*data.image_size=16 or data.image_size=32",
        ),
        (["model=dcgan", "data=ring"], r"model\..*sample_shape=\[2\]: .* holds points"),
        (["model=cgan", "data=uniform"], r"model\.condition_size=0: this model needs labels .*data=digits"),
        (
            ["optimizer.autoencoder.lr=0.1"],
            r"optimizer\.autoencoder\.lr=0\.1: model=cgan trains generator, discriminator and no",
        ),
        (["trainer=null"], r"trainer=null: "),
    ],
)
def test_what_does_not_go_together(refused, words, line):
    (told,) = refused(*words)
    assert re.match(line, told)


def test_a_resume_of_what_is_no_run(refused, tmp_path):
    (told,) = refused("resume=outputs/nowhere")
    assert told.startswith("resume=outputs/nowhere: there is no such run")
    (tmp_path / "empty").mkdir()
    (told,) = refused("resume=empty", "trainer.max_iterations=3")
    assert told.startswith("resume=empty: not a run that can go on")


def test_an_output_folder_that_cannot_be_written(refused, tmp_path):
    (tmp_path / "file").write_text("")
    (told,) = refused("hydra.run.dir=file/run")
    assert told.startswith("hydra.run.dir=file/run: cannot be written (Not a directory)")


@pytest.mark.slow
def test_more_processes_than_cores(refused):
    """The one refusal here that needs torch, which is loaded after the check."""
    (told,) = refused("trainer.devices=4096", "trainer.accelerator=cpu", "data=ring")
    assert re.search(r"trainer\.devices=4096: this machine shows \d+ CPU cores; use at most \d+$", told)


def test_a_debug_flag_shows_the_traceback(tmp_path):
    done = start(tmp_path, "model=dcgn", HYDRA_FULL_ERROR="1")
    assert done.returncode == 1 and "Traceback" in done.stderr


def test_sampling_refuses_words_before_it_loads_anything(refused):
    assert refused("conut=3", "run=x", module="ganlab.sample") == ["conut=3: unknown key; nearest: count, condition"]


def test_sampling_without_words_shows_its_usage(tmp_path):
    done = start(tmp_path, module="ganlab.sample")
    assert (done.returncode, done.stderr) == (2, "")
    assert "python -m ganlab.sample run=" in done.stdout and "interpolate" in done.stdout


def measured(folder, *words):
    """Exit code, standard output, seconds of CPU time, and the packages that were imported."""
    times = []
    while len(times) < 2 and min(times, default=2) >= 2:  # a second try where others had the machine
        with open(folder / "out", "w+") as out, open(folder / "err", "w+") as err:
            command = [sys.executable, "-X", "importtime", "-m", "ganlab", *words]
            process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=out, stderr=err)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        times.append(usage.ru_utime + usage.ru_stime)
    lines = (folder / "err").read_text().splitlines()
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines if "import time:" in line}
    return process.returncode, (folder / "out").read_text(), min(times), imported


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            ["--help"],
            0,
            [
                "model: acgan, ae, cgan, contractive_ae, dcgan, deep_ae, denoising_ae, fgan, gan, ",
                "stacked_digits",
                "max_iterations:",
                "ganlab resume=",
            ],
        ),
        (["--cfg", "job", "--resolve", "data=cifar10", "model=dcgan"], 0, ["image_size: 32", "lr: 0.0002"]),
        (["data.batch_size=0"], 2, []),
        (["model=dcgn", "trainer.max_iteration=3"], 2, []),
    ],
    ids=str,
)
def test_an_answer_takes_less_than_two_seconds(tmp_path, words, code, said):
    returned, text, seconds, imported = measured(tmp_path, *words)
    assert returned == code
    assert all(part in text for part in said)
    assert {"hydra", "pydantic"} <= imported
    assert not imported & HEAVY
    assert seconds < 2
    assert {path.name for path in tmp_path.iterdir()} == {"out", "err"}


def test_both_entry_points_are_the_same():
    import ganlab.__main__
    import ganlab.sample
    from ganlab.tasks import launch, sample

    assert ganlab.__main__.main is launch.main
    assert ganlab.sample.main is sample.main


@pytest.mark.parametrize("model", ["gan", "dcgan", "cgan"])
def test_the_whole_configuration_can_be_shown_resolved(tmp_path, model):
    words = [sys.executable, "-m", "ganlab", f"model={model}", "--cfg", "job", "--resolve"]
    shown = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0, shown.stderr
    config = yaml.safe_load(shown.stdout)
    assert config["optimizer"]["generator"]["betas"] == [0.5, 0.999]
    assert isinstance(config["trainer"]["max_iterations"], int)
