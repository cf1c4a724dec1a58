"""Every score that suits, of models and data of all kinds, through the command line."""

import json

import pytest

from ganlab.tasks.command import parse
from ganlab.tasks.evaluate import EvaluateOptions
from ganlab.tasks.evaluation import evaluate_run

RUNS = {
    "conditional on attributes": (
        ["model=cgan", "data=celeba", "data.attributes=[Smiling,Male]", "data.image_size=16", "data.batch_size=2"],
        "metric/fd_random_conv",
    ),
    "conditional on a thousand classes": (
        ["model=cgan", "data=stacked_digits", "data.image_size=8", "data.test_count=200", "model.latent_dim=2"],
        "metric/modes",
    ),
    "without labels": (["model=gan", "data=digits", "data.image_size=8", "data.num_classes=0"], "metric/class_kl"),
    "one sample of a class": (["model=cgan", "data=digits", "data.image_size=8", "metrics.count=7"], "metric/ms_ssim"),
    "in colour, against train": (
        ["model=gan", "data=digits", "data.channels=3", "data.image_size=8", "metrics.reference=train"],
        "metric/auth_pct",
    ),
    "points without modes": (["model=gan", "data=swiss_roll", "data.test_count=50"], "metric/w2"),
    "in float64": (["model=gan", "data=ring", "data.test_count=50", "trainer.precision=64"], "metric/high_quality"),
    "two samples": (["model=gan", "data=digits", "data.image_size=8", "metrics.count=2"], "metric/one_nn"),
}


SLOW = pytest.param("conditional on a thousand classes", marks=pytest.mark.slow)


@pytest.mark.parametrize("name", [SLOW if name in SLOW.values else name for name in RUNS])
def test_it_is_scored_while_training_at_the_end_and_again(ganlab, celeba_files, tmp_path, name):
    words, tag = RUNS[name]
    words = [*words, "model.generator.width=4", "model.discriminator.width=4", "trainer.max_iterations=4"]
    words += [] if any(word.startswith("metrics.count") for word in words) else ["metrics.count=12"]
    if "data=celeba" in words:
        words += [f"data.root={celeba_files}", "data.cache_dir=cache"]
    else:
        words.append("data.batch_size=8")
    words += ["trainer.evaluate_every=2", "trainer.threads=1", "trainer.sample_every=null", "hydra.run.dir=run"]
    done = ganlab(*words, tiny=False)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert tag in results["scores"] and results["objective"] == results["scores"][results["monitored"]]["value"]
    if "data=celeba" not in words:
        evaluate_run(parse(EvaluateOptions, [f"run={tmp_path / 'run'}", "seeds=2"]))
        (again,) = json.loads((tmp_path / "run" / "results.json").read_text())["evaluations"]
        assert tag in again["scores"]["train"]
