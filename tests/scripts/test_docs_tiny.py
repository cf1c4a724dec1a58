"""A documented command, composed as it is typed and made small."""

import pytest

from ganlab.errors import ConfigError


def test_a_run_is_made_small_by_what_its_model_has(script):
    tiny = script("docs_tiny")
    words = tiny.tiny_words(tiny.composed(["model=dcgan"]), ["model=dcgan"])
    assert {"trainer.max_iterations=2", "model.generator.width=4", "metrics.scores=[]"} <= set(words)
    words = tiny.tiny_words(tiny.composed(["experiment=stacked_ae"]), ["experiment=stacked_ae"])
    assert {"trainer.max_iterations=12", "model.pretrain_iterations=1"} <= set(words)
    assert not any("generator" in word for word in words)
    words = tiny.tiny_words(tiny.composed(["metrics.monitor=recall"]), ["metrics.monitor=recall"])
    assert "metrics.scores=[]" not in words and "metrics.count=20" in words
    tiny.composed(["experiment=stacked_ae", *tiny.tiny_words(tiny.composed(["experiment=stacked_ae"]), [])])


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["model=dcgan", "data=celeba"], "needs the files of celeba"),
        (["trainer.devices=2"], "needs several devices"),
        (["trainer.precision=16-mixed"], "needs a GPU"),
        (["trainer.compile=true"], "compiles for minutes"),
        (["metrics/extractor=inception"], "needs Inception's weights"),
        ([], None),
    ],
)
def test_what_needs_more_than_this_machine_is_not_run(script, words, reason):
    tiny = script("docs_tiny")
    assert tiny.why_not_run(tiny.composed(words)) == reason


def test_what_is_typed_is_checked(script):
    with pytest.raises(ConfigError, match="must be greater than or equal to 0"):
        script("docs_tiny").composed(["optimizer.generator.lr=-1"])
    with pytest.raises(ConfigError, match="r3=1: unknown key; nearest: "):
        script("docs_tiny").composed(["model.r3=1"])


def test_of_a_sweep_two_jobs_are_composed_and_run(script):
    tiny = script("docs_tiny")
    words = ["model=gan,wgan,lsgan", "data=ring", "seed=range(5)", "model.codes=[1,2]"]
    assert tiny.first_jobs(words) == [
        ["model=gan", "data=ring", "seed=0", "model.codes=[1,2]"],
        ["model=wgan", "data=ring", "seed=1", "model.codes=[1,2]"],
    ]
    assert tiny.short_sweep(words) == ["model=gan,wgan", "data=ring", "seed=0", "model.codes=[1,2]"]
    ends = tiny.first_jobs(["optimizer.generator.lr=tag(log, interval(1e-5, 1e-2))"])
    assert ends == [["optimizer.generator.lr=1e-05"], ["optimizer.generator.lr=0.01"]]
