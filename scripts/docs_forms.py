"""What is done with each form of command that a page may hold. Runs in a child process, in the command's own folder."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from docs_ganlab import Plan, Unknown, task, training
from docs_pages import Command
from docs_tiny import composed

ROOT = Path(__file__).parents[1]
ELLIPSIS = "…"


def plan(command: Command) -> Plan:
    """What is to be done with a command; raises `Unknown`, or `GanlabError` for one that ganlab refuses."""
    words = list(command.words)
    if command.inline:
        words = [word for word in words if ELLIPSIS not in word]
    program, *rest = words
    if program.startswith("ganlab"):
        program, rest = "python", ["-m", program.replace("-", "."), *rest]
    if program == "python":
        return _python(rest, command)
    if program in PROGRAMS:
        return PROGRAMS[program](rest, command)
    raise Unknown(f"{program}: no program that this checker knows")


def _python(words: list[str], command: Command) -> Plan:
    match words:
        case ["-m", "ganlab", *rest]:
            return training(rest, command)
        case ["-m", "pytest", *_]:
            return Plan("composed", "the tests are run by make test")
        case ["-m", module, *rest] if module.startswith("ganlab."):
            return task(module.removeprefix("ganlab."), rest, command)
        case [script, *rest] if re.match(r"(benchmarks|scripts)/\w+\.py$", script):
            return program_of_ours(script, rest)
    raise Unknown(f"python {' '.join(words[:2])}: no command that this checker knows")


# -- programs of the repository, and others --------------------------------------------------------------------------


def program_of_ours(script: str, words: list[str]) -> Plan:
    """A benchmark or a script: its words must be among those that its documentation names, or overrides of a run."""
    path = ROOT / script
    if not path.is_file():
        raise Unknown(f"{script}: there is no such file")
    source = path.read_text(encoding="utf-8")
    documented = ast.get_docstring(ast.parse(source)) or ""
    for word in words:
        key, mark, value = word.partition("=")
        part = path.with_name(f"{path.stem}_{key}.py")
        if part.is_file() or re.search(rf"(?<![\w.]){re.escape(key)}(?![\w.]){mark}", documented):
            _verify_names(script, word, value, source)
            continue
        if key.startswith("--") and key in source:
            continue
        if not mark:
            raise Unknown(f"{script}: {word}: nothing in its documentation")
        composed([word])
    return Plan("composed", "takes minutes to hours; its words are known")


def _verify_names(script: str, word: str, value: str, source: str) -> None:
    """Names in a list such as rows=ring,grid are keys of a table in the script."""
    for name in value.split(","):
        if re.fullmatch(r"[a-z]\w*", name) and not re.search(rf"\b{name}\b", source):
            raise Unknown(f"{script}: {word}: {name} is not in it")


def _torchrun(words: list[str], command: Command) -> Plan:
    from torch.distributed.run import parse_args

    parse_args(words)
    training(words[words.index("ganlab") + 1 :], command)
    return Plan("composed", "needs several machines")


def _srun(words: list[str], command: Command) -> Plan:
    training(words[words.index("ganlab") + 1 :], command)
    return Plan("composed", "needs a cluster")


def _make(words: list[str], command: Command) -> Plan:
    done = subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise Unknown(f"make {' '.join(words)}: {done.stderr.strip()}")
    return Plan("composed", "make knows the target")


def _pip(words: list[str], command: Command) -> Plan:
    """An installation; its extras must be those of pyproject.toml."""
    table = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("[project.optional-dependencies]")[1]
    known = re.findall(r"^([\w-]+) = \[", table.split("\n[")[0], re.MULTILINE)
    for word in words:
        for extra in re.findall(r"\[([\w,-]+)\]", word):
            if unknown := set(extra.split(",")) - set(known):
                raise Unknown(f"{word}: no extra {', '.join(unknown)}; there are {', '.join(known)}")
    return Plan("composed", "an installation; its extras exist")


def _installed(name: str) -> Callable[[list[str], Command], Plan]:
    def looked_up(words: list[str], command: Command) -> Plan:
        if not (Path(sys.executable).with_name(name).exists() or shutil.which(name)):
            raise Unknown(f"{name}: not installed")
        return Plan("composed", "serves until it is stopped")

    return looked_up


def _environment(words: list[str], command: Command) -> Plan:
    if words[:2] == ["-m", "venv"] or words == [".venv/bin/activate"]:
        return Plan("composed", "makes an environment")
    raise Unknown(f"{' '.join(words)}: no command that this checker knows")


PROGRAMS: dict[str, Callable[[list[str], Command], Plan]] = {
    "make": _make,
    "pip": _pip,
    "torchrun": _torchrun,
    "srun": _srun,
    "tensorboard": _installed("tensorboard"),
    "python3": _environment,
    ".": _environment,
}
