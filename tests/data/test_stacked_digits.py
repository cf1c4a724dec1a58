import pytest
import torch

from ganlab.data.stacked_digits import StackedDigits
from ganlab.errors import DataError


def test_the_class_is_the_number_that_the_channels_show():
    """Digit images that are constant: the value tells the digit."""
    digits = torch.arange(10)
    images = (digits * 20).to(torch.uint8).view(10, 1, 1, 1).expand(10, 1, 4, 4).contiguous()
    samples, labels, _ = StackedDigits(images, digits, labelled=True).draw(5000, torch.Generator().manual_seed(0))
    shown = ((samples[:, :, 0, 0] + 1) * 127.5 / 20).round().long()
    assert torch.equal(labels, shown @ torch.tensor([100, 10, 1]))
    assert (samples == samples[:, :, :1, :1]).all()
    # Channels are independent and uniform: 500 expected for each digit in each channel.
    for channel in range(3):
        assert (torch.bincount(shown[:, channel], minlength=10) - 500).abs().max() < 110
    assert len(labels.unique()) > 950  # of 1,000, each missed with probability exp(-5)


@pytest.mark.parametrize("size", [16, 32])
def test_channels_are_digits_of_the_split(loaded, size):
    module = loaded("stacked_digits", f"image_size={size}", "test_count=64", "batch_size=32")
    plain = loaded("digits", f"image_size={size}")
    assert module.condition_size == 1000 and module.condition_names[7] == "007"
    drawn = {"train": next(iter(module.train_dataloader())), "test": module.test.first(64)}
    for split, (samples, labels, _) in drawn.items():
        real, digits, _ = plain.examples(1000, split)
        assert samples.shape[1:] == (3, size, size)
        for channel, power in enumerate((100, 10, 1)):
            nearest = (samples[:, channel].flatten(1)[:, None] - real.flatten(1)).abs().amax(2).min(1)
            assert nearest.values.max() == 0
            assert torch.equal(digits[nearest.indices], labels // power % 10)


def test_from_mnist(loaded, build, mnist_files, tmp_path):
    root, _ = mnist_files()
    module = loaded("stacked_digits", "source=mnist", f"root={root}", "test_count=5")
    assert next(iter(module.train_dataloader())).samples.shape == (128, 3, 32, 32)
    with pytest.raises(DataError, match="data=stacked_digits: no MNIST files"):
        build("stacked_digits", "source=mnist", f"root={tmp_path}/none").prepare_data()


def test_unlabelled_and_wrong_settings(loaded, build):
    assert loaded("stacked_digits", "num_classes=0", "test_count=5").examples(2).conditions is None
    for override, match in (
        ("channels=1", r"set data\.channels=3"),
        ("horizontal_flip=true", r"set data\.horizontal_flip=false"),
        ("num_classes=10", r"data\.num_classes=10: data=stacked_digits has 1000 classes"),
    ):
        with pytest.raises(DataError, match=match):
            build("stacked_digits", override).setup()
