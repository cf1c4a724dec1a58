"""Finished runs as they are found and read; nothing in them is obeyed."""

import json

import pytest
from run_folders import TAG, score, write_run

from ganlab.errors import ConfigError
from ganlab.tasks.comparing.runs import read_runs


def found(*patterns, **options):
    result = read_runs([str(pattern) for pattern in patterns], **options)
    return {run.folder.name for run in result.runs}, {
        reason: sorted(path.name for path in paths) for reason, paths in result.left_out.items()
    }


def test_runs_are_found_at_any_depth_by_folder_pattern_and_list_and_each_once(tmp_path):
    deep = write_run(tmp_path / "sweeps" / "sweep" / "2026-01-01_00-00-00" / "0_model=gan")
    bracketed = write_run(tmp_path / "sweeps" / "1_model.codes=[10,2]")
    single = write_run(tmp_path / "cgan-digits" / "a")
    assert found(tmp_path)[0] == {deep.name, bracketed.name, "a"}
    assert found(bracketed, bracketed / "results.json")[0] == {bracketed.name}
    assert found(tmp_path / "cgan-*" / "*", tmp_path / "cgan-digits", single)[0] == {"a"}
    assert len(read_runs([str(single), str(tmp_path / "*")]).runs) == 3


def test_what_cannot_be_compared_is_named_with_its_reason(tmp_path):
    write_run(tmp_path / "good")
    for name in ("stopped", "0_failed"):
        (write_run(tmp_path / name) / "results.json").unlink()
    (tmp_path / "sweep.csv").write_text("job,status,folder\n0,failed,0_failed\n1,completed,stopped\n")
    write_run(tmp_path / "cut_short", pruned=True)
    (write_run(tmp_path / "half") / "results.json").write_text('{"version": "0.1.0", "mod')
    (write_run(tmp_path / "nested") / "results.json").write_text("[" * 100_000)
    write_run(tmp_path / "text_for_number", scores={TAG: score("many")})
    write_run(tmp_path / "no_such_monitor", monitored="metric/absent")
    (write_run(tmp_path / "no_config") / ".hydra" / "config.yaml").unlink()
    (write_run(tmp_path / "binary") / ".hydra" / "config.yaml").write_bytes(b"\x80\x81\x00")
    (tmp_path / "folders").mkdir()
    (tmp_path / "folders" / "results.json").write_text(json.dumps({"evaluations": [{"scores": {}}]}))
    assert found(tmp_path) == (
        {"good"},
        {
            "failed": ["0_failed"],
            "unfinished": ["stopped"],
            "pruned": ["cut_short"],
            "damaged results.json": ["half", "nested", "no_such_monitor", "text_for_number"],
            "without .hydra/config.yaml or .hydra/overrides.yaml": ["no_config"],
            "damaged configuration": ["binary"],
            "evaluations of image folders, not runs": ["folders"],
        },
    )


def test_a_pattern_without_a_match_is_a_mistake(tmp_path):
    with pytest.raises(ConfigError, match=r"runs=.*absent-\*: there is no such folder, and nothing matches it"):
        read_runs([str(tmp_path / "absent-*")])


def test_settings_are_resolved_and_know_which_follow_from_others(tmp_path):
    run = read_runs([str(write_run(tmp_path / "a", "model=wgan", "data.image_size=8"))]).runs[0]
    assert run.settings["data.sample_shape"] == run.settings["model.sample_shape"] == [1, 8, 8]
    assert run.settings["optimizer.generator.lr"] == 1e-3
    assert {"optimizer.generator.lr", "model.sample_shape"} <= run.derived
    assert "data.image_size" not in run.derived
    assert run.overrides == ("model=wgan", "data.image_size=8", "seed=0")


def test_a_strangers_configuration_runs_nothing_and_reads_nothing_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    tagged = write_run(tmp_path / "tagged") / ".hydra" / "config.yaml"
    tagged.write_text(f"model: !!python/object/apply:os.system ['touch {tmp_path}/ran']\n")
    bomb = write_run(tmp_path / "bomb") / ".hydra" / "config.yaml"
    bomb.write_text("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n")
    deep = write_run(tmp_path / "deep") / ".hydra" / "config.yaml"
    deep.write_text("a: " + "[" * 200_000 + "]" * 200_000)
    curious = write_run(tmp_path / "curious") / ".hydra" / "config.yaml"
    curious.write_text(curious.read_text().replace("root: data", "root: ${oc.env:SECRET}/${oc.decode:'[1]'}"))
    hidden = write_run(tmp_path / "hidden") / ".hydra" / "config.yaml"
    hidden.write_text(hidden.read_text().replace("root: data", "root: ${oc.${.a}:SECRET}\n  a: env"))
    result = read_runs([str(tmp_path)])
    assert {path.name for path in result.left_out["damaged configuration"]} == {"tagged", "bomb", "deep"}
    assert not (tmp_path / "ran").exists()
    assert "hunter2" not in str(result.runs) and len(result.runs) == 2
    assert all("SECRET" in run.settings["data.root"] for run in result.runs)


def evaluation(date, value, split="test", checkpoint="last.ckpt", seeds=(0, 1, 2)):
    told = {TAG: score(value, seeds=list(seeds))}
    return {"date": date, "checkpoint": checkpoint, "iteration": 90, "seeds": list(seeds), "scores": {split: told}}


def test_the_newest_evaluation_takes_the_place_of_the_runs_own_scores(tmp_path):
    evaluations = [evaluation("2026-01-02", 0.2), evaluation("2026-01-03", 0.3), evaluation("2026-01-01", 0.1)]
    write_run(tmp_path / "twice", value=9.0, evaluations=evaluations)
    write_run(tmp_path / "never", value=9.0)
    result = read_runs([str(tmp_path)], evaluations=True)
    assert [(run.scores[TAG].value, run.iterations, run.monitored) for run in result.runs] == [(0.3, 90, TAG)]
    assert list(result.left_out) == ["never evaluated by ganlab.evaluate"]
    assert {run.scores[TAG].value for run in read_runs([str(tmp_path)]).runs} == {9.0}
