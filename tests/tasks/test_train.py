"""Whole runs through the command line: counting, resuming, two processes, endings."""

import csv
import json
import re
import signal
import sys
from pathlib import Path

import pytest
import torch

from ganlab.tasks.building import build_model
from ganlab.tasks.command import parse
from ganlab.tasks.evaluate import EvaluateOptions
from ganlab.tasks.evaluation import evaluate_run
from ganlab.tasks.train import objective

SPEED = "throughput/images_per_second"


def checkpoint(folder: Path, name: str = "last.ckpt") -> dict:
    return torch.load(folder / "checkpoints" / name, weights_only=True)


def rows(folder: Path) -> dict[str, dict[str, str]]:
    """metrics.csv by iteration, without what depends on the clock."""
    with (folder / "metrics.csv").open() as file:
        return {row["iteration"]: {k: v for k, v in row.items() if k != SPEED} for row in csv.DictReader(file)}


def assert_same_weights(first: dict, second: dict) -> None:
    assert first["state_dict"].keys() == second["state_dict"].keys()
    for name, weight in first["state_dict"].items():
        assert torch.equal(weight, second["state_dict"][name]), name


def assert_same_optimizers(first: dict, second: dict) -> None:
    for one, other in zip(first["optimizer_states"], second["optimizer_states"], strict=True):
        for index, state in one["state"].items():
            for key, value in state.items():
                assert torch.equal(torch.as_tensor(value), torch.as_tensor(other["state"][index][key])), key


