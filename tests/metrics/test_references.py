"""Real samples are looked at once: what is kept is found again if and only if nothing has changed."""

import io
import logging
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch

from ganlab.metrics.extractors.base import Extracted, Extractor
from ganlab.metrics.references import fingerprint_of, reference_of

SAMPLES = torch.randint(256, (9, 1, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class Linear(Extractor):
    """Counts the images that it has seen."""

    name, resizer, channels = "linear", "none", "as they are"

    def __init__(self, seed=0, resizer="none"):
        super().__init__()
        self.resizer = resizer
        generator = torch.Generator().manual_seed(seed)
        self.weight = torch.nn.Parameter(torch.randn(36, 3, generator=generator))
        self.seen = 0

    def forward(self, images):
        self.seen += len(images)
        features = images.flatten(1).float() @ self.weight
        return Extracted(features, features[:, :2])


def reference(folder, samples=SAMPLES, extractor=None, split="test"):
    return reference_of(samples, None, extractor or Linear(), split=split, cache_dir=folder, batch_size=4)


def files(folder):
    return sorted((folder / "references").iterdir())


def test_the_second_time_nothing_is_computed_and_everything_is_the_same(tmp_path):
    first, extractor = reference(tmp_path), Linear()
    again = reference(tmp_path, extractor=extractor)
    assert extractor.seen == 0
    assert again.observation.features.equal(first.observation.features)
    assert again.observation.logits.equal(first.observation.logits)
    for name in ("mean", "covariance", "factor"):
        assert getattr(again.statistics, name).equal(getattr(first.statistics, name))
    assert again.statistics.count == first.statistics.count == 9
    assert again.fingerprint == first.fingerprint


def test_the_statistics_are_those_of_the_features(tmp_path):
    for _ in range(2):
        found = reference(tmp_path)
        features = (SAMPLES.flatten(1).float() @ Linear().weight).double().detach().numpy()
        assert np.allclose(found.statistics.mean, features.mean(0))
        assert np.allclose(found.statistics.covariance, np.cov(features, rowvar=False))


def changed(row=3):
    other = SAMPLES.clone()
    other[row, 0, 2, 2] ^= 1
    return other


@pytest.mark.parametrize(
    "change",
    [
        {"samples": changed()},
        {"samples": SAMPLES[:8]},
        {"samples": SAMPLES.view(9, 1, 4, 9)},
        {"extractor": Linear(seed=1)},
        {"extractor": Linear(resizer="bilinear")},
        {"split": "train"},
    ],
    ids=["a bit", "count", "shape", "weights", "resizer", "split"],
)
def test_whatever_changes_the_features_finds_no_old_file(tmp_path, change):
    reference(tmp_path)
    extractor = change.setdefault("extractor", Linear())
    before = extractor.seen
    reference(tmp_path, **change)
    assert extractor.seen > before and len(files(tmp_path)) == 2


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "text", "foreign", "incomplete"])
def test_a_damaged_file_is_computed_anew_with_a_warning(tmp_path, caplog, damage):
    whole = reference(tmp_path)
    (path,) = files(tmp_path)
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 4
    elif damage == "cut":
        del content[-200:]
    elif damage == "empty":
        content.clear()
    elif damage == "text":
        content[:] = b"not an archive"
    path.write_bytes(content)
    if damage == "foreign":
        reference(tmp_path, samples=changed())
        other = next(file for file in files(tmp_path) if file != path)
        path.write_bytes(other.read_bytes())
    if damage == "incomplete":
        with np.load(path) as arrays:
            np.savez(path, key=arrays["key"], features=arrays["features"])
    extractor = Linear()
    with caplog.at_level(logging.WARNING):
        mended = reference(tmp_path, extractor=extractor)
    assert extractor.seen == 9
    assert f"the cache file {path} is damaged" in caplog.text
    assert mended.statistics.covariance.equal(whole.statistics.covariance)
    caplog.clear()
    again = Linear()
    reference(tmp_path, extractor=again)
    assert again.seen == 0 and not caplog.records


def test_a_cache_that_cannot_be_written_costs_time_and_not_the_run(tmp_path, caplog):
    (tmp_path / "references").write_text("a file where a folder should be")
    with caplog.at_level(logging.WARNING):
        found = reference(tmp_path)
    assert found.statistics.count == 9
    assert "not kept for the next time" in caplog.text


def test_points_need_no_extractor_and_leave_no_file(tmp_path):
    points = torch.randn(5, 2)
    found = reference_of(points, None, None, split="test", cache_dir=tmp_path)
    assert found.observation.features.equal(points) and found.statistics is None
    assert not list(tmp_path.iterdir())


def test_the_fingerprint_is_of_the_bytes_whatever_holds_them():
    strided = SAMPLES.permute(0, 1, 3, 2).contiguous().permute(0, 1, 3, 2)
    assert not strided.is_contiguous() and fingerprint_of(strided) == fingerprint_of(SAMPLES)
    assert fingerprint_of(changed(8)) != fingerprint_of(SAMPLES)
    assert len(fingerprint_of(SAMPLES)) == 64


def rewritten(path, change, compression=zipfile.ZIP_STORED):
    """A cache file with one member changed: `change(name, content)` gives its new content."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, change(name, content))


def announcing(count):
    """The start of an .npy file of so many numbers."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (count,)})
    return file.getvalue()


def test_a_file_that_announces_more_than_there_is_memory_is_computed_anew(tmp_path, caplog):
    expected = reference(tmp_path)
    (path,) = files(tmp_path)
    rewritten(path, lambda name, old: announcing(10**14) if name == "covariance.npy" else old)
    with caplog.at_level(logging.WARNING):
        found = reference(tmp_path)
    assert "is damaged" in caplog.text
    assert torch.equal(found.observation.features, expected.observation.features)


def test_a_file_that_unpacks_to_more_than_it_is_is_not_unpacked(tmp_path, caplog):
    reference(tmp_path)
    (path,) = files(tmp_path)
    bomb = announcing(25_000_000) + bytes(100_000_000)
    rewritten(path, lambda name, old: bomb if name == "covariance.npy" else old, zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    try:
        with caplog.at_level(logging.WARNING):
            reference(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()
    assert "announces more than it holds" in caplog.text


def test_a_pickle_in_a_cache_file_is_not_run(tmp_path, caplog):
    class Exploit:
        def __reduce__(self):
            return open, (str(tmp_path / "was_here"), "w")

    reference(tmp_path)
    (path,) = files(tmp_path)
    payload = io.BytesIO()
    np.lib.format.write_array(payload, np.array([Exploit()], dtype=object), allow_pickle=True)
    rewritten(path, lambda name, old: payload.getvalue() if name == "mean.npy" else old)
    with caplog.at_level(logging.WARNING):
        reference(tmp_path)
    assert "is damaged" in caplog.text and not (tmp_path / "was_here").exists()
