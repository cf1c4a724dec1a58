"""Paths that somebody typed."""

import pytest

from ganlab.errors import CheckpointError, ConfigError
from ganlab.tasks import compare, complete, encode, evaluate, explore, export, probe, sample
from ganlab.typed_path import typed_path


def test_a_path_need_not_exist_and_a_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "file").touch()
    for word in ("~/nothing", "~/file", "~", "~/file/below"):
        path = typed_path(word, "run")
        assert path == tmp_path / word[2:], word
        assert path.exists() == (word in ("~/file", "~"))


def impossible(folder):
    (folder / "loop").symlink_to(folder / "loop")
    return {
        "x" * 300: "too long",
        "x/" * 3000: "too long",
        "~nobody_of_that_name/x": "home",
        "a\0b": "null",
        "loop/x": "",
    }


def test_what_no_file_system_takes_is_refused_by_its_key(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for word, reason in impossible(tmp_path).items():
        with pytest.raises(CheckpointError, match=rf"^resume=.{{1,200}}: cannot be a path \(.*{reason}") as raised:
            typed_path(word, "resume", CheckpointError)
        assert len(str(raised.value)) < 250
    with pytest.raises(ConfigError):
        typed_path("x" * 300, "data.root")


RUN_COMMANDS = [sample, evaluate, encode, complete, export, explore]


@pytest.mark.parametrize("command", [*RUN_COMMANDS, compare, probe], ids=lambda command: command.__name__)
def test_commands_refuse_such_a_run_in_a_line(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    key = "run" if command in RUN_COMMANDS else "runs"
    for word in ("x" * 300, "~nobody_of_that_name"):
        monkeypatch.setattr("sys.argv", ["command", f"{key}={word}"])
        with pytest.raises(SystemExit) as ended:
            command.main()
        out, err = capsys.readouterr()
        assert (ended.value.code, out) == (2, "")
        assert err.startswith(f"{key}={word[:9]}") and err.count("\n") == 1 and "cannot be a path" in err
    assert not list(tmp_path.iterdir())