@pytest.mark.parametrize("updates", [1, 5])
def test_a_run_counts_iterations_whatever_the_number_of_discriminator_updates(ganlab, tmp_path, updates):
    done = ganlab(f"model.discriminator_updates={updates}", "trainer.keep_checkpoints=9", "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "run"
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == [
        "iteration_000004.ckpt",
        "iteration_000008.ckpt",
        "iteration_000012.ckpt",
        "last.ckpt",
    ]
    last = checkpoint(folder)
    assert last["iteration"] == 12
    discriminator_steps = last["optimizer_states"][1]["state"][0]["step"]
    assert int(last["optimizer_states"][0]["state"][0]["step"]) == 12
    assert int(discriminator_steps) == 12 * updates
    assert list(rows(folder)) == ["2", "4", "6", "8", "10", "12"]
    assert sorted(path.name for path in (folder / "samples").iterdir()) == [
        "iteration_000000.png",
        "iteration_000010.png",
        "iteration_000012.png",
    ]


def test_the_end_of_a_run_says_where_what_and_what_next(ganlab, tmp_path):
    done = ganlab()
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == ["run", "scored", "next"]
    folder = tmp_path / lines[0].split()[1]
    assert folder.parent == tmp_path / "outputs" / "gan-digits"
    assert {path.name for path in folder.iterdir()} >= {
        ".hydra",
        "checkpoints",
        "samples",
        "metrics.csv",
        "results.json",
        "train.log",
    }
    assert list(folder.glob("events.out.tfevents*"))
    results = json.loads((folder / "results.json").read_text())
    assert (results["model"], results["data"], results["seed"], results["iterations"]) == ("gan", "digits", 0, 12)
    assert results["machine"]["processes"] == 1


RESUMED = (
    "model=dcgan",
    "data.image_size=16",
    "data.batch_size=64",
    "model.generator.width=4",
    "model.discriminator.width=4",
    "model.ema_decay=0.9",
    "model.discriminator_updates=2",
    "optimizer.generator.schedule=cosine",
    "optimizer.discriminator.schedule=linear",
    "optimizer.discriminator.decay_from=0.1",
    "trainer.max_iterations=40",
    "trainer.checkpoint_every=15",
)


def test_a_stopped_and_resumed_run_equals_one_that_never_stopped(ganlab, tmp_path):
    """Stopped by SIGTERM in the middle of an epoch, with batch norm, schedules, Adam's momenta and EMA."""
    whole = ganlab(*RESUMED, "hydra.run.dir=whole")
    assert whole.returncode == 0, whole.stderr

    stopped = ganlab(
        *RESUMED,
        "hydra.run.dir=part",
        "callbacks.extra=[{_target_: provoking.SignalAt, iteration: 23, name: SIGTERM}]",
    )
    assert stopped.returncode == 143, stopped.stderr
    assert "stopped after iteration 23; saved. Go on with: " in stopped.stderr
    assert "-m ganlab resume=part" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert checkpoint(tmp_path / "part")["iteration"] == 23

    resumed = ganlab("resume=part", "trust=true", tiny=False)
    assert resumed.returncode == 0, resumed.stderr
    one, other = checkpoint(tmp_path / "whole"), checkpoint(tmp_path / "part")
    assert_same_weights(one, other)
    assert_same_optimizers(one, other)
    assert one["lr_schedulers"] == other["lr_schedulers"]
    assert rows(tmp_path / "whole") == rows(tmp_path / "part")
    assert (tmp_path / "whole/samples/iteration_000040.png").read_bytes() == (
        tmp_path / "part/samples/iteration_000040.png"
    ).read_bytes()


def test_a_killed_run_goes_on_from_its_last_checkpoint(ganlab, tmp_path):
    """SIGKILL loses the iterations since the checkpoint, and their rows: they are made again, the same."""
    assert ganlab("hydra.run.dir=whole").returncode == 0
    killed = ganlab(
        "hydra.run.dir=part", "callbacks.extra=[{_target_: provoking.SignalAt, iteration: 11, name: SIGKILL}]"
    )
    assert killed.returncode == -signal.SIGKILL
    assert checkpoint(tmp_path / "part")["iteration"] == 8
    assert list(rows(tmp_path / "part"))[-1] == "10"
    resumed = ganlab("resume=part", "callbacks.extra=[]", tiny=False)
    assert resumed.returncode == 0, resumed.stderr
    assert_same_weights(checkpoint(tmp_path / "whole"), checkpoint(tmp_path / "part"))
    assert rows(tmp_path / "whole") == rows(tmp_path / "part")


def test_a_finished_run_goes_on_when_it_is_given_more_iterations(ganlab, tmp_path):
    assert ganlab("hydra.run.dir=run").returncode == 0
    again = ganlab("resume=run", tiny=False)
    assert again.returncode == 2
    assert again.stderr.strip().splitlines() == [
        "resume=run: this run has finished its 12 iterations; go on with trainer.max_iterations=24"
    ]
    longer = ganlab("resume=run", "trainer.max_iterations=14", tiny=False)
    assert longer.returncode == 0, longer.stderr
    assert ganlab("hydra.run.dir=whole", "trainer.max_iterations=14").returncode == 0
    assert_same_weights(checkpoint(tmp_path / "whole"), checkpoint(tmp_path / "run"))


def test_another_model_does_not_fit_a_checkpoint_and_its_keys_are_named(ganlab, tmp_path):
    assert ganlab("hydra.run.dir=run", "trainer.max_iterations=4").returncode == 0
    before = (tmp_path / "run/checkpoints/last.ckpt").read_bytes()
    other = ganlab("resume=run", "trainer.max_iterations=8", "model.generator.width=32", tiny=False)
    assert other.returncode == 2
    assert "is of another model: it differs in model.generator.width" in other.stderr
    assert (tmp_path / "run/checkpoints/last.ckpt").read_bytes() == before


def test_ctrl_c_saves_and_says_how_to_go_on(ganlab, tmp_path):
    stopped = ganlab(
        "hydra.run.dir=run", "callbacks.extra=[{_target_: provoking.SignalAt, iteration: 7, name: SIGINT}]"
    )
    assert stopped.returncode == 130, stopped.stderr
    assert "resume=run" in stopped.stderr and "Traceback" not in stopped.stderr
    assert checkpoint(tmp_path / "run")["iteration"] == 7


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(ganlab, tmp_path):
    stopped = ganlab("hydra.run.dir=run", "callbacks.extra=[{_target_: provoking.PoisonAt, iteration: 7}]")
    assert stopped.returncode == 1
    assert "loss/discriminator is not a finite number (nan) at iteration 7" in stopped.stderr
    assert "the last good checkpoint is run/checkpoints/last.ckpt" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    last = checkpoint(tmp_path / "run")
    assert last["iteration"] == 4
    assert all(weight.isfinite().all() for weight in last["state_dict"].values())


TWO = ("trainer.devices=2", "trainer.accelerator=cpu")


def test_two_processes_equal_one_with_twice_the_batch(ganlab, tmp_path):
    """Without batch norm; the sums of gradients differ in their order only."""
    watched = ", ".join(f"{{_target_: provoking.{name}, folder: {tmp_path}}}" for name in ("DigestAt", "GroupAtExit"))
    digest = f"callbacks.extra=[{watched}]"
    one = ganlab("data.batch_size=16", "model.discriminator_updates=2", "hydra.run.dir=one")
    assert one.returncode == 0, one.stderr
    two = ganlab("data.batch_size=8", "model.discriminator_updates=2", "hydra.run.dir=two", digest, *TWO)
    assert two.returncode == 0, two.stderr
    single, shared = checkpoint(tmp_path / "one"), checkpoint(tmp_path / "two")
    for name, weight in single["state_dict"].items():
        torch.testing.assert_close(shared["state_dict"][name], weight, atol=1e-5, rtol=1e-5, msg=name)
    assert not torch.equal(single["state_dict"]["generator.layers.0.weight"], initial_weight(tmp_path))

    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    for name, weight in first["weights"].items():
        assert torch.equal(weight, second["weights"][name]), name
    # What a process group does in the middle of the interpreter's end may wait for ever.
    assert in_group(tmp_path) == [[True, False, False]] * 2
    assert not torch.equal(first["latents"], second["latents"])
    assert not any(torch.equal(a, b) for a, b in zip(first["seen"], second["seen"], strict=True))
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["one", "two"]
    assert [path.name for path in (tmp_path / "two").glob("*.ckpt")] == []
    for row, other in zip(rows(tmp_path / "one").values(), rows(tmp_path / "two").values(), strict=True):
        assert float(row["loss/generator"]) == pytest.approx(float(other["loss/generator"]), abs=1e-4)


def in_group(folder: Path) -> list[list[bool]]:
    """What `GroupAtExit` saw in both processes."""
    return [json.loads((folder / f"rank{rank}.group").read_text()) for rank in (0, 1)]


def initial_weight(tmp_path: Path) -> torch.Tensor:
    """The generator's first weight before training."""
    config = checkpoint(tmp_path / "one")["ganlab"]["config"]
    return build_model(config).state_dict()["generator.layers.0.weight"]


@pytest.mark.slow
def test_two_processes_stop_together_on_sigterm_and_resume(ganlab, tmp_path):
    assert ganlab("hydra.run.dir=whole", *TWO).returncode == 0
    watched = f"{{_target_: provoking.GroupAtExit, folder: {tmp_path}}}"
    stop = f"callbacks.extra=[{{_target_: provoking.SignalAt, iteration: 5, name: SIGTERM}}, {watched}]"
    stopped = ganlab("hydra.run.dir=part", stop, *TWO)
    assert stopped.returncode == 143, stopped.stderr
    assert in_group(tmp_path) == [[True, True, False]] * 2
    assert checkpoint(tmp_path / "part")["iteration"] == 6  # the next iteration at which the ranks agree
    resumed = ganlab("resume=part", "trust=true", tiny=False, several=True)
    assert resumed.returncode == 0, resumed.stderr
    assert_same_weights(checkpoint(tmp_path / "whole"), checkpoint(tmp_path / "part"))


def test_bf16_runs_on_the_cpu_and_differs_from_float32(ganlab, tmp_path):
    assert ganlab("hydra.run.dir=low", "trainer.precision=bf16-mixed").returncode == 0
    assert ganlab("hydra.run.dir=full").returncode == 0
    low, full = checkpoint(tmp_path / "low")["state_dict"], checkpoint(tmp_path / "full")["state_dict"]
    assert all(weight.dtype == torch.float32 for weight in low.values())
    assert any(not torch.equal(low[name], full[name]) for name in full)
    for name in full:
        torch.testing.assert_close(low[name], full[name], atol=0.02, rtol=0.05)


def test_two_runs_begun_in_the_same_second_have_folders_of_their_own(ganlab, tmp_path):
    assert ganlab("hydra.run.dir=run", "trainer.max_iterations=2").returncode == 0
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    second = ganlab("hydra.run.dir=run", "trainer.max_iterations=2")
    assert second.stdout.splitlines()[0].split()[1] == "run_2"
    assert {path: path.read_bytes() for path in before} == before


def test_scores_while_training_change_nothing_in_training(ganlab, tmp_path):
    words = ["model=cgan", "model.generator.width=4", "model.discriminator.width=4", "metrics.count=20"]
    words += ["metrics.scores=auto"]
    assert ganlab(*words, "hydra.run.dir=plain").returncode == 0
    assert ganlab(*words, "hydra.run.dir=scored", "trainer.evaluate_every=5").returncode == 0
    assert_same_weights(checkpoint(tmp_path / "plain"), checkpoint(tmp_path / "scored"))
    tag = "metric/label_agreement"
    scored = {iteration: row[tag] for iteration, row in rows(tmp_path / "scored").items() if row[tag]}
    assert list(scored) == ["5", "10", "12"]
    assert {i: row[tag] for i, row in rows(tmp_path / "plain").items() if row[tag]} == {"12": scored["12"]}
    results = json.loads((tmp_path / "scored" / "results.json").read_text())["scores"][tag]
    assert results["value"] == pytest.approx(float(scored["12"]))
    assert results["protocol"]["count"] == 20 and results["real"] > 0.9


def test_checkpoints_hold_the_model_and_nothing_of_what_scores_it(ganlab, tmp_path):
    words = ["model=cgan", "model.generator.width=4", "model.discriminator.width=4", "metrics.count=20"]
    assert ganlab(*words, "metrics.scores=[fd]", "trainer.evaluate_every=4", "hydra.run.dir=run").returncode == 0
    for path in (tmp_path / "run" / "checkpoints").glob("*.ckpt"):
        saved = torch.load(path, weights_only=True)
        parts = {name.partition(".")[0] for name in saved["state_dict"]}
        assert parts == {"generator", "discriminator", "generator_ema"}
        trained = sum(len(group["params"]) for state in saved["optimizer_states"] for group in state["param_groups"])
        own = [name for name in saved["state_dict"] if not name.startswith("generator_ema") and is_weight(name)]
        assert trained == len(own)
    record = json.loads((tmp_path / "run" / "checkpoints" / "best.json").read_text())
    curve = {
        int(i): float(row["metric/fd_digits"]) for i, row in rows(tmp_path / "run").items() if row["metric/fd_digits"]
    }
    assert list(curve) == [4, 8, 12]
    assert curve[record["iteration"]] == min(curve.values()) == pytest.approx(record["value"])
    assert checkpoint(tmp_path / "run", "best.ckpt")["iteration"] == record["iteration"]


def is_weight(name):
    return name.rpartition(".")[2] in ("weight", "bias")


@pytest.mark.slow
def test_two_processes_share_the_scoring_and_train_as_they_would_without(ganlab, tmp_path):
    words = ["model=cgan", "model.generator.width=4", "model.discriminator.width=4", "trainer.max_iterations=6"]
    words += ["trainer.accelerator=cpu", "trainer.devices=2", "metrics.count=31", "trainer.checkpoint_every=null"]
    scored = ganlab(*words, "metrics.scores=auto", "trainer.evaluate_every=2", "hydra.run.dir=scored")
    assert scored.returncode == 0, scored.stderr
    assert ganlab(*words, "metrics.scores=[]", "hydra.run.dir=plain").returncode == 0
    assert_same_weights(checkpoint(tmp_path / "scored"), checkpoint(tmp_path / "plain"))
    told = json.loads((tmp_path / "scored" / "results.json").read_text())
    options = parse(EvaluateOptions, [f"run={tmp_path / 'scored'}", "seeds=1", "count=31", "reference=test"])
    evaluate_run(options)
    (again,) = json.loads((tmp_path / "scored" / "results.json").read_text())["evaluations"]
    assert again["scores"]["test"].keys() == told["scores"].keys()
    for tag, score in again["scores"]["test"].items():
        assert score["value"] == pytest.approx(told["scores"][tag]["value"], rel=1e-4, abs=1e-9), tag
    assert checkpoint(tmp_path / "scored", "best.ckpt")["iteration"] in (2, 4, 6)


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        ("{_target_: provoking.Nothing}", "provoking.Nothing cannot be made: No module named"),
        ("{_target_: provoking.PoisonAt, iterations: 3}", "provoking.PoisonAt cannot be made: .* unexpected keyword"),
    ],
)
def test_a_callback_that_cannot_be_made_is_a_line_and_leaves_no_folder(ganlab, tmp_path, node, reason):
    refused = ganlab(f"callbacks.extra=[{node}]")
    assert refused.returncode == 2
    (line,) = refused.stderr.strip().splitlines()
    assert re.search(reason, line)
    assert not list(tmp_path.iterdir())


