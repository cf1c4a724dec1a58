import sys

import pytest

from ganlab.config.schema import Strict
from ganlab.config.types import PositiveInt
from ganlab.errors import CheckpointError, ConfigError
from ganlab.tasks import command


class Options(Strict):
    run: str
    count: PositiveInt = 64
    condition: int | list[int] | list[float] | None = None


@pytest.fixture
def call(monkeypatch, capsys):
    """call("run=x", action=…): exit code (None: it returned), standard output, standard error."""

    def called(*words, action=lambda options: print(options.count)):
        monkeypatch.setattr(sys, "argv", ["command", *words])
        code = None
        try:
            command.run("\nusage: …\n", Options, action)
        except SystemExit as end:
            code = end.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return called


def test_words_become_options():
    options = command.parse(Options, ["run=outputs/a=b", "count=3", "condition=[1,0.5]"])
    assert (options.run, options.count, options.condition) == ("outputs/a=b", 3, [1.0, 0.5])
    assert command.parse(Options, ["run=x", "condition=[1,2]"]).condition == [1, 2]
    assert command.parse(Options, ["run=x", "condition=null"]).condition is None


@pytest.mark.parametrize("name", ["5", "007", "2026-01-01", "true", "null", "[x", "${x}"])
def test_a_name_stays_as_it_was_typed(name):
    assert command.parse(Options, [f"run={name}"]).run == name


def test_the_last_word_counts():
    assert command.parse(Options, ["run=x", "count=1", "count=2"]).count == 2


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["conut=3", "rnu=x"], ["conut=3: unknown key; nearest: count, condition", "rnu=x: unknown key; nearest: run"]),
        (["=3"], ["=3: unknown key; there are: condition, count, run"]),
        (["foo", "run=x"], ["foo: expected key=value; keys: run, count, condition"]),
        (["count=3"], ["run: missing"]),
        (["run="], ["run=None: must be a string"]),
        (["run=x", "count=0"], ["count=0: must be greater than 0"]),
        (["run=x", "count=many"], ["count=many: must be an integer"]),
        (["run=x", "count="], ["count=None: must be an integer"]),
        (["count=0"], ["run: missing", "count=0: must be greater than 0"]),
        (["run=x", "condition=red"], ["condition=red: must be an integer or a list"]),
    ],
)
def test_wrong_words_are_a_line_each(words, lines):
    with pytest.raises(ConfigError) as error:
        command.parse(Options, words)
    assert sorted(str(error.value).splitlines()) == sorted(lines)


def test_the_alternatives_of_a_list_share_a_line():
    with pytest.raises(ConfigError) as error:
        command.parse(Options, ["run=x", "condition=[red,blue]"])
    (line,) = str(error.value).splitlines()
    assert line.startswith("condition=['red', 'blue']: must be an integer or a list in which each must be an integer")


def test_what_yaml_cannot_read():
    with pytest.raises(ConfigError, match=r"^condition=\[1: cannot be read as key=value") as error:
        command.parse(Options, ["run=x", "condition=[1"])
    assert "\n" not in str(error.value)


def test_the_action_gets_the_options(call):
    assert call("run=x", "count=5") == (None, "5\n", "")


def test_help_and_no_words(call):
    assert call() == (2, "usage: …\n", "")
    assert call("--help") == call("-h") == call("run=x", "--help") == (0, "usage: …\n", "")


def test_a_mistake_is_a_line_and_exit_code_2(call):
    assert call("count=0", "run=x") == (2, "", "count=0: must be greater than 0\n")

    def refuse(options):
        raise CheckpointError("run=x: is damaged")

    assert call("run=x", action=refuse) == (2, "", "run=x: is damaged\n")


def test_a_fault_is_not_hidden(call):
    def broken(options):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        call("run=x", action=broken)
