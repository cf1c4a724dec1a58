"""The examples of docs/extending.md do what the page says of them; `make docs-check` runs their commands."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
TITLED = re.compile(r'```\w+ title="(\S+)"\n(.*?)```', re.DOTALL)


@pytest.fixture(scope="module")
def files():
    """From name to text: what the page has the reader write."""
    return dict(TITLED.findall(PAGE.read_text(encoding="utf-8")))


@pytest.fixture
def defined(files):
    """defined("edges.py"): the names that a file of the page makes."""

    def names(name):
        made = {"__name__": name.removesuffix(".py")}
        exec(compile(files[name], name, "exec"), made)
        return SimpleNamespace(**made)

    return names


def test_the_price_is_on_covariances_between_coordinates(defined):
    family = defined("decorrelated.py").DecorrelatedAE
    codes = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)).cumsum(1)
    (price,) = family.terms(SimpleNamespace(decorrelation=2.0), SimpleNamespace(codes=codes)).values()
    covariance = np.cov(codes.numpy().T, bias=True)
    expected = 2 * (np.square(covariance).sum() - np.square(np.diag(covariance)).sum())
    assert expected > 1 and float(price) == pytest.approx(expected, rel=1e-4)


def test_the_family_trains_and_logs_its_price(ganlab, files, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("decorrelated.py", "conf/model/decorrelated_ae.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(files[name])
    words = ["model=decorrelated_ae", "model/coders=mlp", "data=ring", "model.latent_dim=2", "trainer.max_iterations=2"]
    done = ganlab(
        "--config-dir", "conf", *words, "trainer.log_every=1", "hydra.run.dir=run", "metrics.scores=[]", tiny=False
    )
    assert done.returncode == 0, done.stderr
    header, first, *_ = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    row = dict(zip(header.split(","), map(float, first.split(",")), strict=True))
    assert row["loss/autoencoder"] == pytest.approx(row["loss/reconstruction"] + row["loss/decorrelation"], rel=1e-5)


def test_the_generator_makes_samples_of_the_declared_shape(defined):
    network = defined("residual.py").ResidualGenerator(5, 2, sample_shape=[1, 8, 8], width=16)
    samples = network(torch.randn(3, 5), torch.eye(2)[[0, 1, 1]])
    assert samples.shape == (3, 1, 8, 8) and samples.abs().max() <= 1
    assert defined("residual.py").ResidualGenerator(5, 0, sample_shape=[2])(torch.randn(3, 5)).shape == (3, 2)


def test_the_stripes_lie_as_their_class_says(defined, files):
    node = yaml.safe_load(files["conf/data/stripes.yaml"])
    assert node.pop("_target_") == "stripes.StripesData"
    node |= {"image_size": 8, "count": 50, "condition_size": 2, "sample_shape": [1, 8, 8]}
    data = defined("stripes.py").StripesData(**node)
    data.setup()
    assert (len(data.train), len(data.test)) == (40, 10) and data.condition_names == ["across", "along"]
    images, labels, *_ = data.examples(40)
    assert {float(value) for value in images.unique()} == {-1.0, 1.0} and set(labels.tolist()) == {0, 1}
    across, along = images[labels == 0], images[labels == 1]
    assert (across == across[..., :1]).all() and (along == along[..., :1, :]).all()


def test_edges_are_where_the_pixels_change(defined):
    images = torch.zeros(1, 1, 8, 8)
    images[..., 4:] = 0.5  # one edge, between the columns 3 and 4
    features = defined("edges.py").Edges()(images).view(2, 4, 4)
    # Of 7 differences a row, in windows 0-1, 1-3, 3-5, 5-6: that of index 3 lies in the second and in the third one.
    expected = torch.tensor([0, 0.5 / 3, 0.5 / 3, 0]).expand(4, 4)
    assert torch.allclose(features[0], expected) and (features[1] == 0).all()


def test_ink_is_the_mean_brightness(defined):
    logged = {}
    logger = SimpleNamespace(log_metrics=lambda values, step: logged.update({step: values}))
    model = SimpleNamespace(iteration=50, sample=lambda count, condition, noise: torch.full((count, 1, 4, 4), -0.5))
    batch = SimpleNamespace(samples=torch.ones(3, 1, 4, 4), conditions=None)
    callback = defined("ink.py").Ink(every=50)
    callback.on_train_batch_end(SimpleNamespace(loggers=[logger]), model, None, batch, 0)
    model.iteration = 51
    callback.on_train_batch_end(SimpleNamespace(loggers=[logger]), model, None, batch, 0)
    assert logged == {50: {"ink/generated": 0.25, "ink/real": 1.0}}