def test_a_resumed_run_keeps_its_optimizers(ganlab, tmp_path):
    assert ganlab("hydra.run.dir=run", "trainer.max_iterations=4").returncode == 0
    refused = ganlab("resume=run", "trainer.max_iterations=8", "optimizer.generator.lr=1e-9", tiny=False)
    assert refused.returncode == 2
    assert "keeps its optimizers, and optimizer.generator.lr would change" in refused.stderr


def test_a_signal_in_the_last_iteration_lets_the_run_end_with_its_results(ganlab, tmp_path):
    done = ganlab("hydra.run.dir=run", "callbacks.extra=[{_target_: provoking.SignalAt, iteration: 12, name: SIGTERM}]")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "results.json").is_file()


def test_a_finished_run_without_results_makes_them_when_it_is_resumed(ganlab, tmp_path):
    words = [
        "model=cgan",
        "model.generator.width=4",
        "model.discriminator.width=4",
        "metrics.scores=[label_agreement,fd]",
    ]
    assert ganlab(*words, "metrics.count=50", "hydra.run.dir=run").returncode == 0
    results = tmp_path / "run" / "results.json"
    before = json.loads(results.read_text())["scores"]
    results.unlink()
    again = ganlab("resume=run", tiny=False)
    assert again.returncode == 0, again.stderr
    assert json.loads(results.read_text())["scores"] == before


