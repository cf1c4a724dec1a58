"""What is said and kept of an experiment. Here experiments are tiny functions."""

import json
import math
import sys
from types import ModuleType

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from ganlab.claims.command import ClaimOptions
from ganlab.claims.drawing import panels
from ganlab.claims.finding import Check, Finding
from ganlab.claims.index import Claim
from ganlab.claims.judging import judge, told
from ganlab.claims.lab import Lab
from ganlab.errors import OutputError

CLAIM = Claim("stand_in", "It is so.", "someone, somewhere")


@pytest.fixture
def judged(monkeypatch, tmp_path):
    """judged(investigate, seeds=…): the finding of an experiment, and its folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.set_num_threads", lambda count: None)

    def run(investigate, **options):
        experiment = ModuleType("ganlab.claims.stand_in")
        experiment.investigate = investigate
        monkeypatch.setitem(sys.modules, "ganlab.claims.stand_in", experiment)
        return judge(CLAIM, ClaimOptions(**{"output": "here", **options})), tmp_path / "here"

    return run


def found(*checks, **options):
    return lambda lab: Finding(checks, panels(1)[0], **options)


def test_all_numbers_are_kept(judged):
    checks = [
        Check("a", [np.float32(0.5), 1.5], at_least=0.25),
        Check("b", np.array([3.0, 4.0]), at_most=3.5, unit="nats"),
    ]
    finding, folder = judged(found(*checks, seen="Much.", numbers={"more": [1]}), seeds=[5, 6], budget=0.5)
    assert not finding.holds
    report = json.loads((folder / "claim.json").read_text())
    assert report.pop("seconds") >= 0
    assert set(report.pop("versions")) >= {"python", "torch", "ganlab"}
    assert report == {
        "claim": "stand_in",
        "statement": "It is so.",
        "source": "someone, somewhere",
        "held": False,
        "verdict": "not held: b",
        "seen": "Much.",
        "checks": [
            {"what": "a", "expected": "≥ 0.25", "values": [0.5, 1.5], "mean": 1.0, "sd": math.sqrt(0.5), "holds": True},
            {
                "what": "b", "expected": "≤ 3.5 nats", "values": [3.0, 4.0], "mean": 3.5, "sd": math.sqrt(0.5),
                "holds": False,
            },
        ],
        "numbers": {"more": [1]},
        "seeds": [5, 6],
        "budget": 0.5,
    }  # fmt: skip
    with Image.open(folder / "figure.png") as picture:
        assert picture.format == "PNG" and min(picture.size) > 200


def test_what_is_said(judged, capsys):
    judged(found(Check("a length", [1.0, 2.0, 6.0], at_most=5, unit="m"), seen="Much."))
    out = capsys.readouterr().out
    assert out.splitlines()[:2] == ["claim:    It is so.", "          (someone, somewhere)"]
    assert out.splitlines()[2:] == [
        "",
        "expected  measured    seeds",
        "≤ 5 m     3 ± 2.65 m  2 of 3  a length",
        "",
        "seen:     Much.",
        "verdict:  not held: a length",
        "figure:   here/figure.png",
    ]


def test_the_verdict_of_a_part_of_the_budget_says_so(tmp_path):
    finding = found(Check("a", [1.0], at_least=0))(None)
    assert told(finding, Lab("stand_in", tmp_path))[-1] == "verdict:  held"
    assert told(finding, Lab("stand_in", tmp_path, budget=0.1))[-1] == (
        "verdict:  held (with 10% of the budget, for which the bounds are not meant)"
    )


def test_the_experiment_is_given_what_was_asked_for(judged, tmp_path):
    labs = []

    def investigate(lab):
        labs.append(lab)
        return Finding([Check("a", [1.0], at_least=0)], Figure())

    judged(investigate, seeds=[2, 9], budget=0.25, jobs=3)
    assert labs == [Lab("stand_in", tmp_path / "here", (2, 9), 0.25, 3)]


def test_two_experiments_of_one_second_have_a_folder_each(judged, monkeypatch, tmp_path):
    monkeypatch.setattr("time.strftime", lambda form: "now")
    for _ in range(2):
        judged(found(Check("a", [1.0], at_least=0)), output=None)
    folders = sorted(path.parent.name for path in tmp_path.rglob("claim.json"))
    assert folders == ["now", "now_2"]


def test_an_experiment_that_is_stopped_says_how_it_goes_on(judged, capsys):
    def investigate(lab):
        (lab.folder / "runs").mkdir()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judged(investigate, seeds=[0, 3], budget=0.5, output="a folder")
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("stopped; go on with: ")
    assert line.endswith(" -m ganlab.claim stand_in seeds=[0,3] budget=0.5 'output=a folder'") or line.endswith(
        " -m ganlab.claim stand_in 'seeds=[0,3]' budget=0.5 'output=a folder'"
    )


def test_one_that_keeps_no_runs_says_that_it_begins_again(judged, capsys):
    def investigate(lab):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judged(investigate)
    assert capsys.readouterr().err.splitlines()[-1].startswith("stopped; nothing was kept yet; begin again with: ")


def test_what_another_experiment_wrote_is_not_overwritten(judged, tmp_path):
    experiment = found(Check("a", [1.0], at_least=0))
    judged(experiment)
    before = {path.name: path.read_bytes() for path in (tmp_path / "here").iterdir()}
    for options in ({"seeds": 0}, {"budget": 0.5}):
        with pytest.raises(
            OutputError, match=r"^output=here: holds what came of stand_in seeds=\[0,1,2\] budget=1.0; "
        ):
            judged(experiment, **options)
    assert {path.name: path.read_bytes() for path in (tmp_path / "here").iterdir()} == before
    judged(experiment)

    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "figure.png").write_text("mine")
    with pytest.raises(OutputError, match=r"^output=paper: holds a figure.png of something else; choose another"):
        judged(experiment, output="paper")
    assert (tmp_path / "paper" / "figure.png").read_text() == "mine"
    for text in ("[]", "{}", "nothing"):
        (tmp_path / "paper" / "claim.json").write_text(text)
        with pytest.raises(OutputError, match=r"^output=paper: its claim.json is no claim's; choose another output"):
            judged(experiment, output="paper")


def test_what_is_no_number_is_null_in_the_report(judged, tmp_path):
    judged(found(Check("a", [math.nan, 1.0, math.inf], at_least=0), numbers={"b": [math.nan]}), seeds=[0, 1, 2])

    def refused(word):
        raise AssertionError(word)

    report = json.loads((tmp_path / "here" / "claim.json").read_text(), parse_constant=refused)
    assert report["checks"][0]["values"] == [None, 1.0, None] and report["numbers"] == {"b": [None]}
