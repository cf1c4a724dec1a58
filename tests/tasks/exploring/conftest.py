"""Explorers of untrained models, and a run of two iterations to explore."""

import pytest
import torch

from ganlab.tasks.building import build_data, build_model
from ganlab.tasks.explore import ExploreOptions
from ganlab.tasks.exploring.explorer import Explorer
from ganlab.tasks.rows import Rows

SMALL = ["data.image_size=8", "model.generator.width=8", "model.discriminator.width=8", "model.latent_dim=6"]


@pytest.fixture
def explorer_of(settings):
    """explorer_of("model=cgan", "data=digits", real=True): of a model with its first weights, and the run's data."""

    def make(*words, real=False):
        chosen = settings(*words, "metrics.scores=[]")
        model = build_model(chosen).eval()
        names, rows = [], {}
        if real:
            data = build_data(chosen, model)
            data.setup()
            rows = {split: Rows(data, split) for split in ("train", "test")}
            names = data.condition_names
        size = chosen["data"]["num_classes"]
        return Explorer(model, names or list(map(str, range(size))), size, rows.get("train"), rows.get("test"))

    return make


@pytest.fixture
def same():
    """Whether two samples are alike but for rounding."""
    return lambda one, other: torch.allclose(one, other, atol=1e-5)


@pytest.fixture
def trained(ganlab, tmp_path):
    """trained("model=cgan"): what explores a run of two iterations."""

    def make(*words):
        done = ganlab(
            "data=digits", "data.image_size=8", "data.batch_size=8", "trainer.max_iterations=2", "trainer.threads=1",
            "metrics.scores=[]", "trainer.sample_every=null", "hydra.run.dir=run", "trainer.progress=false", *words,
            tiny=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return ExploreOptions(run=str(tmp_path / "run"), device="cpu")

    return make
