"""What classes can be read from the codes of each family, over seeds, beside raw pixels and PCA: one table.

    python benchmarks/codes.py                                 # all families on 8×8 digits, three seeds
    python benchmarks/codes.py seeds=0 keep=outputs/quality    # takes runs that benchmarks/quality.py has kept

Each run is made by the command line, and read by `python -m ganlab.probe`. The numbers are the median over the seeds
and the range. The samples and labels are the same in every row, so the standard error of a single accuracy (898 test
digits: about 0.007) is on top of the range: a difference below both says nothing. Any other word goes to every run.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from quality import ROWS, run

DIGITS = "data.image_size=8 data.margin=0"
FAMILIES = {
    **{name: ROWS[name].words for name in ("ae_8", "denoising", "contractive", "stacked_300", "deep_300", "vae_8")},
    "sparse_8x8": f"experiment=digits_sparse model.latent_dim=128 {DIGITS}",
    "dcgan_8x8": f"experiment=digits_dcgan {DIGITS}",
}
"""Words of each family's runs, by the name under which they are kept."""
COLUMNS = {"linear_probe": "linear probe", "knn": "5-NN", "few_labels": "10 labels a class"}
OPTIONS = {"keep": "", "seeds": "0,1,2"}


def probed(folder: Path) -> list[dict[str, Any]]:
    """The rows that `ganlab.probe` writes of a run: baselines, the network untrained, the run."""
    before = set(folder.glob("probes/*/probes.json"))
    command = [sys.executable, "-m", "ganlab.probe", f"run={folder}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (written,) = set(folder.glob("probes/*/probes.json")) - before
    return json.loads(written.read_text())["rows"]


def told(rows: list[dict[str, Any]]) -> str:
    """One line of the table: the same features in several seeds."""
    cells = []
    for column in COLUMNS:
        values = [row[column]["value"] for row in rows]
        spread = f"{min(values):.3f}–{max(values):.3f}" if len(set(values)) > 1 else ""
        cells.append(f"{statistics.median(values):.3f} {spread:11}")
    return f"  {rows[0]['dims']:6,}   " + "   ".join(cells)


def main() -> None:
    given = [word.partition("=") for word in sys.argv[1:]]
    options = OPTIONS | {key: value for key, _, value in given if key in OPTIONS}
    others = ["".join(word) for word in given if word[0] not in OPTIONS]
    with tempfile.TemporaryDirectory() as spare:
        kept = Path(options["keep"] or spare).absolute()
        print(f"{'':24}  dims   " + "   ".join(f"{title:17}" for title in COLUMNS.values()))
        known: set[str] = set()
        for name, words in FAMILIES.items():
            rows: dict[str, list[dict[str, Any]]] = {}
            for seed in options["seeds"].split(","):
                own = [*words.split(), f"seed={seed}", "trainer.progress=false", *others]
                for row in probed(run(kept / name / f"seed_{seed}", own)["folder"]):
                    rows.setdefault(row["features"], []).append(row)
            for features, of_seeds in rows.items():
                if features not in known:  # raw pixels and PCA of a length are the same beside every run
                    print(f"{features:24}{told(of_seeds)}", flush=True)
                known.add(features)


if __name__ == "__main__":
    main()
