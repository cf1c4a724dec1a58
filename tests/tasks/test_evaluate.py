"""What `python -m ganlab.evaluate` refuses before anything is loaded, and what its words mean."""

import subprocess
import sys
from functools import partial

import pytest

from ganlab.tasks import evaluate
from ganlab.tasks.command import parse
from ganlab.tasks.evaluate import EvaluateOptions


@pytest.fixture
def refused(refused_by):
    return partial(refused_by, evaluate.main)


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["metrics=fdd"], ["metrics=fdd: there is no such score; nearest: fd"]),
        (["metrics=[recal,precission]"], ["metrics=recal: there is", "metrics=precission: there is"]),
        (["extractor=digts"], ["extractor=digts: there is no such extractor; nearest: digits"]),
        (["extractor=my.Net"], ["extractor=my.Net: there is no module 'my'"]),
        (["extractor={width: 8}"], ["extractor: missing; it names the class"]),
        (["metrics=[]"], ["metrics=[]: there is nothing to score"]),
        (["weights=w.pth"], ["weights: of which extractor? Add extractor=inception"]),
        (["extractor=digits", "weights=w.pth"], ["weights=w.pth: unknown key"]),
        (["count=1"], ["count=1: must be greater than or equal to 2"]),
        (["reference=tset"], ["reference=tset: of a run it is train, test or both"]),
        (["size=32", "on_corrupt=skip"], ["size: is for folders", "on_corrupt: is for folders"]),
        (["sedes=3"], ["sedes=3: unknown key; nearest: seeds"]),
        (["device=tpu"], ["device=tpu: must be 'auto', 'cpu', 'cuda' or 'mps'"]),
        ([], ["run=nowhere: there is no such run"]),
    ],
)
def test_mistakes_are_a_line_each(refused, words, lines):
    told = refused("run=nowhere", *words)
    assert len(told) == len(lines), told
    for line, beginning in zip(told, lines, strict=True):
        assert line.startswith(beginning)


def test_either_a_run_or_two_folders(refused):
    assert refused("metrics=fd") == ["give run=… (a trained run) or images=… reference=… (two folders), one of them"]
    assert refused("run=x", "images=y")[0].startswith("give run=")
    assert refused("images=a") == ["reference: missing; give the folder of real images to compare with"]
    told = refused("images=a", "reference=b", "seeds=2", "checkpoint=best")
    assert told == ["checkpoint: is for a run, and these are images", "seeds: is for a run, and these are images"]


@pytest.mark.parametrize(
    ("words", "target"),
    [
        ([], None),
        (["metrics=fd"], None),
        (["metrics=fid"], "ganlab.metrics.extractors.inception.Inception"),
        (["metrics=[recall,kid]"], "ganlab.metrics.extractors.inception.Inception"),
        (["metrics=fid", "extractor=digits"], "ganlab.metrics.extractors.digits.Digits"),
        (["extractor=my.Net"], "my.Net"),
        (["extractor={_target_: my.Net, width: 8}"], "my.Net"),
        (["metrics=fd_digits,recall"], "ganlab.metrics.extractors.digits.Digits"),
        (["metrics=fd_random_conv"], "ganlab.metrics.extractors.random_conv.RandomConv"),
    ],
)
def test_the_name_of_a_score_chooses_its_extractor(words, target):
    node = parse(EvaluateOptions, ["run=x", *words]).extractor_node()
    assert (node and node["_target_"]) == target


def test_paths_are_text_whatever_they_look_like():
    options = parse(EvaluateOptions, ["images=5", "reference=2026-01-01", "weights=1.5", "extractor=inception"])
    assert (options.images, options.reference) == ("5", "2026-01-01")
    assert options.extractor_node() == {
        "_target_": "ganlab.metrics.extractors.inception.Inception",
        "weights": "1.5",
    }


def test_weights_of_ones_own_are_named_with_the_beginning_of_their_hash():
    options = parse(EvaluateOptions, ["run=x", "metrics=fid", "weights=w.pth", "sha256=12345678"])
    node = options.extractor_node()
    assert (node["weights"], node["sha256"]) == ("w.pth", "12345678")


def test_a_list_may_be_given_with_commas_alone():
    assert parse(EvaluateOptions, ["run=x", "metrics=fd, recall"]).scores == ["fd", "recall"]
    assert parse(EvaluateOptions, ["run=x"]).scores == "auto"


def test_help_and_mistakes_answer_without_torch():
    code = "import sys; sys.argv = ['ganlab.evaluate', 'run=x', 'metrics=fdd']\n"
    code += "from ganlab.evaluate import main\ntry:\n    main()\nexcept SystemExit: pass\n"
    code += "print({'torch', 'lightning', 'sklearn', 'scipy', 'torchmetrics'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "set()", done
    assert "nearest: fd" in done.stderr
