"""The 1,797 handwritten digits that come with scikit-learn: real data without a download."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from ganlab.config.types import Fraction, NonNegativeInt
from ganlab.data.hashing import stable_share
from ganlab.data.image_module import ImageDataModule, resize, with_channels
from ganlab.data.image_source import MemoryImages
from ganlab.errors import DataError

DIGITS = [str(digit) for digit in range(10)]


class DigitsData(ImageDataModule):
    """Digits 0-9, scaled from 8x8 to `image_size`; a stratified share `test_fraction` is held out.

    The digits touch the edge of their 8x8 frame: `margin` empty pixels around it keep them whole, and apart when shown.
    """

    def __init__(
        self,
        *,
        margin: NonNegativeInt = 1,
        test_fraction: Fraction = 0.5,
        split_seed: NonNegativeInt = 0,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.margin = margin
        self.test_fraction = test_fraction
        self.split_seed = split_seed

    @property
    def extractor(self) -> str | None:
        return "digits"

    def load(self) -> tuple[MemoryImages, MemoryImages]:
        self.verify_classes(DIGITS)
        images, labels = digit_images(self.image_size, self.margin)
        images = with_channels(images, self.channels)
        train, test = stratified_split(labels, self.test_fraction, self.split_seed)
        if not len(train):
            raise DataError(f"data.test_fraction={self.test_fraction}: leaves no digits to train on; set it below 1")
        return (
            MemoryImages(images[train], self.labels(labels[train])),
            MemoryImages(images[test], self.labels(labels[test])),
        )


def digit_images(size: int, margin: int = 0) -> tuple[Tensor, Tensor]:
    """All digits with `margin` black pixels around their 8x8, uint8 [1797, 1, size, size]; labels, int64 [1797]."""
    # Imported here: it takes a second, and only this data set needs it.
    from sklearn.datasets import load_digits

    digits = load_digits()
    ink = torch.from_numpy(digits.images).unsqueeze(1)  # 0…16
    images = ink.mul(255 / 16).round().to(torch.uint8)
    return resize(pad(images, [margin] * 4), size), torch.from_numpy(digits.target).long()


def stratified_split(labels: Tensor, test_fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Rows of the train and the test part; of each class the same share is in the test part.

    The choice is by hash, so that no library's version can change what a classifier or a score has seen.
    """
    shares = torch.tensor([stable_share(f"{seed}/{row}") for row in range(len(labels))], dtype=torch.float64)
    test = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        rows = (labels == label).nonzero().squeeze(1)
        count = round(len(rows) * test_fraction)
        test[rows[shares[rows].argsort()[:count]]] = True
    return (~test).nonzero().squeeze(1), test.nonzero().squeeze(1)
