"""`python -m ganlab.augment`: new samples near given ones, by way of their codes."""

import json
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from ganlab.data.source import PointSet
from ganlab.errors import DataError, TrainingError
from ganlab.metrics.references import fingerprint_of
from ganlab.tasks import augment
from ganlab.tasks.augmenting import chosen_partners, chosen_rows, offspring_of, picture_of, posterior
from ganlab.tasks.building import build_data, build_model
from ganlab.tasks.command import parse
from ganlab.tasks.rows import Rows

AE = ["model=ae", "data=digits", "data.image_size=8", "data.batch_size=32", "model.latent_dim=4", "metrics.scores=[]"]
AE += ["trainer.max_iterations=30", "trainer.threads=1", "hydra.run.dir=run"]


class Doubling(nn.Module):
    def forward(self, samples):
        return torch.cat([2 * samples, 2 * samples.abs().log()], dim=1)


class Halving(nn.Module):
    """Codes are twice the values, plus 100 times the class it is told; decoding undoes that. Of its encoder's
    distribution the deviation is a value's magnitude."""

    name, encodes, iteration, device = "halving", True, 3, torch.device("cpu")

    def __init__(self, condition_size=0, shape=(-1,)):
        super().__init__()
        self.condition_size, self.shape = condition_size, shape
        self.autoencoder = SimpleNamespace(encoder=Doubling())

    def encode(self, samples, condition=None):
        codes = self.autoencoder.encoder(samples.flatten(1)).chunk(2, dim=1)[0]
        return codes + (0 if condition is None else 100 * condition[:, None])

    def decode(self, codes, condition=None):
        return (codes - (0 if condition is None else 100 * condition[:, None])).unflatten(1, self.shape) / 2


def rows_of(points, labels=None):
    return Rows(SimpleNamespace(train=PointSet(points, labels), test=None), "train")


def options(*words):
    return parse(augment.AugmentOptions, ["run=x", *words])


def points(count=40, seed=0):
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed)) * torch.tensor([1.0, 4.0, 0.0])


@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_noise_has_the_spread_of_the_codes_in_each_coordinate(spread):
    given = points()
    made = offspring_of(Halving(), rows_of(given), options("count=8000", "each=200", f"spread={spread}", "batch=999"))
    moved = made.samples - given[made.rows]
    expected = spread * given.std(0, correction=0)
    assert torch.allclose(moved.std(0), expected, rtol=0.03) and expected[2] == 0
    assert moved.mean(0).abs().max() < 4 * expected.max() / 8000**0.5
    kinship = np.corrcoef((moved[:, :2] / expected[:2]).T.numpy())[0, 1]
    assert abs(kinship) < 0.05, "each coordinate has noise of its own"
    assert torch.allclose(made.codes, 2 * made.samples, atol=1e-6)


def test_the_posteriors_own_deviation():
    given = points()[:, :2]
    made = offspring_of(Halving(), rows_of(given), options("count=20000", "each=500", "method=posterior"))
    moved = made.codes - 2 * given[made.rows]
    for row in range(40):
        assert torch.allclose(moved[made.rows == row].std(0), given[row].abs(), rtol=0.15)


@pytest.mark.parametrize("binarise", ["none", "threshold"])
def test_the_posterior_of_a_vae_is_the_models_own(settings, binarise):
    words = ["data=digits", "data.image_size=8", "model.latent_dim=3", f"model.binarise={binarise}"]
    model = build_model(settings("model=vae", *words)).eval()
    samples = torch.rand(6, 1, 8, 8) * 2 - 1
    values = (samples + 1) / 2
    expected = model.posterior((values > 0.5).float() if binarise == "threshold" else values, None)
    mean, log_variance = posterior(model, samples, None)
    assert torch.equal(mean, model.encode(samples)) and not mean.requires_grad
    assert torch.allclose(mean, expected[0], atol=1e-6) and torch.allclose(log_variance, expected[1], atol=1e-6)
    assert not model.autoencoder.encoder._forward_hooks


