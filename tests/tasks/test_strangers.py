"""A run folder that came from somebody else, and one of an earlier version: resumed, sampled, scored, encoded."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch

from ganlab.config.migration import FORMAT
from ganlab.tasks import augment, complete, encode, evaluate, explore, export, probe, sample

OLD = Path(__file__).parents[1] / "data_versions" / "format_0"
"""What ganlab 0.1.0 wrote before checkpoints had a number: a GAN on the ring, 2 iterations."""
COMMANDS = [sample, evaluate, encode, probe, augment, complete, export, explore]
PAYLOAD = (
    "from pathlib import Path\nPath('was_here').touch()\nfrom ganlab.models.gan import GAN\nclass Mine(GAN): pass\n"
)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A copy of the old run in run/, beside a module mine.py that leaves a file was_here when it is imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)  # imported by the test before
    (tmp_path / "mine.py").write_text(PAYLOAD)
    return Path(shutil.copytree(OLD, tmp_path / "run"))


def rewrite_checkpoint(run, change):
    path = run / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)


def rewrite_configuration(run, old, new):
    path = run / ".hydra" / "config.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def set_model(content):
    content["ganlab"]["config"]["model"]["_target_"] = "mine.Mine"


def executed():
    return Path("was_here").exists()


def test_the_old_run_is_small_and_says_no_format():
    assert sum(path.stat().st_size for path in OLD.rglob("*")) < 100_000
    assert "format" not in torch.load(OLD / "checkpoints" / "last.ckpt", weights_only=True)["ganlab"]


def test_a_run_of_an_earlier_format_is_resumed(run, ganlab):
    done = ganlab("resume=run", "trainer.max_iterations=4", tiny=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((run / "results.json").read_text())["iterations"] == 4
    last = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert (last["ganlab"]["format"], last["iteration"]) == (FORMAT, 4)


def test_a_run_of_an_earlier_format_is_sampled_and_scored(run, commanded):
    code, out, err = commanded(sample.main, "run=run", "count=5")
    assert code == 0 and "5 samples" in out, err
    code, out, err = commanded(evaluate.main, "run=run", "count=20", "seeds=1", "metrics=w1", "reference=test")
    assert code == 0 and "w1" in out, err


@pytest.mark.parametrize("change", ["newer", "none"])
def test_a_newer_checkpoint_and_one_without_a_version_are_refused(run, ganlab, refused_by, change):
    own = {"format": FORMAT + 1} if change == "newer" else {"version": None}
    rewrite_checkpoint(run, lambda content: content["ganlab"].update(own))
    said = rf"last\.ckpt (is of format {FORMAT + 1}, .*upgrade|does not say its format, .*anew)"
    (line,) = refused_by(sample.main, "run=run")
    assert re.search(said, line)
    before = (run / "checkpoints" / "last.ckpt").read_bytes()
    done = ganlab("resume=run", "trainer.max_iterations=4", tiny=False)
    assert done.returncode == 2 and re.search(said, done.stderr) and len(done.stderr.splitlines()) == 1, done.stderr
    assert (run / "checkpoints" / "last.ckpt").read_bytes() == before


@pytest.mark.parametrize("command", COMMANDS, ids=lambda module: module.__name__.rpartition(".")[2])
def test_no_command_makes_what_a_stranger_names(run, refused_by, command):
    rewrite_checkpoint(run, set_model)
    lines = refused_by(command.main, "run=run")
    assert lines == [
        "run=run: its configuration names mine.Mine, which is no component of ganlab's; "
        "if you trust this run, add trust=true"
    ]
    assert not executed()


def test_with_trust_it_is_made(run, commanded):
    rewrite_checkpoint(run, set_model)
    code, _, err = commanded(sample.main, "run=run", "count=5", "trust=true")
    assert code == 0 and executed(), err


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("_target_: ganlab.models.gan.GAN", "_target_: mine.Mine", "mine.Mine"),
        ("_target_: ganlab.networks.mlp.MLPGenerator", "_target_: os.system", "os.system"),
        ("extra: []", "extra:\n  - _target_: mine.Mine", "mine.Mine"),
        ("name: null", "name: ${oc.env:HOME}", "${oc.env:HOME}"),
    ],
)
def test_resuming_makes_nothing_that_a_strangers_folder_names(run, ganlab, old, new, named):
    rewrite_configuration(run, old, new)
    files = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    done = ganlab("resume=run", "trainer.max_iterations=4", tiny=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"resume=run: its configuration names {named}, which is no component of ganlab's; "
        "if you trust this run, add trust=true\n"
    )
    assert not executed()
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == files


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        # Hydra would give it to logging.config, which calls whatever `()` names
        (
            "name: null",
            "name: null\nhydra: {job_logging: {version: 1, handlers: {x: {(): mine.Mine}}}}",
            "hydra: unknown key",
        ),
        ("name: null", "name: null\ntrust: true\nmine: 3", "mine: unknown key"),
        ("name: null", 'name: ${.a}{oc.env:HOME}\na: "$"', "a: unknown key"),
        ("name: null", 'name: "${data.name}{oc.env:HOME}"', "its configuration names ${oc.env:HOME}, which"),
        ("name: null", 'name: "${data.name}{seed}"', "a value makes an interpolation"),
        ("name: null", "name: &a x\nlaughs: [*a, *a]", "YAML aliases"),
        ("name: null", "name: " + "x" * 300_000, "longer than"),
        ("name: null", "name: " + "[" * 200_000, "more than 24 levels"),
        ("name: null", "name: !!python/object/apply:mine.Mine []", "cannot be used"),
        ("name: null", "name: ${name}", "cannot be used"),
    ],
    ids=["hydra", "key", "pieces", "made of pieces", "made", "aliases", "long", "deep", "tag", "loop"],
)
def test_a_configuration_that_ganlab_does_not_write_is_refused_in_a_line(run, ganlab, old, new, said):
    rewrite_configuration(run, old, new)
    if "${data.name}" in new:
        rewrite_configuration(run, "name: ring", "name: $")
    done = ganlab("resume=run", "trainer.max_iterations=4", tiny=False)
    assert (done.returncode, done.stdout) == (2, "") and said in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("resume=run: ")
    assert not executed() and not (run / "results.json").exists()


def test_a_folder_cannot_trust_itself(run, ganlab):
    rewrite_configuration(run, "name: null", "name: null\ntrust: true")
    rewrite_configuration(run, "_target_: ganlab.models.gan.GAN", "_target_: mine.Mine")
    assert ganlab("resume=run", tiny=False).returncode == 2 and not executed()


def test_with_trust_it_is_resumed(run, ganlab):
    rewrite_configuration(run, "_target_: ganlab.models.gan.GAN", "_target_: mine.Mine")
    rewrite_checkpoint(run, set_model)
    done = ganlab("resume=run", "trust=true", "trainer.max_iterations=4", tiny=False)
    assert done.returncode == 0 and executed(), done.stderr


def test_what_the_user_sets_anew_is_not_asked_about(run, ganlab):
    rewrite_configuration(run, "extra: []", "extra:\n  - _target_: mine.Mine")
    done = ganlab("resume=run", "trainer.max_iterations=4", "callbacks.extra=[]", tiny=False)
    assert done.returncode == 0 and not executed(), done.stderr


def test_what_the_user_types_is_the_users_own(run, ganlab):
    extra = "callbacks.extra=[{_target_: provoking.CountHooks, file: hooks.json}]"
    done = ganlab("resume=run", "trainer.max_iterations=4", extra, tiny=False)
    assert done.returncode == 0 and Path("hooks.json").exists(), done.stderr


def test_weights_of_another_model_are_refused_in_a_line(run, ganlab, refused_by):
    def cut(content):
        name, weights = next(iter(content["state_dict"].items()))
        content["state_dict"][name] = weights[:1]

    rewrite_checkpoint(run, cut)
    (line,) = refused_by(sample.main, "run=run")
    assert "its weights are of another model than its configuration" in line
    done = ganlab("resume=run", "trainer.max_iterations=4", tiny=False)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "its weights are of another" in done.stderr
