import gzip
import tracemalloc

import numpy as np
import pytest
import torch
import torchvision

from ganlab.data.image_source import to_bytes
from ganlab.data.mnist import read_idx
from ganlab.errors import DataError


def all_bytes(module, split):
    samples, labels, _ = module.examples(10_000, split)
    return to_bytes(samples), labels


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(("name", "title"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
def test_reads_the_official_files(loaded, mnist_files, name, title, compressed):
    root, arrays = mnist_files(title, compressed)
    module = loaded(name, f"root={root}", "batch_size=16")
    for split, part in (("train", "train"), ("test", "t10k")):
        images, labels = all_bytes(module, split)
        assert images.shape[1:] == (1, 32, 32)
        assert np.array_equal(images[:, 0, 2:-2, 2:-2].numpy(), arrays[part][0])
        assert images.long().sum() == arrays[part][0].sum()  # the margin is black
        assert np.array_equal(labels.numpy(), arrays[part][1])
    assert next(iter(module.train_dataloader())).samples.shape == (16, 1, 32, 32)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_agrees_with_torchvision(loaded, mnist_files, name):
    title = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}[name]
    root, _ = mnist_files(title)
    theirs = getattr(torchvision.datasets, title)(str(root), train=False)
    module = loaded(name, f"root={root}", "image_size=28")
    images, labels = all_bytes(module, "test")
    assert torch.equal(images[:, 0], theirs.data)
    assert torch.equal(labels, theirs.targets)
    if name == "fashion_mnist":
        assert module.condition_names == theirs.classes


def test_other_sizes_are_scaled_with_the_margin(loaded, mnist_files):
    root, _ = mnist_files()
    size_32 = loaded("mnist", f"root={root}").examples(5).samples
    size_64 = loaded("mnist", f"root={root}", "image_size=64", "channels=3").examples(5).samples
    assert size_64.shape == (5, 3, 64, 64)
    assert torch.equal(size_64[:, 0], size_64[:, 2])
    assert (size_64[:, 0].unfold(1, 2, 2).unfold(2, 2, 2).mean((3, 4)) - size_32[:, 0]).abs().mean() < 0.15


def test_missing_files_are_named_with_their_place(build, mnist_files, tmp_path):
    for step in ("prepare_data", "setup"):
        with pytest.raises(DataError) as refused:
            getattr(build("mnist", f"root={tmp_path}/none"), step)()
        message = str(refused.value)
        assert "\n" not in message
        for part in ("data=mnist", f"{tmp_path}/none/MNIST/raw", "train-images-idx3-ubyte", "data.download=true"):
            assert part in message
    root, _ = mnist_files()
    (root / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"put t10k-labels-idx1-ubyte there \(or"):
        build("mnist", f"root={root}").setup()


def test_damaged_files_are_named(build, mnist_files):
    root, _ = mnist_files()
    path = root / "MNIST" / "raw" / "train-images-idx3-ubyte"
    whole = path.read_bytes()
    for damaged, reason in ((whole[:-1], "truncated"), (b"<html>", "not an idx file"), (b"", "not an idx file")):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=f"{path}: {reason}"):
            build("mnist", f"root={root}").setup()
    path.unlink()
    path.with_name(path.name + ".gz").write_bytes(b"\x1f\x8b\x08 not gzip")
    with pytest.raises(DataError, match="cannot be read"):
        build("mnist", f"root={root}").setup()


def test_labels_that_cannot_be_are_refused(build, mnist_files):
    root, _ = mnist_files()
    path = root / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x0c")
    with pytest.raises(DataError, match="train labels reach 12"):
        build("mnist", f"root={root}").setup()
    path.write_bytes(b"\0\0\x08\x01" + (29).to_bytes(4, "big") + bytes(29))
    with pytest.raises(DataError, match="do not fit together"):
        build("mnist", f"root={root}").setup()


def test_a_download_fetches_once(build, mnist_files, tmp_path, monkeypatch):
    calls = []

    def download(self):
        calls.append(self.raw_folder)
        mnist_files()

    monkeypatch.setattr(torchvision.datasets.MNIST, "download", download)
    for _ in range(2):
        module = build("mnist", f"root={tmp_path}/files", "download=true")
        module.prepare_data()
        module.setup()
    assert len(module.train) == 30
    assert calls == [str(tmp_path / "files" / "MNIST" / "raw")]


def test_a_failed_download_is_one_line(build, tmp_path, monkeypatch):
    def unreachable(*arguments, **options):
        raise OSError("Name or service not known")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    for name in ("mnist", "cifar10"):
        with pytest.raises(DataError) as refused:
            build(name, f"root={tmp_path}/none", "download=true").prepare_data()
        message = str(refused.value)
        assert "\n" not in message
        assert f"data={name}: the download failed" in message and "Name or service not known" in message
        assert "by hand" in message


def idx(shape, content):
    return b"\0\0\x08" + bytes([len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape) + content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (idx([2, 28, 28], bytes(2 * 28 * 28 + 100_000_000)), "longer than it announces"),
        (idx([2**31, 2**31], bytes(100)), "announces .* bytes, more than the 1,073,741,824 that are read"),
        (idx([2**29], bytes(100)), "truncated"),
        (idx([3] * 255, b""), "announces"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_no_more_is_unpacked_than_a_file_announces(tmp_path, content, said, suffix):
    path = tmp_path / f"train-images-idx3-ubyte{suffix}"
    path.write_bytes(gzip.compress(content) if suffix else content)
    del content
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=f"{path}: {said}"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()
