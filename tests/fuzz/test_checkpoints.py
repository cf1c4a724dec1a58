"""Damaged checkpoints: a line and an exit code, or the very same weights, and never others."""

import gc
import os
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import strategies as st

from fuzz.calling import CASES, call, deadline, explained, fuzz, room
from ganlab.errors import CheckpointError
from ganlab.tasks import sample
from ganlab.tasks.checkpoints import load_checkpoint
from ganlab.tasks.launch import main

pytestmark = pytest.mark.timeout(1800 if CASES else 300, method="thread")
TINY = ["data=ring", "data.batch_size=4", "data.test_count=8", "metrics.scores=[]", "trainer.threads=1"]
TINY += ["trainer.max_iterations=2", "trainer.progress=false", "trainer.sample_every=null", "logger=none"]
NETWORKS = ["model.generator.width=4", "model.discriminator.width=4", "model.latent_dim=4"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A GAN of a few hundred weights, trained for two iterations."""
    folder = tmp_path_factory.mktemp("run")
    before = Path.cwd()
    os.chdir(folder)
    gc.collect()
    gc.freeze()
    try:
        for name, model in (("run", "gan"), ("other", "lsgan")):
            ended = call(main, "ganlab", [f"model={model}", *TINY, *NETWORKS, f"hydra.run.dir={name}"])
            assert ended.code == 0, ended.err + ended.raised
        with room():
            yield folder / "run"
    finally:
        os.chdir(before)
        gc.unfreeze()


def leaves(node, prefix=""):
    """Every value in nested containers, by where it is."""
    if isinstance(node, dict):
        return {
            place: leaf for key, child in node.items() for place, leaf in leaves(child, f"{prefix}/{key!r}").items()
        }
    if isinstance(node, list | tuple):
        return {
            place: leaf for key, child in enumerate(node) for place, leaf in leaves(child, f"{prefix}/{key}").items()
        }
    return {prefix: node}


def same(first, second):
    one, other = leaves(first), leaves(second)
    return one.keys() == other.keys() and all(
        torch.equal(value, other[place]) and value.dtype == other[place].dtype
        if isinstance(value, torch.Tensor)
        else type(value) is type(other[place]) and value == other[place]
        for place, value in one.items()
    )


@st.composite
def damages(draw):
    """What is done to the bytes of a file, as (kind, where as a share of the file, what)."""
    kind = draw(st.sampled_from(["flip"] * 5 + ["cut", "append", "fill", "insert", "remove"]))
    many = kind == "flip" and draw(st.booleans())
    places = draw(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=8 if many else 1))
    return kind, places, draw(st.integers(0, 7)), draw(st.binary(min_size=1, max_size=40))


def damaged(content, damage):
    kind, places, bit, extra = damage
    changed = bytearray(content)
    for share in places:
        place = int(share * len(changed))
        if kind == "flip":
            changed[place] ^= 1 << bit
        elif kind == "cut":
            del changed[place:]
        elif kind == "append":
            changed += extra
        elif kind == "fill":
            changed[place : place + len(extra)] = extra[: len(changed) - place]
        elif kind == "insert":
            changed[place:place] = extra
        else:
            del changed[place : place + len(extra)]
    return bytes(changed)


def test_a_damaged_checkpoint_is_refused_or_holds_the_very_same(run, tmp_path):
    path = run / "checkpoints" / "last.ckpt"
    content, whole = path.read_bytes(), load_checkpoint(path)
    copy = tmp_path / "copy.ckpt"
    loaded = 0

    @fuzz(damages(), max(CASES, 220))
    def check(damage):
        nonlocal loaded
        copy.write_bytes(damaged(content, damage))
        try:
            with deadline():
                found = load_checkpoint(copy)
        except CheckpointError as refused:
            assert str(refused).startswith(str(copy)) and "\n" not in str(refused)
        else:
            loaded += 1
            assert same(found, whole), f"{damage}: another checkpoint than was saved"

    check()
    assert loaded < 0.3 * max(CASES, 220)


def ends(run, words, command=main, name="ganlab"):
    """A command is refused, and leaves the run's folder as it was."""
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    ended = call(command, name, words)
    explained(ended, 1)
    assert ended.code == 2 and "run" in ended.err, ended.err
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before


def empty(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("no weights, but words\n" * 100)


def folder(path):
    path.unlink()
    path.mkdir()


def fifo(path):
    path.unlink()
    os.mkfifo(path)


def loop(path):
    path.unlink()
    path.symlink_to(path.name)


def other_model(path):
    shutil.copy(path.parents[2] / "other" / "checkpoints" / "last.ckpt", path)


def other_version(path):
    saved = torch.load(path, weights_only=True)
    saved["ganlab"]["format"] = 99
    torch.save(saved, path)


def other_weights(path):
    saved = torch.load(path, weights_only=True)
    name = next(iter(saved["state_dict"]))
    saved["state_dict"][name] = saved["state_dict"][name].repeat(2, 1)
    torch.save(saved, path)


def flipped(path):
    weight = next(iter(torch.load(path, weights_only=True)["state_dict"].values())).numpy().tobytes()
    content = path.read_bytes()
    assert weight in content
    path.write_bytes(content.replace(weight, bytes([weight[0] ^ 1]) + weight[1:]))


@pytest.mark.parametrize(
    "spoil",
    [empty, text, folder, fifo, loop, other_model, other_version, other_weights, flipped],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("task", ["resume", "sample"])
def test_a_run_with_such_a_checkpoint_is_refused_by_resume_and_sample(run, tmp_path, monkeypatch, spoil, task):
    shutil.copytree(run, tmp_path / "run")
    shutil.copytree(run.parent / "other", tmp_path / "other")
    for extra in (tmp_path / "run" / "checkpoints").glob("iteration_*"):
        extra.unlink()  # last.ckpt may be a link to it
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    path.unlink(missing_ok=True)
    path.write_bytes((run / "checkpoints" / "last.ckpt").read_bytes())
    monkeypatch.chdir(tmp_path)
    spoil(path)
    if spoil is other_model and task == "sample":
        pytest.skip("a checkpoint says itself of which model it is")
    if task == "resume":
        ends(tmp_path / "run", ["resume=run", "trainer.max_iterations=4"])
    else:
        ends(tmp_path / "run", ["run=run"], sample.main, "ganlab.sample")
