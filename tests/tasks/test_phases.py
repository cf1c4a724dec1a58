"""Runs in phases through the command line: stopped, resumed, on two processes, with few labels, and refused."""

import csv
import re

import pytest
import torch

TINY = ["data=digits", "data.image_size=8", "data.margin=0", "data.batch_size=8", "model.encoder.widths=[12,8]"]
TINY += ["model.latent_dim=4", "model.pretrain_iterations=4", "trainer.max_iterations=18", "trainer.log_every=2"]
TINY += ["trainer.sample_every=null", "trainer.checkpoint_every=5", "trainer.threads=1", "metrics.scores=[]"]


def weights(folder, name="last"):
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


def rows(folder):
    with (folder / "metrics.csv").open() as file:
        return {
            row["iteration"]: {tag: value for tag, value in row.items() if not tag.startswith("throughput")}
            for row in csv.DictReader(file)
        }


@pytest.mark.parametrize("stop", [6, 12])
def test_a_stopped_run_goes_on_in_its_phase(ganlab, tmp_path, stop):
    """In the middle of a machine's learning, and exactly where all of them are unrolled."""
    words = ["model=deep_ae", *TINY, "model.momentum_from=2"]
    if stop == 6:
        words += ["optimizer.pretraining.schedule=cosine", "optimizer.autoencoder.schedule=linear"]
    assert ganlab(*words, "hydra.run.dir=whole", tiny=False).returncode == 0
    signal = f"callbacks.extra=[{{_target_: provoking.SignalAt, iteration: {stop}, name: SIGTERM}}]"
    stopped = ganlab(*words, "hydra.run.dir=part", signal, tiny=False)
    assert stopped.returncode == 143, stopped.stderr
    assert torch.load(tmp_path / "part/checkpoints/last.ckpt", weights_only=True)["iteration"] == stop
    resumed = ganlab("resume=part", "trust=true", tiny=False)
    assert resumed.returncode == 0, resumed.stderr
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "part")
    assert one.keys() == other.keys()
    assert all(torch.equal(weight, other[name]) for name, weight in one.items())
    assert rows(tmp_path / "whole") == rows(tmp_path / "part")


def test_each_phase_is_logged_under_its_name_and_has_its_checkpoint(ganlab, tmp_path):
    done = ganlab("model=stacked_ae", *TINY, "hydra.run.dir=run", tiny=False)
    assert done.returncode == 0, done.stderr
    for iteration, row in rows(tmp_path / "run").items():
        phase = (int(iteration) - 1) // 4
        expected = f"loss/autoencoder_layer_{phase + 1}" if phase < 3 else "loss/autoencoder"
        told = {tag for tag, value in row.items() if value and tag.startswith("loss/autoencoder")}
        assert told == {expected}, iteration
        norms = {tag for tag, value in row.items() if value and tag.startswith("grad_norm/")}
        assert norms == {f"grad_norm/layer_{phase + 1}" if phase < 3 else "grad_norm/autoencoder"}
    phases = ["layer_1", "layer_2", "layer_3", "autoencoder"]
    assert [weights(tmp_path / "run", name) is not None for name in phases] == [True] * 4
    told = [line.split()[0] for line in done.stderr.splitlines() if re.match(r"\S+ \d+/\d+", line)]
    assert list(dict.fromkeys(told)) == phases


@pytest.mark.slow
@pytest.mark.parametrize("model", ["stacked_ae", "deep_ae"])
def test_two_processes_equal_one_with_twice_the_batch(ganlab, tmp_path, model):
    words = [f"model={model}", *TINY]
    one = ganlab(*words, "data.batch_size=16", "hydra.run.dir=one", tiny=False)
    two = ganlab(*words, "trainer.devices=2", "trainer.accelerator=cpu", "hydra.run.dir=two", tiny=False)
    assert (one.returncode, two.returncode) == (0, 0), one.stderr + two.stderr
    shared = weights(tmp_path / "two")
    for name, weight in weights(tmp_path / "one").items():
        torch.testing.assert_close(shared[name], weight, atol=1e-4, rtol=1e-3, msg=name)


@pytest.mark.parametrize("fine_tune", ["classify", "classify_frozen"])
def test_few_labels_are_enough_for_a_classifier(ganlab, tmp_path, fine_tune):
    words = [f"model.fine_tune={fine_tune}", "data.labels_per_class=10", "metrics.scores=[accuracy]"]
    words += ["trainer.max_iterations=212", "trainer.log_every=20", "optimizer.autoencoder.lr=0.02"]
    done = ganlab("model=stacked_ae", *TINY, *words, "hydra.run.dir=run", tiny=False)
    assert done.returncode == 0, done.stderr
    row = rows(tmp_path / "run")["212"]
    assert float(row["loss/supervised"]) < 2.3 and 0 <= float(row["accuracy/labelled"]) <= 1
    assert float(row["metric/accuracy"]) > 0.2, "ten classes"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model=stacked_ae", "model.layer=boltzmann"], "model.layer=boltzmann: must be 'ae', 'sparse_ae', "),
        (["model=stacked_ae", "trainer.max_iterations=12"], "trainer.max_iterations=12: the 3 layers' pretraining"),
        (["model=stacked_ae", "model/coders=convolutional", "~model.encoder.widths"], "model."),
        (["model=stacked_ae", "model.fine_tune=classify", "data.num_classes=0"], "model.fine_tune=classify: the data"),
        (["model=deep_ae", "model.cd_steps=0"], "model.cd_steps=0: must be greater than 0"),
        (["model=deep_ae", "model.encoder.activation=relu"], "model.encoder.activation: the hidden layers' units"),
        (["model=deep_ae", "data.labels_per_class=3"], "data.labels_per_class=3: model=deep_ae learns from no labels"),
    ],
)
def test_what_cannot_be_is_a_line_and_leaves_no_folder(ganlab, tmp_path, words, said):
    refused = ganlab(words[0], *TINY, *words[1:], tiny=False)
    assert refused.returncode == 2, refused.stderr
    assert refused.stderr.startswith(said)
    assert not list(tmp_path.iterdir())
