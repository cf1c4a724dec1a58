"""By what a run was made: commits of repositories of all kinds, overrides of runs that go on."""

import json
import stat
import subprocess
import time
from pathlib import Path

import pytest
import torch

import ganlab
from ganlab.tasks import provenance


def git(folder: Path, *words: str) -> str:
    me = ["-c", "user.name=me", "-c", "user.email=me@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *me, "-C", str(folder), *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """One commit with one file, and nothing of the user's settings."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    folder = tmp_path / "repository"
    (folder / "inner").mkdir(parents=True)
    git(folder, "init", "--quiet")
    (folder / "file").write_text("1\n")
    git(folder, "add", "file")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def of_working_folder(folder: Path) -> dict | None:
    return provenance.repositories(folder).get("working_folder")


def test_a_commit_is_that_of_the_folder_it_lies_in_and_changes_of_known_files_make_it_dirty(repository):
    commit = git(repository, "rev-parse", "HEAD")
    (repository / "outputs").mkdir()
    (repository / "outputs" / "made").write_text("untracked")
    assert of_working_folder(repository / "inner") == {"commit": commit, "dirty": False}
    (repository / "file").write_text("2\n")
    assert of_working_folder(repository / "inner") == {"commit": commit, "dirty": True}


def test_a_folder_in_no_repository_and_one_without_a_commit_have_none(tmp_path):
    assert of_working_folder(tmp_path) is None
    git(tmp_path, "init", "--quiet")
    assert of_working_folder(tmp_path) is None


def test_ganlabs_own_repository_is_told_where_it_is_a_checkout(repository, monkeypatch):
    package = repository / "inner"
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(ganlab, "__file__", str(package / "__init__.py"))
    assert "ganlab" not in provenance.repositories(repository), "installed into an environment inside a repository"
    git(repository, "add", "inner")
    git(repository, "commit", "--quiet", "--message", "second")
    assert provenance.repositories(repository.parent) == {
        "ganlab": {"commit": git(repository, "rev-parse", "HEAD"), "dirty": False}
    }


def test_a_broken_repository_is_passed_over(repository, capfd):
    (repository / ".git" / "HEAD").write_text("rubbish")
    assert of_working_folder(repository) is None
    assert capfd.readouterr() == ("", "")


def test_without_git_nothing_is_told(repository, monkeypatch):
    monkeypatch.setenv("PATH", str(repository))
    assert provenance.repositories(repository) == {}


def test_a_git_that_hangs_is_waited_for_no_longer_than_the_limit(repository, monkeypatch):
    slow = repository / "git"
    slow.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    slow.chmod(slow.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(repository))
    monkeypatch.setattr(provenance, "PATIENCE", 0.3)
    began = time.monotonic()
    assert provenance.repositories(repository) == {}
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("kind", ["filter", "included filter", "fsmonitor", "hook"])
def test_a_strangers_repository_is_data(repository, kind):
    """None of the programs that it names is run, though a changed file would have git run them."""
    sign = repository.parent / "sign"
    program = repository / "program"
    program.write_text(f"#!/bin/sh\necho ran >> {sign}\ncat\n")
    program.chmod(0o755)
    commit = git(repository, "rev-parse", "HEAD")
    (repository / ".git" / "info").mkdir(exist_ok=True)
    (repository / ".git" / "info" / "attributes").write_text("file filter=evil\n")
    if kind == "filter":
        git(repository, "config", "filter.evil.clean", str(program))
    elif kind == "included filter":
        (repository / ".git" / "more").write_text(f'[filter "evil"]\n clean = {program}\n')
        git(repository, "config", "include.path", "more")
    elif kind == "fsmonitor":
        git(repository, "config", "core.fsmonitor", str(program))
    else:
        (repository / ".git" / "hooks").mkdir(exist_ok=True)
        program.rename(repository / ".git" / "hooks" / "post-index-change")
    (repository / "file").write_text("2\n")
    found = of_working_folder(repository)
    assert not sign.exists()
    assert found == {"commit": commit, "dirty": None if "filter" in kind else True}


def test_a_hooks_environment_does_not_name_the_repository(repository, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    assert of_working_folder(tmp_path) is None


def test_overrides_of_a_run_that_goes_on_begin_with_its_own(tmp_path):
    assert provenance.overrides(tmp_path, ["seed=1", "data.root=resume=x"]) == ["seed=1", "data.root=resume=x"]
    later = ["resume=run", "trust=true", "trainer.log_every=2"]
    assert provenance.overrides(tmp_path, later) == ["trainer.log_every=2"]
    (tmp_path / ".hydra").mkdir()
    for text, begun in (("- seed=1\n- a=${b}\n", ["seed=1", "a=${b}"]), ("{", []), ("a: 1", []), ("[]", [])):
        (tmp_path / ".hydra" / "overrides.yaml").write_text(text)
        assert provenance.overrides(tmp_path, later) == [*begun, "trainer.log_every=2"]


def test_results_tell_versions_seed_commit_and_overrides(ganlab, tmp_path):
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "first")
    assert ganlab("seed=7", "trainer.max_iterations=2", "hydra.run.dir=run").returncode == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["versions"].keys() == {"ganlab", "torch", "lightning", "numpy", "python"}
    assert results["versions"]["torch"] == torch.__version__
    assert results["seed"] == 7 and {"seed=7", "trainer.max_iterations=2", "model=gan"} <= {*results["overrides"]}
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert results["git"]["working_folder"] == {"commit": commit, "dirty": False}
    assert ganlab("resume=run", "trainer.max_iterations=3", tiny=False).returncode == 0
    again = json.loads((tmp_path / "run" / "results.json").read_text())
    assert again["overrides"] == [*results["overrides"], "trainer.max_iterations=3"]