def test_channels_last_means_nothing_to_points(ganlab, tmp_path):
    done = ganlab("model=gan", "data=ring", "trainer.channels_last=true", "trainer.max_iterations=2", tiny=False)
    assert done.returncode == 0, done.stderr


def test_a_callback_of_the_users_own_sees_all_of_lightnings_hooks(ganlab, tmp_path):
    done = ganlab(f"callbacks.extra=[{{_target_: provoking.CountHooks, file: {tmp_path}/hooks.json}}]")
    assert done.returncode == 0, done.stderr
    counted = json.loads((tmp_path / "hooks.json").read_text())
    assert counted == {"after_backward": 24, "before_step": 24, "global_step": 24}


@pytest.mark.parametrize(
    ("score", "told"),
    [
        ({"value": 3.5, "better": "lower"}, 3.5),
        ({"value": float("nan"), "better": "lower"}, sys.float_info.max),
        ({"value": float("nan"), "better": "higher"}, -sys.float_info.max),
        ({"value": float("inf"), "better": "higher"}, -sys.float_info.max),
    ],
)
def test_a_sweep_is_given_a_finite_number_whatever_was_scored(score, told):
    assert objective(score) == told


def test_results_that_cannot_be_read_are_put_aside_and_not_lost(ganlab, tmp_path):
    assert ganlab("hydra.run.dir=run", "trainer.max_iterations=4").returncode == 0
    results = tmp_path / "run" / "results.json"
    results.write_text("{ damaged")
    done = ganlab("resume=run", "trainer.max_iterations=6", tiny=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "results.damaged.json").read_text() == "{ damaged"
    assert json.loads(results.read_text())["iterations"] == 6


def test_a_run_that_goes_on_keeps_its_evaluations(ganlab, tmp_path):
    assert ganlab("hydra.run.dir=run", "trainer.max_iterations=4").returncode == 0
    results = tmp_path / "run" / "results.json"
    results.write_text(json.dumps({**json.loads(results.read_text()), "evaluations": [{"iteration": 4}]}))
    assert ganlab("resume=run", "trainer.max_iterations=6", tiny=False).returncode == 0
    told = json.loads(results.read_text())
    assert told["evaluations"] == [{"iteration": 4}] and told["iterations"] == 6


def test_scores_that_do_not_suit_are_refused_before_training(ganlab, tmp_path):
    refused = ganlab("metrics.scores=[fd,w1]")
    assert refused.returncode == 2
    assert refused.stderr.strip().startswith("metrics.scores=w1: it needs points, and this is model=gan on data=digits")
    refused = ganlab(
        "metrics/extractor=inception", "metrics.scores=[fid]", f"metrics.extractor.weights={tmp_path}/w.pth"
    )
    assert refused.returncode == 2 and "w.pth" in refused.stderr and len(refused.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
