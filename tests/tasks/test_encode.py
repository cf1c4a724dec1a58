"""Codes of whole splits: `python -m ganlab.encode` and what it stands on."""

import json
import zipfile
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from ganlab.data.image_source import MemoryImages
from ganlab.data.points import PointDistribution
from ganlab.data.source import PointSet
from ganlab.errors import ConfigError, OutputError, TrainingError
from ganlab.metrics.references import fingerprint_of
from ganlab.tasks import encode
from ganlab.tasks.building import build_data, build_model
from ganlab.tasks.encoding import write_codes
from ganlab.tasks.features import Features
from ganlab.tasks.rows import Fingerprint, Rows

SMALL = ["model.generator.width=4", "model.discriminator.width=2"]


@pytest.fixture
def encoded(commanded):
    return partial(commanded, encode.main)


@pytest.fixture
def built(settings):
    """built("model=dcgan", …): a model with random weights and used statistics of batch norm, in eval mode."""

    def make(*words):
        model = build_model(settings(*words))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_mean, -0.1, 0.1)
                nn.init.uniform_(module.running_var, 0.5, 2)
                nn.init.uniform_(module.weight, 0.5, 2)
        return model.eval()

    return make


class Squares(nn.Module):
    """A model that encodes: the first `dims` values, squared, plus ten times what it is told as a condition."""

    name, encodes, learns_labels, classifies, iteration = "squares", True, False, False, 7
    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self, shape=(2,), dims=2, condition_size=0):
        super().__init__()
        self.sample_shape, self.dims, self.condition_size, self.told = list(shape), dims, condition_size, []

    def encode(self, samples, condition=None):
        self.told.append(condition)
        codes = samples.flatten(1)[:, : self.dims] ** 2
        return codes if condition is None else codes + 10 * condition.sum(1, keepdim=True)


def data_of(train, test, names=()):
    return SimpleNamespace(train=train, test=test, condition_names=list(names))


# -- features of a discriminator -----------------------------------------------------------------------------------


def pooled_by_hand(maps, cells):
    """Max over equal cells of [n, maps, side, side], by loops."""
    side = maps.shape[2] // cells
    found = np.empty((len(maps), maps.shape[1], cells, cells))
    for row in range(cells):
        for column in range(cells):
            cell = maps[:, :, row * side : (row + 1) * side, column * side : (column + 1) * side]
            found[:, :, row, column] = cell.max(axis=(2, 3))
    return found.reshape(len(maps), -1)


def test_the_papers_features_of_all_convolutions(built):
    model = built("model=dcgan", "data=digits", "data.image_size=32", *SMALL)
    samples = torch.rand(5, 1, 32, 32) * 2 - 1
    maps, by_hand = samples, []
    with torch.no_grad():
        for layer in model.discriminator.layers:
            maps = layer(maps.clone())
            if isinstance(layer, nn.LeakyReLU):
                by_hand.append(maps.numpy().copy())
    assert [made.shape[1:] for made in by_hand] == [(2, 16, 16), (4, 8, 8), (8, 4, 4)]
    found = Features(model)(samples)
    assert found.dtype == torch.float32 and found.shape[1] == 28672 // 128, "28,672 with the paper's width of 256"
    assert np.allclose(found, np.concatenate([pooled_by_hand(made, 4) for made in by_hand], axis=1), atol=1e-6)


def test_the_last_features_are_what_the_score_is_made_of(built):
    model = built("model=dcgan", "data=digits", *SMALL)
    samples = torch.rand(6, 1, 16, 16) * 2 - 1
    features = Features(model, "last")
    assert features.dims == model.discriminator.feature_count
    with torch.no_grad():
        scores = model.discriminator.score(features(samples)).squeeze(1)
    assert torch.allclose(scores, model.score(samples), atol=1e-6)


