import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from ganlab.data.digits import digit_images, stratified_split
from ganlab.data.image_source import to_bytes
from ganlab.errors import DataError


@pytest.mark.parametrize("size", [16, 32, 64, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_and_range(loaded, size, channels):
    module = loaded("digits", f"image_size={size}", f"channels={channels}")
    batch = next(iter(module.train_dataloader()))
    assert batch.samples.shape == (64, channels, size, size)
    assert module.sample_shape == [channels, size, size]
    assert batch.samples.dtype == torch.float32
    assert batch.samples.min() == -1 and batch.samples.max() == 1
    assert torch.equal(batch.samples[:, 0], batch.samples[:, -1])
    assert module.condition_names == list("0123456789")


def test_both_halves_together_are_scikit_learns_digits(loaded):
    module = loaded("digits", "image_size=8", "margin=0")
    found = {}
    for split in ("train", "test"):
        samples, labels, _ = module.examples(2000, split)
        for image, label in zip(to_bytes(samples), labels, strict=True):
            found.setdefault((image.numpy().tobytes(), int(label)), []).append(split)
    digits = load_digits()
    images = np.rint(digits.images * 255 / 16).astype(np.uint8)
    assert len(module.train) + len(module.test) == len(images) == 1797
    assert set(found) == {(image.tobytes(), int(label)) for image, label in zip(images, digits.target, strict=True)}


@pytest.mark.parametrize("fraction", [0.5, 0.2])
def test_each_class_is_divided_in_the_same_proportion(fraction):
    labels = torch.from_numpy(load_digits().target)
    train, test = stratified_split(labels, fraction, seed=0)
    assert sorted(train.tolist() + test.tolist()) == list(range(1797))
    held_out = torch.bincount(labels[test], minlength=10)
    assert ((held_out - torch.bincount(labels) * fraction).abs() <= 0.5).all()
    assert not torch.equal(test, stratified_split(labels, fraction, seed=1)[1])


def test_the_split_is_for_ever():
    """Classifiers and reference statistics are made from the training half: it must never move."""
    labels = torch.from_numpy(load_digits().target).long()
    assert stratified_split(labels, 0.5, seed=0)[1][:12].tolist() == [1, 4, 5, 7, 9, 10, 11, 12, 14, 15, 16, 17]


def test_enlarged_as_pillow_enlarges():
    small, _ = digit_images(8)
    large, _ = digit_images(16)
    for row in (0, 100, 1796):
        exact = Image.fromarray(small[row, 0].numpy().astype(np.float32)).resize((16, 16), Image.Resampling.BICUBIC)
        assert np.abs(large[row, 0].numpy() - np.asarray(exact).clip(0, 255)).max() <= 0.51


def test_labels_can_be_left_out(loaded):
    module = loaded("digits", "num_classes=0")
    assert next(iter(module.train_dataloader())).conditions is None
    assert module.condition_size == 0 and module.condition_names == []


def test_another_number_of_classes_is_refused(build):
    with pytest.raises(DataError, match=r"data\.num_classes=7: data=digits has 10 classes .* set data\.num_classes=10"):
        build("digits", "num_classes=7").setup()


def test_no_digits_left_to_train_on_is_refused(build):
    with pytest.raises(DataError, match=r"data\.test_fraction"):
        build("digits", "test_fraction=1").setup()


def test_a_margin_leaves_the_edge_black_and_the_digits_whole(loaded):
    framed = loaded("digits", "image_size=10", "margin=1").examples(50).samples
    bare = loaded("digits", "image_size=8", "margin=0").examples(50).samples
    assert torch.equal(framed[:, :, 1:-1, 1:-1], bare)
    assert (torch.cat([framed[:, :, 0], framed[:, :, -1], framed[..., 0], framed[..., -1]], dim=2) == -1).all()