def nearest_by_loops(codes, labels, row, count):
    others = [i for i in range(len(codes)) if i != row and (labels is None or labels[i] == labels[row])]
    return sorted(others, key=lambda i: float(((codes[i] - codes[row]) ** 2).sum()))[:count]


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("neighbours", [1, 4])
def test_partners_are_near_and_of_the_same_class(labelled, neighbours):
    codes, labels = points(), torch.arange(40) % 3 if labelled else None
    rows = torch.arange(40).repeat(25)
    found = chosen_partners(codes, labels, rows, neighbours, torch.Generator().manual_seed(1))
    for row in range(40):
        expected = nearest_by_loops(codes, labels, row, neighbours)
        assert set(found[rows == row].tolist()) == set(expected), "all of them come, and no other"


def test_fewer_neighbours_than_asked_for_and_none_at_all():
    codes, labels = points(5), torch.tensor([0, 0, 0, 1, 1])
    found = chosen_partners(codes, labels, torch.arange(5), 10, torch.Generator())
    assert found[3:].tolist() == [4, 3] and set(found[:3].tolist()) <= {0, 1, 2}
    with pytest.raises(DataError, match="class 7 has a single sample: there is no neighbour"):
        chosen_partners(codes, torch.tensor([0, 0, 0, 0, 7]), torch.tensor([4]), 10, torch.Generator())


def test_a_copy_of_the_original_may_be_a_partner_but_not_itself():
    codes = torch.zeros(4, 2)
    found = chosen_partners(codes, None, torch.arange(4).repeat(50), 3, torch.Generator().manual_seed(0))
    assert (found != torch.arange(4).repeat(50)).all() and len(set(found[::4].tolist())) == 3


@pytest.mark.parametrize(("method", "way"), [("interpolate", 0.25), ("extrapolate", -0.25)])
def test_on_the_way_to_a_neighbour_or_away_from_it(method, way):
    given, labels = points(), torch.arange(40) % 2
    made = offspring_of(Halving(), rows_of(given, labels), options("count=30", f"method={method}", "spread=0.25"))
    assert (labels[made.partners] == labels[made.rows]).all() and (made.partners != made.rows).all()
    assert torch.allclose(made.samples, given[made.rows] + way * (given[made.partners] - given[made.rows]), atol=1e-5)


def test_originals_come_in_turn_and_none_again_before_all_have():
    rows = chosen_rows(5, 23, 2, torch.Generator().manual_seed(0))
    pairs = rows[:22].unflatten(0, (-1, 2))
    assert len(rows) == 23 and (pairs[:, 0] == pairs[:, 1]).all()
    firsts = rows[::2].tolist()
    assert sorted(firsts[:5]) == sorted(firsts[5:10]) == list(range(5)) and firsts[:5] != firsts[5:10]


def test_a_conditional_model_is_told_each_originals_class():
    given, labels = points(12), torch.arange(12) % 3
    model = Halving(condition_size=3)
    made = offspring_of(model, rows_of(given, labels), options("count=24", "spread=0", "batch=5"))
    assert torch.allclose(made.samples, given[made.rows], atol=1e-4)
    assert torch.allclose(made.codes, 2 * given[made.rows] + 100 * labels[made.rows, None])
    assert torch.allclose(made.kept, given[made.rows[::4]], atol=1e-4)


def test_the_seed_decides_and_the_batch_does_not():
    given = points()
    first, same, other = (
        offspring_of(Halving(), rows_of(given), options("count=20", *words)).samples
        for words in (["seed=1"], ["seed=1", "batch=3"], ["seed=2"])
    )
    assert torch.equal(first, same) and not torch.allclose(first, other)
    with pytest.raises(TrainingError, match="codes of model=halving at iteration 3 are not finite"):
        offspring_of(Halving(), rows_of(given * torch.inf), options())


def test_points_are_drawn_in_the_plane_and_images_beside_their_originals():
    flat = rows_of(points()[:, :2])
    made = offspring_of(Halving(), flat, options("count=10"))
    assert picture_of(flat, made, 4, []).width > 400
    images = rows_of(torch.linspace(-1, 1, 6).view(6, 1, 1, 1).expand(6, 1, 4, 4).contiguous())
    for count, shown in ((11, 2), (12, 3), (3, 1)):
        made = offspring_of(Halving(shape=(1, 4, 4)), images, options(f"count={count}", "spread=0"))
        pixels = np.asarray(picture_of(images, made, 4, []))[10:-10, 10:-10, 0]
        assert pixels.shape[1] >= (2 + min(4, count)) * 64 and pixels.shape[0] >= shown * 64
        of_first = pixels[:64, : (2 + min(4, count)) * 66 - 2]
        gray = round(float(images.at(made.rows[:1]).samples[0, 0, 0, 0]) * 127.5 + 127.5)
        assert (np.abs(of_first[:, [32, 98, 164]].astype(int) - gray) <= 1).all(), "moved by nothing, all are alike"


