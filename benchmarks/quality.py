"""How good the samples are, over seeds: the median and the worst.

    python benchmarks/quality.py               # the default run, seeds 0, 1, 2
    python benchmarks/quality.py seeds=0,1,2,3,4

Each seed is a run of the command line in a process of its own; the score is read from its results.json.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROWS = {
    "label agreement, python -m ganlab": ([], "metric/label_agreement"),
}


def score(overrides: list[str], tag: str, seed: int) -> tuple[float, float, float]:
    """The score of one run, what real test data scores, and the seconds it took."""
    with tempfile.TemporaryDirectory() as folder:
        words = [*overrides, f"seed={seed}", f"hydra.run.dir={folder}/run", "trainer.progress=false"]
        subprocess.run([sys.executable, "-m", "ganlab", *words], check=True, stdout=subprocess.DEVNULL)
        results = json.loads((Path(folder) / "run" / "results.json").read_text())
    entry = results["scores"][tag]
    return entry["value"], entry["protocol"]["on_real_test"], results["wall_seconds"]


def main() -> None:
    given = [word.partition("=")[2] for word in sys.argv[1:] if word.startswith("seeds=")]
    seeds = [int(seed) for seed in (given[0] if given else "0,1,2").split(",")]
    for name, (overrides, tag) in ROWS.items():
        runs = [score(overrides, tag, seed) for seed in seeds]
        values = [value for value, _, _ in runs]
        print(
            f"{name}: median {statistics.median(values):.3f}, worst {min(values):.3f} over seeds {seeds} "
            f"(real test data: {runs[0][1]:.3f}); {statistics.median(seconds for _, _, seconds in runs):.0f} s a run"
        )


if __name__ == "__main__":
    main()
