import pickle
import tarfile
import time

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from ganlab.data.cifar import read_batch
from ganlab.data.image_source import to_bytes
from ganlab.errors import DataError


def test_agrees_with_torchvision(loaded, cifar_files, monkeypatch):
    """torchvision asks for the official files' checksums, and is told that they are right."""
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda path, md5=None: True)
    module = loaded("cifar10", f"root={cifar_files}", "batch_size=32")
    for split, train in (("train", True), ("test", False)):
        theirs = torchvision.datasets.CIFAR10(str(cifar_files), train=train)
        samples, labels, _ = module.examples(100, split)
        assert np.array_equal(to_bytes(samples).permute(0, 2, 3, 1).numpy(), theirs.data)
        assert labels.tolist() == theirs.targets
    assert module.condition_names == theirs.classes
    assert next(iter(module.train_dataloader())).samples.shape == (32, 3, 32, 32)


def test_gray_is_pillows_luminance_and_other_sizes_are_scaled(loaded, cifar_files):
    colour = to_bytes(loaded("cifar10", f"root={cifar_files}").examples(3).samples)
    gray = to_bytes(loaded("cifar10", f"root={cifar_files}", "channels=1").examples(3).samples)
    for one, other in zip(colour, gray, strict=True):
        expected = np.asarray(Image.fromarray(one.permute(1, 2, 0).numpy()).convert("L"))
        assert np.abs(other[0].numpy().astype(int) - expected).max() <= 1
    assert loaded("cifar10", f"root={cifar_files}", "image_size=16").examples(3).samples.shape == (3, 3, 16, 16)


def test_missing_files_are_named_with_their_place(build, cifar_files):
    (cifar_files / "cifar-10-batches-py" / "data_batch_3").unlink()
    with pytest.raises(DataError) as refused:
        build("cifar10", f"root={cifar_files}").prepare_data()
    message = str(refused.value)
    assert "put data_batch_3 there" in message and "cifar-10-batches-py" in message and "\n" not in message


class Malice:
    def __reduce__(self):
        return (exec, ("import pathlib; pathlib.Path('ran').touch()",))


@pytest.mark.parametrize("content", [b"", b"garbage", pickle.dumps([1, 2]), pickle.dumps({"data": Malice()})])
def test_damaged_and_malicious_batches_are_named_and_not_run(build, cifar_files, content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = cifar_files / "cifar-10-batches-py" / "data_batch_2"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"{path}: not a CIFAR-10 batch"):
        build("cifar10", f"root={cifar_files}").setup()
    assert not (tmp_path / "ran").exists()


def test_batches_that_do_not_fit_are_named(build, cifar_files):
    path = cifar_files / "cifar-10-batches-py" / "test_batch"
    images = np.zeros((4, 3072), np.uint8)
    for batch in ({"data": images, "labels": [1, 2, 3]}, {"data": images, "labels": [1, 2, 3, 10]}):
        for protocol in (2, 5):
            path.write_bytes(pickle.dumps(batch, protocol=protocol))
            with pytest.raises(DataError, match="do not fit"):
                build("cifar10", f"root={cifar_files}").setup()


def test_batches_of_any_pickle_protocol_are_read(loaded, cifar_files):
    path = cifar_files / "cifar-10-batches-py" / "test_batch"
    images = np.arange(2 * 3072, dtype=np.uint8).reshape(2, 3072)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps({"data": images, "labels": [3, 9]}, protocol=protocol))
        samples, labels, _ = loaded("cifar10", f"root={cifar_files}").examples(5, "test")
        assert torch.equal(to_bytes(samples).flatten(1), torch.from_numpy(images))
        assert labels.tolist() == [3, 9]


class Announcing:
    """Pickles as an array of so many bytes, and holds none of them."""

    def __init__(self, *shape):
        self.shape = shape

    def __reduce__(self):
        return np.ndarray, (self.shape, np.dtype("u1"))


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({"data": Announcing(2**20, 3072), "labels": [1]}, protocol=2),
        pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": Announcing(2**33)}, protocol=2),
        # a place in the memory of what was read that a C unpickler would make room for: 32 GiB
        b"\x80\x02}r\xff\xff\xff\xff.",
    ],
    ids=["images", "labels", "memo"],
)
def test_what_announces_more_than_it_holds_is_refused(cifar_files, content):
    path = cifar_files / "cifar-10-batches-py" / "test_batch"
    path.write_bytes(content)
    began = time.process_time()
    with pytest.raises(DataError, match="not a CIFAR-10 batch"):
        read_batch(path)
    assert time.process_time() - began < 2


def test_an_archive_of_a_strangers_is_not_unpacked(build, tmp_path, monkeypatch):
    """torchvision asks for the checksum of the official one first, and fetches that if it is another."""

    def unreachable(*arguments, **options):
        raise OSError("Name or service not known")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "payload").write_text("x")
    with tarfile.open(root / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "payload", arcname="../escaped")
        archive.add(tmp_path / "payload", arcname="cifar-10-batches-py/data_batch_1")
    with pytest.raises(DataError, match="the download failed"):
        build("cifar10", f"root={root}", "download=true").prepare_data()
    assert not (tmp_path / "escaped").exists() and not (root / "cifar-10-batches-py").exists()
