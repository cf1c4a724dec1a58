"""Runs an experiment, and says and keeps what came of it."""

import json
import math
import shlex
import sys
import textwrap
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ganlab.claims.finding import Check, Finding
from ganlab.claims.index import Claim
from ganlab.claims.lab import Lab
from ganlab.errors import OutputError, typed
from ganlab.files import claim_folder, write_atomically
from ganlab.tasks.comparing.curves import png
from ganlab.tasks.console import number, python, relative, say
from ganlab.tasks.provenance import versions
from ganlab.tasks.sweeps.slots import visible_cores

if TYPE_CHECKING:
    from ganlab.claims.command import ClaimOptions

REPORT, FIGURE, RUNS = "claim.json", "figure.png", "runs"


def judge(claim: Claim, options: "ClaimOptions") -> Finding:
    """Investigate a claim, write figure.png and claim.json into its folder, and say what was found."""
    folder = _folder(claim, options.output)
    _refuse_another(folder, claim, options)
    lab = Lab(claim.name, folder, tuple(options.all_seeds), options.budget, options.jobs or len(visible_cores()))
    say(f"claim:    {_indented(claim.statement)}")
    say(f"          ({claim.source})")
    began = time.monotonic()
    # Experiments that work in this process share its cores with nobody.
    torch.set_num_threads(max(1, lab.jobs))
    try:
        finding = import_module(f"ganlab.claims.{claim.name}").investigate(lab)
    except (KeyboardInterrupt, SystemExit):
        kept = "go on with" if (folder / RUNS).exists() else "nothing was kept yet; begin again with"
        print(f"\nstopped; {kept}: {_again(claim, options, folder)}", file=sys.stderr, flush=True)
        raise
    report = _report(claim, lab, finding, time.monotonic() - began)
    write_atomically(folder / FIGURE, lambda file: file.write(png(finding.figure)))
    text = json.dumps(_finite(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(folder / REPORT, lambda file: file.write(text.encode()))
    for line in told(finding, lab):
        say(line)
    say(f"figure:   {relative(folder / FIGURE)}")
    return finding


def _again(claim: Claim, options: "ClaimOptions", folder: Path) -> str:
    """The command by which this experiment goes on."""
    typed = {**options.model_dump(exclude_defaults=True), "output": relative(folder)}
    words = (shlex.quote(f"{key}={value}".replace(", ", ",")) for key, value in typed.items())
    return f"{python()} -m ganlab.claim {claim.name} {' '.join(words)}"


def _refuse_another(folder: Path, claim: Claim, options: "ClaimOptions") -> None:
    """Raise `OutputError` for a folder with a report or a figure that this experiment would not make again."""
    wanted = {"claim": claim.name, "seeds": options.all_seeds, "budget": options.budget}
    try:
        there = json.loads((folder / REPORT).read_text())
        holds = {key: there[key] for key in wanted}
    except FileNotFoundError:
        if (folder / FIGURE).exists():
            raise OutputError(f"output={_shown(folder)}: holds a {FIGURE} of something else; choose another") from None
        return
    except (OSError, ValueError, TypeError, KeyError):
        raise OutputError(f"output={_shown(folder)}: its {REPORT} is no claim's; choose another output") from None
    if holds != wanted:
        words = f"{holds['claim']} seeds={holds['seeds']} budget={holds['budget']}".replace(", ", ",")
        raise OutputError(f"output={_shown(folder)}: holds what came of {typed(words)}; choose another output")


def _shown(folder: Path) -> str:
    return typed(str(relative(folder)))


def _folder(claim: Claim, output: str | None) -> Path:
    try:
        if output is not None:
            folder = Path(output).expanduser()
            folder.mkdir(parents=True, exist_ok=True)
            return folder.absolute()
        return claim_folder(Path("outputs") / "claims" / claim.name / time.strftime("%Y-%m-%d_%H-%M-%S")).absolute()
    except (OSError, RuntimeError) as error:  # a name that is too long, a home that nobody has
        where = f"output={typed(output)}" if output is not None else "outputs/claims"
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{where}: cannot be written ({reason}); choose another output") from None


def told(finding: Finding, lab: Lab) -> list[str]:
    """The table of checks, what was seen, and the verdict."""
    rows = [("expected", "measured", "seeds", "")]
    rows += [(check.expected, _measured(check), _seeds(check), check.what) for check in finding.checks]
    widths = [max(len(row[place]) for row in rows) for place in range(3)]
    lines = ["", *("  ".join(map(str.ljust, row, [*widths, 0])).rstrip() for row in rows), ""]
    if finding.seen:
        words = "" if lab.budget == 1 else "(worded for the full budget) "
        lines.append(f"seen:     {_indented(words + finding.seen)}")
    return [*lines, f"verdict:  {verdict(finding)}{_of_budget(lab)}"]


def verdict(finding: Finding) -> str:
    """Held or not held, and by which checks."""
    wrong = [check for check in finding.checks if not check.holds]
    if not wrong:
        return "held"
    return f"not held: {'; '.join(check.what for check in wrong)}"


def _of_budget(lab: Lab) -> str:
    return (
        "" if lab.budget == 1 else f" (with {100 * lab.budget:.2g}% of the budget, for which the bounds are not meant)"
    )


def _measured(check: Check) -> str:
    words = number(check.mean)
    if check.sd is not None:
        words += f" ± {number(check.sd)}"
    return f"{words} {check.unit}".rstrip()


def _seeds(check: Check) -> str:
    return f"{sum(check.held)} of {len(check.values)}"


def _indented(text: str) -> str:
    return ("\n" + " " * 10).join(textwrap.wrap(text, 106))


def _report(claim: Claim, lab: Lab, finding: Finding, seconds: float) -> dict[str, Any]:
    return {
        "claim": claim.name,
        "statement": claim.statement,
        "source": claim.source,
        "held": finding.holds,
        "verdict": verdict(finding),
        "seen": finding.seen,
        "checks": [_entry(check) for check in finding.checks],
        "numbers": finding.numbers,
        "seeds": list(lab.seeds),
        "budget": lab.budget,
        "seconds": round(seconds, 1),
        "versions": versions(),
    }


def _finite(value: Any) -> Any:
    """The same with None for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _finite(inside) for key, inside in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inside) for inside in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _entry(check: Check) -> dict[str, Any]:
    return {
        "what": check.what,
        "expected": check.expected,
        "values": check.values,
        "mean": check.mean,
        "sd": check.sd,
        "holds": check.holds,
    }
