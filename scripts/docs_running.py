"""Commands executed as their pages have them: stand-ins for the runs, the page's own files, and what came of it."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from docs_forks import Ended, Job, load_libraries, run_all, tell
from docs_forms import plan
from docs_ganlab import Unknown, execute
from docs_pages import Command
from docs_stand_ins import Run, put, resolved
from docs_tiny import composed, tiny_words
from ganlab.errors import GanlabError

Kind = tuple[tuple[str, ...], tuple[tuple[str, str], ...]]
"""A stand-in's overrides, and the files that lie beside it."""


def runs_of(command: Command) -> list[Run]:
    """The runs that a command is about."""
    words = command.words
    if command.inline or words[:2] != ("python", "-m") or not words[2].startswith("ganlab"):
        return []
    return resolved(words[3:], words[2].removeprefix("ganlab").removeprefix("."), command.files)[1]


def kind_of(run: Run, command: Command) -> Kind:
    """What tells the run's stand-in from others."""
    return run.words, tuple(sorted(command.files.items()))


def write_files(files: Sequence[tuple[str, str]], folder: Path) -> None:
    """A page's own files."""
    for name, text in files:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


def make_stand_in(kind: Kind, folder: Path) -> None:
    """A tiny run in `folder`/run."""
    words, files = kind
    write_files(files, folder)
    own = ["--config-dir", "conf"] if (folder / "conf").is_dir() else []
    config = composed(words, "conf" if own else None)
    execute("ganlab", [*own, *words, *tiny_words(config, words), f"hydra.run.dir={folder / 'run'}"])


def obey(command: Command, made: dict[Kind, Path], folder: Path) -> None:
    """What a child does with a command."""
    try:
        write_files(sorted(command.files.items()), folder)
        for run in runs_of(command):
            put(run, made[kind_of(run, command)] / "run", folder)
        planned = plan(command)
    except (Unknown, GanlabError) as problem:
        tell(folder, {"how": "wrong", "why": str(problem)})
        raise SystemExit(1) from None
    tell(folder, {"how": planned.how, "why": planned.why})
    if planned.act is not None:
        planned.act()


def problem_of(command: Command, ended: Ended) -> str | None:
    """What is wrong with how a command ended; None if it did as its page says."""
    how = ended.told.get("how", "nothing")
    if how == "wrong":
        return ended.told["why"]
    if how == "refused as shown":
        said = ended.err.splitlines()
        shown = [line.rstrip() for line in command.output if line.strip()]
        if ended.code != 2 or len(said) < len(shown):
            return f"exit code {ended.code}, and it says: {ended.err.strip()}"
        wrong = [one for one, line in zip(shown, said, strict=False) if not matches(one, line)]
        return f"it does not say: {wrong[0]}\n  but: {ended.err.strip()}" if wrong else None
    if ended.code:
        return f"exit code {ended.code}\n" + "\n".join(f"  {line}" for line in ended.err.strip().splitlines()[-12:])
    return None


def matches(shown: str, said: str) -> bool:
    """Whether a line is what a page shows of it, which may leave out the rest by an ellipsis."""
    return said.startswith(shown[:-1].rstrip()) if shown.endswith("…") else said == shown


def check_commands(commands: list[Command], scratch: Path, jobs: int) -> tuple[list[str], dict[str, list[str]]]:
    """Problems, a line or more each; and by how it was done the commands that did as they should."""
    os.environ["GANLAB_CACHE"] = str(scratch / "cache")
    load_libraries()
    problems: list[str] = []
    made: dict[Kind, Path] = {}
    for command in commands:
        for run in runs_of(command):
            made.setdefault(kind_of(run, command), scratch / f"stand_in_{len(made)}")
    kinds = [
        Job(" ".join(kind[0]), place, lambda folder, k=kind: make_stand_in(k, folder)) for kind, place in made.items()
    ]
    for ended in run_all(kinds, jobs):
        if ended.code:
            problems.append(f"no run to stand for python -m ganlab {ended.job.name}:\n{ended.err[-2000:]}")
    done: dict[str, list[str]] = {}
    by_name = {str(number): command for number, command in enumerate(commands)}
    works = [
        Job(number, scratch / f"command_{number}", lambda folder, c=command: obey(c, made, folder))
        for number, command in by_name.items()
    ]
    for number, ended in enumerate(run_all(works, jobs), start=1):
        command = by_name[ended.job.name]
        if sys.stderr.isatty():
            print(f"{number} of {len(works)} commands", end="\r", file=sys.stderr, flush=True)
        if problem := problem_of(command, ended):
            problems.append(f"{command.page}:{command.line}: {command.typed}\n  {problem}")
        else:
            why = ended.told["why"]
            done.setdefault(ended.told["how"], []).append(f"{command.typed}" + f"   ({why})" * bool(why))
    return problems, done
