"""Which tiny run stands for the run that a page speaks of."""

import pytest

DATE = "2026-01-01_12-00-00"


@pytest.mark.parametrize(
    ("word", "command", "becomes", "runs"),
    [
        ("run=outputs/…", "sample", f"run=outputs/{DATE}", [(f"outputs/{DATE}", ())]),
        ("run=…", "encode", f"run=outputs/{DATE}", [(f"outputs/{DATE}", ("model=ae",))]),
        (
            "run=outputs/vae-digits/…",
            "encode",
            f"run=outputs/vae-digits/{DATE}",
            [(f"outputs/vae-digits/{DATE}", ("model=vae", "data=digits"))],
        ),
        (
            "run=outputs/digits_vae/…",
            "augment",
            f"run=outputs/digits_vae/{DATE}",
            [(f"outputs/digits_vae/{DATE}", ("experiment=digits_vae",))],
        ),
        (
            "resume=outputs/mine-ring/…",
            "",
            f"resume=outputs/mine-ring/{DATE}",
            [(f"outputs/mine-ring/{DATE}", ("model=mine", "data=ring"))],
        ),
        (
            "runs=outputs/*/*",
            "probe",
            "runs=outputs/*/*",
            [
                (f"outputs/ae-digits/{DATE}", ("model=ae", "data=digits")),
                (f"outputs/vae-digits/{DATE}", ("model=vae", "data=digits")),
            ],
        ),
    ],
)
def test_a_path_names_the_kind_of_run(script, word, command, becomes, runs):
    made, found = script("docs_stand_ins").resolved([word, "count=3"], command, {"conf/model/mine.yaml": ""})
    assert made == [becomes, "count=3"]
    assert [(run.place, run.words) for run in found] == runs


def test_what_is_compared_has_scores_and_several_runs(script):
    stand_ins = script("docs_stand_ins")
    for word, places in {
        "runs=outputs/sweeps/…": [f"outputs/sweeps/sweep/{DATE}/{number}" for number in (0, 1)],
        "runs=outputs/digits_*": [f"outputs/digits_{name}/{DATE}" for name in ("dcgan", "lsgan")],
        "runs=[outputs/lsgan-digits,outputs/wgan_gp-digits]": [
            f"outputs/{name}-digits/{DATE}" for name in ("lsgan", "wgan_gp")
        ],
    }.items():
        made, runs = stand_ins.resolved([word], "compare", {})
        assert [run.place for run in runs] == places
        assert all(set(stand_ins.SCORED) <= set(run.words) for run in runs)
        assert made == [word.replace("…", f"sweep/{DATE}")]
