"""docs/claims.md: what came of each claim, from claim.json, figure.png and any GIF of its newest run at full budget.

python scripts/claims_page.py                   # gathers outputs/claims/<name>/<date>_<time>, and writes the page
python scripts/claims_page.py FOLDER FOLDER …   # of these folders instead; claims that are in none stay as they were
python scripts/claims_page.py write             # only writes the page anew from docs/claims.json
"""

import json
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from ganlab.claims.index import CLAIMS

SEEDS = [0, 1, 2]
"""What `python -m ganlab.claim` takes unless told otherwise; the page prints commands without seeds."""
DOCS = Path(__file__).parents[1] / "docs"
KEPT = ("claim", "statement", "source", "held", "verdict", "seen", "checks", "seeds")
BEGINNING = """# Claims

What the literature says, as experiments: `python -m ganlab.claim` lists them, each with its source.

```bash
python -m ganlab.claim linear_ae_is_pca
python -m ganlab.claim disjoint_supports budget=0.1 seeds=0
```

The first runs a claim over three seeds; the second is a quick look, for which the bounds are not meant. Printed are
what is expected beside what was measured, mean ± standard deviation over seeds, and the verdict: a claim held if every
seed was within every bound. The bounds were written down before the first runs and were not moved after. Changed
after a look at those: `mode_hopping` (its cure), `clipping_pushes_weights`, `rbm_pretraining`, `generator_gradients`
and `vae_blur` train longer, `code_size`, `denoising_field` and `clipping_pushes_weights` have other networks or rates,
and `f_divergences_fit`, `clipping_pushes_weights` and `wasserstein_follows_quality` have more checks. A claim that did
not hold as it is told is not held here. What was trained is `experiment=claims/<name>`, an ordinary preset; figure,
numbers and runs lie in `outputs/claims/<name>/`.

This page is written by `python scripts/claims_page.py` from the newest run of each claim at its full budget.
"""


def gathered(folders: Iterable[Path]) -> dict[str, tuple[Path, dict[str, Any]]]:
    """By claim the folder and the report of the newest whole run at full budget over the usual seeds."""
    found: dict[str, tuple[Path, dict[str, Any]]] = {}
    whole = [folder for folder in folders if (folder / "claim.json").is_file()]
    for folder in sorted(whole, key=lambda folder: (folder / "claim.json").stat().st_mtime):
        report = json.loads((folder / "claim.json").read_text())
        if report["budget"] == 1 and report["seeds"] == SEEDS and report["claim"] in CLAIMS:
            found[report["claim"]] = folder, {key: report[key] for key in KEPT}
    return found


def page(reports: Mapping[str, Mapping[str, Any]]) -> str:
    """The whole page; claims in the order of their list."""
    told = [name for name in CLAIMS if name in reports]
    rows = [f"| [`{name}`](#{name}) | {'held' if reports[name]['held'] else 'not held'} |" for name in told]
    parts = [BEGINNING, "\n".join(["| claim | verdict |", "|---|---|", *rows]) + "\n"]
    parts += [section(reports[name]) for name in told]
    missing = [f"`{name}`" for name in CLAIMS if name not in reports]
    if missing:
        parts.append(f"Not run at full budget yet: {', '.join(missing)}.\n")
    return "\n".join(parts)


def section(report: Mapping[str, Any]) -> str:
    """One claim: statement, source, figure, table, and what was seen."""
    name = report["claim"]
    seeds = ", ".join(map(str, report["seeds"]))
    lines = [f"## {name}", "", f"{report['statement']} *({report['source']})*", "", "```bash"]
    lines += [f"python -m ganlab.claim {name}", "```", "", f"![The figure of {name}](claims/{name}.png)", ""]
    lines += [f"![The same along the runs](claims/{name}.gif)", ""] if report.get("moves") else []
    lines += [f"| what | expected | measured, seeds {seeds} | |", "|---|---|---|---|", *map(row, report["checks"]), ""]
    lines += [report["seen"], ""] if report["seen"] else []
    return "\n".join([*lines, f"**Verdict: {report['verdict']}.**", ""])


def row(check: Mapping[str, Any]) -> str:
    values = ", ".join("no number" if value is None else f"{value:.3g}" for value in check["values"])
    return (
        f"| {escaped(check['what'])} | {escaped(check['expected'])} | {values} | {'yes' if check['holds'] else 'no'} |"
    )


def escaped(text: str) -> str:
    """In a table's cell a bar would begin the next one."""
    return text.replace("|", "\\|")


def main() -> None:
    words = sys.argv[1:]
    file = DOCS / "claims.json"
    reports = json.loads(file.read_text()) if file.exists() else {}
    if words != ["write"]:
        folders = map(Path, words) if words else (path.parent for path in Path("outputs/claims").glob("*/*/claim.json"))
        (DOCS / "claims").mkdir(exist_ok=True)
        for name, (folder, report) in gathered(folders).items():
            reports[name] = report
            # 128 colours are enough for a figure, and a third of the bytes.
            figure = Image.open(folder / "figure.png").convert("RGB").quantize(128, dither=Image.Dither.NONE)
            figure.save(DOCS / "claims" / f"{name}.png", optimize=True)
            for animation in folder.glob("*.gif"):
                shutil.copyfile(animation, DOCS / "claims" / f"{name}.gif")
                report["moves"] = True
        file.write_text(json.dumps(reports, indent=1, ensure_ascii=False) + "\n")
    (DOCS / "claims.md").write_text(page(reports))


if __name__ == "__main__":
    main()
