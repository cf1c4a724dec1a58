"""How good the samples are, over seeds: the median and the worst of each score, beside what real samples score.

    python benchmarks/quality.py               # the default run, seeds 0, 1, 2
    python benchmarks/quality.py seeds=0,1,2,3,4

Each seed is a run of the command line in a process of its own; its scores are read from its results.json.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SCORES = ["label_agreement", "fd_digits", "precision", "recall", "auth_pct"]


def results_of(seed: int) -> dict[str, Any]:
    """results.json of a default run."""
    with tempfile.TemporaryDirectory() as folder:
        words = [f"seed={seed}", f"hydra.run.dir={folder}/run", "trainer.progress=false"]
        subprocess.run([sys.executable, "-m", "ganlab", *words], check=True, stdout=subprocess.DEVNULL)
        return json.loads((Path(folder) / "run" / "results.json").read_text())


def main() -> None:
    given = [word.partition("=")[2] for word in sys.argv[1:] if word.startswith("seeds=")]
    seeds = [int(seed) for seed in (given[0] if given else "0,1,2").split(",")]
    runs = [results_of(seed) for seed in seeds]
    seconds = statistics.median(run["wall_seconds"] for run in runs)
    print(f"python -m ganlab, seeds {seeds}, {seconds:.0f} s a run")
    for name in SCORES:
        scores = [run["scores"][f"metric/{name}"] for run in runs]
        values = [score["value"] for score in scores]
        worst = min(values) if scores[0]["better"] == "higher" else max(values)
        median, real = statistics.median(values), scores[0]["real"]
        print(f"{name:16} median {median:.3g}, worst {worst:.3g} (real samples {real:.3g})")


if __name__ == "__main__":
    main()