def test_features_are_each_samples_own_and_the_networks_stay_as_they_were(built):
    model = built("model=dcgan", "data=digits", *SMALL).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    samples = torch.rand(6, 1, 16, 16) * 2 - 1
    features = Features(model)
    whole = features(samples)
    assert torch.allclose(torch.cat([features(part) for part in samples.split(1)]), whole, atol=1e-6)
    assert all(module.training for module in model.discriminator.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("conditioning", ["planes", "embedded", "projection"])
def test_a_conditional_discriminator_is_not_told_the_label(built, conditioning):
    words = ["model=cgan", "data=digits", f"model.discriminator.conditioning={conditioning}", *SMALL]
    model = built(*words)
    samples = torch.rand(4, 1, 16, 16) * 2 - 1
    features = Features(model, "last")
    assert features.description() == {
        "features": "discriminator features",
        "dims": 64,
        "layers": "last",
        "condition": "zeros",
        "trained_with_labels": True,
    }
    with torch.no_grad():
        neutral = model.discriminator.features(samples, torch.zeros(4, 10))
        of_threes = model.discriminator.features(samples, torch.eye(10)[[3] * 4])
    assert torch.allclose(features(samples), neutral, atol=1e-6)
    assert torch.equal(neutral, of_threes) == (conditioning == "projection"), "a projection's features have no label"


@pytest.mark.parametrize(
    ("words", "labelled"),
    [
        (["model=acgan"], True),
        (["model=infogan"], False),
        (["model=semi_supervised_gan"], True),
        (["model=lapgan"], False),
        (["model=gan"], False),
        (["model=wgan_gp"], False),
        (["model=gan", "model.discriminator.norm=spectral"], False),
    ],
)
def test_every_family_has_features(built, words, labelled):
    model = built(*words, "data=digits")
    samples = torch.rand(3, 1, 16, 16) * 2 - 1
    for layers in ("auto", "last"):
        features = Features(model, layers)
        found = features(samples)
        assert found.shape == (3, features.dims) and found.std(0).min() >= 0 and found.std(0).max() > 0
        assert features.description()["condition"] is None
        assert features.description()["trained_with_labels"] is labelled
    verdict = model.observe(samples, torch.zeros(3, model.condition_size) if model.condition_size else None)
    if verdict.features is not None:
        assert torch.allclose(found, verdict.features, atol=1e-6)


def test_maps_smaller_than_the_grid_stay_as_they_are(built):
    """A pyramid's coarser levels have maps of two pixels: doubled, each would count four times."""
    model = built("model=lapgan", "data=digits", "data.image_size=8", "model.levels=2", *SMALL)
    finest, _ = model.discriminator.levels
    sides = []
    hooks = [
        layer.register_forward_hook(lambda *given: sides.append(given[2].shape[1:]))
        for layer in finest.modules()
        if isinstance(layer, nn.LeakyReLU)
    ]
    found = Features(model)
    model.score(torch.zeros(1, 1, 8, 8))
    [hook.remove() for hook in hooks]
    assert found.dims == sum(maps * min(4, side) ** 2 for maps, side, _ in sides[-len(hooks) :])


# -- codes of a model that encodes ------------------------------------------------------------------------------------


def test_codes_are_the_models_own_without_the_label():
    samples = torch.rand(5, 3)
    assert torch.equal(Features(Squares((3,)))(samples), samples[:, :2] ** 2)
    model = Squares((3,), condition_size=4)
    features = Features(model)
    assert torch.equal(features(samples), samples[:, :2] ** 2)
    assert torch.equal(model.told[-1], torch.zeros(5, 4))
    assert features.description() == {
        "features": "codes",
        "dims": 2,
        "condition": "zeros",
        "trained_with_labels": True,
    }


def test_what_has_no_codes_or_diverged_ones():
    with pytest.raises(ConfigError, match=r"layers=last: is for a discriminator, and model=squares has codes"):
        Features(Squares(), "last")
    plain = SimpleNamespace(name="plain", encodes=False)
    with pytest.raises(ConfigError, match="model=plain: has neither codes nor a discriminator"):
        Features(plain)
    plain.discriminator = nn.Linear(2, 1)
    with pytest.raises(ConfigError, match=r"its discriminator, Linear, has no features\(samples, conditions\)"):
        Features(plain)
    features = Features(Squares())
    with pytest.raises(TrainingError, match="codes of model=squares at iteration 7 are not finite"):
        features(torch.tensor([[1.0, torch.nan]]))


# -- rows and files ---------------------------------------------------------------------------------------------------


def test_rows_are_a_splits_own_in_its_order():
    images = torch.randint(0, 256, (7, 1, 2, 2), dtype=torch.uint8)
    labels = torch.arange(7) % 3
    rows = Rows(data_of(None, MemoryImages(images, labels)), "test", 5)
    parts = list(rows.batches(2))
    assert [len(part.samples) for part in parts] == [2, 2, 1] and len(rows) == 5
    assert torch.allclose(torch.cat([part.samples for part in parts]), images[:5].float() / 127.5 - 1, atol=1e-6)
    assert rows.labels.tolist() == [0, 1, 2, 0, 1] == torch.cat([part.conditions for part in parts]).tolist()
    assert torch.equal(rows.at(torch.tensor([3, 0])).conditions, labels[[3, 0]])
    assert len(Rows(data_of(None, MemoryImages(images, labels)), "test", 50)) == 7


def test_rows_of_data_without_end_are_the_same_at_every_look():
    source = PointDistribution(
        lambda count, generator: (torch.randn(count, 2, generator=generator), torch.arange(count))
    )
    rows = Rows(data_of(source, None), "train", None, endless=6)
    assert len(rows) == 6 and rows.labels.tolist() == list(range(6))
    again = Rows(data_of(source, None), "train", 6)
    assert torch.equal(torch.cat([part.samples for part in rows.batches(4)]), again.at(torch.arange(6)).samples)


def test_attributes_are_no_labels():
    rows = Rows(data_of(None, PointSet(torch.rand(4, 2), torch.eye(4))), "test")
    assert rows.labels is None and torch.equal(rows.conditions, torch.eye(4))
    assert Rows(data_of(None, PointSet(torch.rand(4, 2), None)), "test").conditions is None


@pytest.mark.parametrize("images", [True, False])
def test_a_fingerprint_in_parts_is_that_of_the_whole_as_scores_have_it(images):
    bytes_ = torch.randint(0, 256, (7, 1, 3, 3), dtype=torch.uint8)
    points = torch.randn(7, 2)
    whole = fingerprint_of(bytes_ if images else points)
    fingerprint = Fingerprint(7)
    for part in (bytes_.float() / 127.5 - 1 if images else points).split(3):
        fingerprint.update(part)
    assert fingerprint.hexdigest() == whole


def test_codes_are_written_a_batch_at_a_time(tmp_path):
    model = Squares()
    points, labels = torch.randn(10, 2), torch.arange(10) % 3
    told = write_codes(Features(model), Rows(data_of(None, PointSet(points, labels)), "test"), tmp_path, batch=4)
    assert told == {"file": "test.npz", "count": 10, "samples_sha256": fingerprint_of(points)}
    assert zipfile.ZipFile(tmp_path / "test.npz").testzip() is None
    with np.load(tmp_path / "test.npz", allow_pickle=False) as arrays:
        assert {name: array.dtype.str for name, array in arrays.items()} == {
            "codes": "<f4",
            "labels": "<i8",
            "iteration": "<i8",
        }
        assert np.array_equal(arrays["codes"], points.numpy() ** 2)
        assert arrays["labels"].tolist() == labels.tolist() and int(arrays["iteration"]) == 7
    write_codes(Features(model), Rows(data_of(None, PointSet(points, torch.eye(10))), "test"), tmp_path, batch=4)
    with np.load(tmp_path / "test.npz") as arrays:
        assert set(arrays) == {"codes", "conditions", "iteration"} and np.array_equal(arrays["conditions"], np.eye(10))


def test_codes_that_diverge_on_the_way_leave_the_old_file_alone(tmp_path):
    (tmp_path / "test.npz").write_bytes(b"old")
    points = torch.randn(10, 2)
    points[9, 0] = torch.inf
    with pytest.raises(TrainingError):
        write_codes(Features(Squares()), Rows(data_of(None, PointSet(points, None)), "test"), tmp_path, batch=4)
    assert [path.name for path in tmp_path.iterdir()] == ["test.npz"]
    assert (tmp_path / "test.npz").read_bytes() == b"old"


# -- the command ------------------------------------------------------------------------------------------------------


def test_both_splits_of_a_trained_run(ganlab, encoded, tmp_path):
    done = ganlab("model=cgan", *SMALL, "trainer.max_iterations=4", "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    code, out, err = encoded("run=run", "split=both", "batch=100")
    assert code == 0, err
    assert out == "32 numbers a sample, 899 of train, 898 of test: run/codes/001\n"
    folder = tmp_path / "run" / "codes" / "001"
    told = json.loads((folder / "codes.json").read_text())
    assert {key: told[key] for key in ("model", "data", "iteration", "condition", "layers", "dims")} == {
        "model": "cgan",
        "data": "digits",
        "iteration": 4,
        "condition": "zeros",
        "layers": "all",
        "dims": 32,
    }
    assert told["condition_names"] == [str(digit) for digit in range(10)]
    saved = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    settings = saved["ganlab"]["config"]
    model = build_model(settings)
    model.load_state_dict(saved["state_dict"])
    data = build_data(settings, model)
    data.setup()
    for split, source in (("train", data.train), ("test", data.test)):
        assert told["splits"][split]["samples_sha256"] == fingerprint_of(source.images)
        with np.load(folder / f"{split}.npz", allow_pickle=False) as arrays:
            assert arrays["labels"].tolist() == source.conditions.tolist()
            codes = arrays["codes"]
        expected = Features(model)(source.first(10_000).samples)
        assert np.allclose(codes, expected, atol=1e-6) and codes.std(0).max() > 0
    assert all(path.read_bytes() == content for path, content in before.items()), "what the run wrote is as it was"

    code, out, _ = encoded("run=run", "count=7", "layers=last", "out=mine")
    assert (code, out) == (0, "32 numbers a sample, 7 of test: mine\n")
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["codes.json", "test.npz"]
    written = (tmp_path / "mine" / "test.npz").read_bytes()
    code, out, err = encoded("run=run", "out=mine", "split=train")
    assert (code, out, err) == (2, "", "out=mine: holds codes already; give another folder\n")
    code, out, err = encoded("run=run", f"out={300 * 'x'}")
    assert (code, out, err.count("\n")) == (2, "", 1) and "cannot be a path (File name too long)" in err
    assert (tmp_path / "mine" / "test.npz").read_bytes() == written
    code, out, err = encoded("run=run", "root=elsewhere")
    assert (code, out) == (2, "") and err == "root=elsewhere: data=digits is built in and lies in no folder\n"
    code, out, err = encoded("run=run", "checkpoint=3")
    assert (code, out) == (2, "") and err.startswith("checkpoint=3: run has none of that name")
    assert [path.name for path in (tmp_path / "run" / "codes").iterdir()] == ["001"]


def test_an_autoencoders_own_codes(ganlab, encoded, tmp_path):
    words = ["model=ae", "data=digits", "data.image_size=8", "model.latent_dim=4", "metrics.scores=[]"]
    done = ganlab(*words, "trainer.max_iterations=5", "trainer.threads=1", "hydra.run.dir=run", tiny=False)
    assert done.returncode == 0, done.stderr
    code, out, err = encoded("run=run")
    assert (code, err) == (0, "") and out == "4 numbers a sample, 898 of test: run/codes/001\n"
    saved = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    model = build_model(saved["ganlab"]["config"])
    model.load_state_dict(saved["state_dict"])
    data = build_data(saved["ganlab"]["config"], model)
    data.setup()
    with np.load(tmp_path / "run/codes/001/test.npz") as arrays:
        assert np.allclose(arrays["codes"], model.encode(data.test.first(898).samples), atol=1e-6)
    code, out, err = encoded("run=run", "layers=all")
    assert (code, err) == (2, "layers=all: is for a discriminator, and model=ae has codes\n")


def test_points_drawn_without_end(ganlab, encoded, tmp_path):
    words = ["data=ring", "model=gan", "data.test_count=30", "trainer.max_iterations=3", "hydra.run.dir=run"]
    assert ganlab(*words, tiny=False).returncode == 0
    assert encoded("run=run", "split=both", "count=50")[0] == 0
    folder = tmp_path / "run" / "codes" / "001"
    told = json.loads((folder / "codes.json").read_text())
    assert told["layers"] == "last" and [told["splits"][split]["count"] for split in ("train", "test")] == [50, 30]
    code, _, err = encoded("run=run", "layers=all")
    assert code == 2 and err == "layers=all: the discriminator of model=gan has no convolutions; leave layers out\n"


def test_mistakes_are_a_line_each_and_the_usage_names_every_key(refused_by):
    refused = partial(refused_by, encode.main)
    assert refused("run=x", "split=tset", "layers=first", "count=0") == [
        "split=tset: must be 'train', 'test' or 'both'",
        "layers=first: must be 'auto', 'all' or 'last'",
        "count=0: must be greater than 0",
    ]
    assert refused("split=test") == ["run: missing"]
    assert refused("run=nowhere")[0].startswith("run=nowhere: there is no such run")
    for key in encode.EncodeOptions.model_fields:
        assert f"\n  {key} " in encode.USAGE


def test_a_folder_that_cannot_be_made(tmp_path):
    from ganlab.tasks.encoding import _folder

    (tmp_path / "codes").write_text("a file")
    with pytest.raises(OutputError):
        _folder(tmp_path, None)
    assert _folder(tmp_path, str(tmp_path / "new")) == tmp_path / "new"
