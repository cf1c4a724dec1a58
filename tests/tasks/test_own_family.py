"""What docs/extending.md says of a loss of one's own: its two files and its command, as they stand there."""

import csv
import re
import shlex
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.fixture
def written(tmp_path):
    """The page's files in a folder, and its command's words."""
    section = PAGE.read_text(encoding="utf-8").split("## A loss\n")[1].split("\n## ")[0]
    code, configuration = re.findall(r"```(?:python|yaml) title=\S+\n(.*?)```", section, re.DOTALL)
    (tmp_path / "margin.py").write_text(code)
    folder = tmp_path / "conf" / "model"
    folder.mkdir(parents=True)
    (folder / "margin.yaml").write_text(configuration)
    command = re.search(r"python -m ganlab (--config-dir .*)", section)
    assert command is not None and len([line for line in code.splitlines() if line.strip()]) <= 12
    return shlex.split(command[1])


TINY = ["trainer.max_iterations=4", "trainer.log_every=2", "hydra.run.dir=run", "metrics.scores=[]"]


@pytest.mark.slow
def test_a_stranger_adds_a_loss_as_the_page_says(ganlab, written, tmp_path):
    done = ganlab(*written, *TINY, several=True, tiny=False)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "run/metrics.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    assert float(last["penalty/r1"]) > 0
    # The margin that was asked for: with scores near 0 each term is near it.
    assert float(last["loss/discriminator_real"]) == pytest.approx(0.5, abs=0.3)


def test_its_keys_are_checked_like_the_projects_own(ganlab, written):
    done = ganlab(*written, "model.marginn=2", several=True, tiny=False)
    assert done.returncode == 2 and "model.marginn=2" in done.stderr and "nearest: model.margin" in done.stderr
    done = ganlab(*written, "model.margin=wide", several=True, tiny=False)
    assert done.returncode == 2 and done.stderr.startswith("model.margin=wide: must be a")
