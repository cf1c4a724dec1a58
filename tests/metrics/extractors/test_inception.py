import hashlib
import io
import sys

import numpy as np
import pytest
import torch

from ganlab.errors import ConfigError, DataError
from ganlab.metrics.extractors import inception
from ganlab.metrics.extractors.inception import FILE, URL, Inception, hub_file
from ganlab.metrics.frechet import FrechetDistance, GaussianStatistics

NAMES = ["2048", "logits_unbiased"]


def without_weights(architecture):
    """torch-fidelity's network as it is before it loads anything."""

    class Unloaded(architecture):
        def load_state_dict(self, state):
            return None

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    return Unloaded("inception", NAMES, feature_extractor_weights_path=nothing).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def theirs():
    """A network of the right architecture with random weights and random statistics of batch norm."""
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    torch.manual_seed(0)
    network = without_weights(module.FeatureExtractorInceptionV3)
    for name, value in network.state_dict().items():
        if name.endswith("conv.weight"):
            torch.nn.init.kaiming_normal_(value)
        elif name.endswith(("running_mean", "bn.bias")):
            value.normal_(0, 0.1)
    return network


@pytest.fixture(scope="module")
def weights(theirs, tmp_path_factory):
    """The file with their weights, and its SHA-256."""
    path = tmp_path_factory.mktemp("inception") / "random.pth"
    torch.save(theirs.state_dict(), path)
    yield path, hashlib.sha256(path.read_bytes()).hexdigest()
    path.unlink()


@pytest.fixture(scope="module")
def extractor(weights):
    path, sha256 = weights
    return Inception(weights=str(path), sha256=sha256)


@pytest.fixture
def images():
    return torch.randint(0, 256, (2, 3, 20, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def told(kind, **options):
    with pytest.raises(kind) as error:
        Inception(**options)
    assert "\n" not in str(error.value)
    return str(error.value)


# -- with weights ------------------------------------------------------------------------------------------------


def test_features_and_logits_are_torch_fidelitys(extractor, theirs, images):
    features, logits = extractor(images)
    exact_features, exact_logits = theirs(images)
    assert features.shape == (2, 2048) and logits.shape == (2, 1008)
    assert features.std(0).min() >= 0 and features.std(0).max() > 1e-3
    assert torch.allclose(features, exact_features, rtol=1e-4, atol=1e-5)
    assert torch.allclose(logits, exact_logits, rtol=1e-4, atol=1e-5)
    assert (extractor.dimension, extractor.num_classes) == (features.shape[1], logits.shape[1])


def test_gray_is_three_equal_channels_and_nothing_disturbs_it(extractor, images):
    gray = images[:, :1]
    plain = extractor(gray)
    torch.manual_seed(4)
    state = torch.get_rng_state()
    extractor.train()
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
        repeated = extractor(gray.repeat(1, 3, 1, 1))
    assert torch.equal(repeated.features, plain.features) and torch.equal(repeated.logits, plain.logits)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module.training for module in extractor.modules())
    assert not any(parameter.requires_grad for parameter in extractor.parameters())


@pytest.mark.parametrize("channels", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_fid_from_end_to_end(extractor, channels):
    generator = torch.Generator().manual_seed(channels)
    batches = [
        torch.randint(low, 256, (3, channels, 16, 16), dtype=torch.uint8, generator=generator) for low in (0, 120)
    ]
    real, fake = (extractor(batch).features for batch in batches)
    metric = FrechetDistance(GaussianStatistics.of(real))
    metric.update(fake)
    real, fake = real.double().numpy(), fake.double().numpy()
    shift = real.mean(0) - fake.mean(0)
    # Of 3 samples the covariances have rank 2: the root's trace is that of a small matrix.
    first, second = ((rows - rows.mean(0)) / np.sqrt(2) for rows in (real, fake))
    overlap = np.linalg.svd(first @ second.T, compute_uv=False).sum()
    exact = shift @ shift + (first**2).sum() + (second**2).sum() - 2 * overlap
    assert metric.compute().item() == pytest.approx(exact, rel=1e-6)
    assert exact > 0


def test_building_it_leaves_the_random_state_alone(weights, theirs):
    path, sha256 = weights
    torch.manual_seed(4)
    state = torch.get_rng_state()
    torch.set_default_dtype(torch.bfloat16)
    try:
        built = Inception(weights=str(path), sha256=sha256[:8].upper())
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(torch.get_rng_state(), state)
    loaded = built.network.state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in theirs.state_dict().items())
    told = built.description()
    assert told["weights_file_sha256"] == sha256 and told["input_size"] == 299 and "TensorFlow" in told["resizer"]


def test_the_file_in_torch_hubs_folder_is_found(weights, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / FILE).symlink_to(weights[0])
    assert hub_file() == folder / FILE
    monkeypatch.setattr(inception, "SHA256", weights[1][:8])
    assert Inception().file_sha256 == weights[1]


# -- without, or with others -------------------------------------------------------------------------------------


@pytest.fixture
def installed():
    pytest.importorskip("torch_fidelity")


def test_weights_that_are_not_there(installed, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("nothing is downloaded"))
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    line = told(DataError)
    assert f"put {FILE} from {URL} into {folder}, or set metrics.extractor.weights" in line
    assert not folder.exists()
    line = told(DataError, weights=str(tmp_path / "mine.pth"))
    assert f"no weights of InceptionV3 at {tmp_path / 'mine.pth'}" in line


def test_other_bytes_than_the_official_file(weights):
    path, sha256 = weights
    line = told(DataError, weights=str(path))
    assert f"{path}: its SHA-256 should begin with 6726825d and is {sha256}" in line
    assert URL in line and f"metrics.extractor.sha256={sha256[:16]}" in line
    assert "should begin with 0123456789 and is" in told(DataError, weights=str(path), sha256="0123456789")


@pytest.mark.parametrize("sha256", ["", "1234567", "g" * 8, "a" * 65])
def test_a_hash_that_is_none(installed, weights, sha256):
    assert "8 hexadecimal digits" in told(ConfigError, weights=str(weights[0]), sha256=sha256)


def test_a_file_cut_short(weights, tmp_path):
    """As a broken download leaves it: the hash shows it, and if the hash is the user's, so does torch."""
    cut = tmp_path / "cut.pth"
    cut.write_bytes(weights[0].read_bytes()[:1_000_000])
    assert "should begin with" in told(DataError, weights=str(cut), sha256=weights[1])
    sha256 = hashlib.sha256(cut.read_bytes()).hexdigest()
    assert f"{cut}: no weights that torch can load safely" in told(DataError, weights=str(cut), sha256=sha256)


class Evil:
    def __reduce__(self):
        return sys.exit, (7,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Evil(), "no weights that torch can load safely"),
        ([torch.zeros(3)], "holds a list"),
        ({"state_dict": {"fc.weight": torch.zeros(3)}}, "holds a dict"),
        ({3: torch.zeros(3)}, "holds a dict"),
        ({"fc.weight": torch.zeros(10, 2048)}, "another network than torch-fidelity's InceptionV3"),
        ({}, "Missing key"),
    ],
    ids=["code", "list", "nested", "numbered", "foreign", "empty"],
)
def test_files_of_other_things(installed, tmp_path, content, message):
    path = tmp_path / "other.pth"
    torch.save(content, path)
    line = told(DataError, weights=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    assert line.startswith(str(path)) and message in line and len(line) < 500


def test_without_torch_fidelity(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    assert "pip install 'ganlab[fid]'" in told(ConfigError)