@pytest.fixture
def augmented(commanded):
    return partial(commanded, augment.main)


def test_a_trained_autoencoder(ganlab, augmented, tmp_path):
    done = ganlab(*AE, tiny=False)
    assert done.returncode == 0, done.stderr
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    code, out, err = augmented("run=run", "count=22", "each=3", "seed=5")
    assert (code, err) == (0, "") and out == "22 samples near 8 originals: run/augmented/001\n"
    folder = tmp_path / "run" / "augmented" / "001"
    assert Image.open(folder / "augmented.png").width > 300

    saved = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    model = build_model(saved["ganlab"]["config"])
    model.load_state_dict(saved["state_dict"])
    data = build_data(saved["ganlab"]["config"], model)
    data.setup()
    with np.load(folder / "augmented.npz", allow_pickle=False) as file:
        arrays = {name: torch.from_numpy(array) for name, array in file.items()}
    assert {name: list(array.shape) for name, array in arrays.items()} == {
        "samples": [22, 1, 8, 8],
        "rows": [22],
        "codes": [22, 4],
        "labels": [22],
    }
    assert torch.equal(arrays["labels"], data.train.conditions[arrays["rows"]])
    assert torch.allclose(arrays["samples"], model.decode(arrays["codes"]), atol=1e-6)
    codes = model.encode(data.train.first(10_000).samples)
    steps = (arrays["codes"] - codes[arrays["rows"]]) / codes.std(0, correction=0)
    assert 0.35 < steps.square().mean().sqrt() < 0.65
    told = json.loads((folder / "augmented.json").read_text())
    assert told["originals"] == {
        "split": "train",
        "count": 899,
        "samples_sha256": fingerprint_of(data.train.images),
    }
    assert (told["method"], told["spread"], told["seed"], told["iteration"]) == ("noise", 0.5, 5, 30)
    assert all(path.read_bytes() == content for path, content in before.items()), "what the run wrote is as it was"

    code, out, err = augmented("run=run", "method=interpolate", "split=test", "count=6")
    assert code == 0, err
    with np.load(tmp_path / "run/augmented/002/augmented.npz") as file:
        labels = data.test.conditions.numpy()
        assert (labels[file["partners"]] == labels[file["rows"]]).all() and file["samples"].shape[0] == 6
    code, out, err = augmented("run=run", "method=posterior")
    assert (code, out) == (2, "")
    assert err.startswith("method=posterior: model=ae has one code a sample") and len(err.splitlines()) == 1
    assert sorted(path.name for path in (tmp_path / "run/augmented").iterdir()) == ["001", "002"]


def test_a_model_without_an_encoder_is_refused_in_a_line(ganlab, augmented, tmp_path):
    assert ganlab("trainer.max_iterations=2", "hydra.run.dir=run").returncode == 0
    code, out, err = augmented("run=run")
    assert (code, out) == (2, "") and len(err.splitlines()) == 1
    assert err.startswith("run=run: model=gan has no encoder") and "model=ae" in err
    assert not (tmp_path / "run/augmented").exists()


def test_mistakes_are_a_line_each_and_the_usage_names_every_key(refused_by):
    refused = partial(refused_by, augment.main)
    assert refused("run=x", "method=nosie", "spread=-1", "each=0") == [
        "each=0: must be greater than 0",
        "method=nosie: must be 'noise', 'interpolate', 'extrapolate' or 'posterior'",
        "spread=-1: must be greater than or equal to 0",
    ]
    assert refused("count=3") == ["run: missing"]
    for key in augment.AugmentOptions.model_fields:
        assert f"\n  {key} " in augment.USAGE
    assert options("method=posterior").distance == 1 and options("method=posterior", "spread=0").distance == 0
