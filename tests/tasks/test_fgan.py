"""`model=fgan` from the command line: each divergence on points and images; another name is refused."""

import csv

import pytest
import torch

from ganlab.objectives.f_divergences import DIVERGENCES


def test_an_unknown_divergence_is_refused_with_those_that_there_are(ganlab):
    done = ganlab("model=fgan", "data=ring", "model.divergence=js", tiny=False)
    assert done.returncode == 2
    (line,) = (line for line in done.stderr.splitlines() if "model.divergence" in line)
    assert all(f"'{name}'" in line for name in DIVERGENCES)


DATA = ["ring", "digits", "stacked_digits"]
# One with all data, the others with one each, in turn.
PAIRS = [("kl", data) for data in DATA]
OTHERS = [(name, DATA[turn % len(DATA)]) for turn, name in enumerate(DIVERGENCES) if name != "kl"]
PAIRS += [pytest.param(*pair, marks=pytest.mark.slow) for pair in OTHERS]


@pytest.mark.parametrize(("name", "data"), PAIRS)
def test_each_divergence_trains_on_points_and_images(ganlab, tmp_path, name, data):
    words = ["model=fgan", f"data={data}", f"model.divergence={name}", "data.batch_size=8", "hydra.run.dir=run"]
    words += ["model.generator.width=4", "model.discriminator.width=4", "trainer.threads=1", "trainer.log_every=5"]
    words += ["trainer.max_iterations=10", "trainer.sample_every=10", "callbacks.sample_rows=2", "metrics.scores=[]"]
    done = ganlab(*words, *(["data.image_size=8"] if data != "ring" else []), tiny=False)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["iteration"] for row in rows] == ["5", "10"]
    for row in rows:
        parts = float(row["loss/discriminator_real"]) + float(row["loss/discriminator_fake"])
        assert float(row["divergence/estimate"]) == pytest.approx(-parts, rel=1e-4, abs=1e-5)
    assert (tmp_path / "run" / "samples" / "iteration_000010.png").is_file()
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["iteration"] == 10
