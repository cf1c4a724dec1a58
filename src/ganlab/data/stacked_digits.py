"""Three digits as the red, green and blue of an image: a thousand modes that a classifier can count."""

from typing import Any, Literal

import torch
from torch import Tensor

from ganlab.config.types import PositiveInt
from ganlab.data.batch import Batch
from ganlab.data.digits import DigitsData
from ganlab.data.hashing import stable_seed
from ganlab.data.image_module import ImageDataModule
from ganlab.data.image_source import MemoryImages, to_unit_range
from ganlab.data.mnist import MnistData
from ganlab.data.source import InfiniteSource
from ganlab.errors import DataError

CLASSES = [f"{number:03d}" for number in range(1000)]


class StackedDigits(InfiniteSource):
    """Independent digits in three channels; class = 100 * red + 10 * green + blue.

    `images`: uint8 [n, 1, height, width]; `digits`: int64 [n].
    """

    def __init__(self, images: Tensor, digits: Tensor, *, labelled: bool) -> None:
        self.images = images
        self.digits = digits
        self.labelled = labelled

    @property
    def sample_shape(self) -> list[int]:
        return [3, *self.images.shape[2:]]

    def draw(self, count: int, generator: torch.Generator) -> Batch:
        images, labels = self.draw_bytes(count, generator)
        return Batch(to_unit_range(images), labels)

    def draw_bytes(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """uint8 [count, 3, height, width] and their classes, int64 [count], if labelled."""
        rows = torch.randint(len(self.images), (count * 3,), generator=generator)
        images = self.images.index_select(0, rows).view(count, *self.sample_shape)
        if not self.labelled:
            return images, None
        red, green, blue = self.digits.index_select(0, rows).view(count, 3).unbind(1)
        return images, 100 * red + 10 * green + blue


class StackedDigitsData(ImageDataModule):
    """Endless stacks of the training digits of `source`; `test_count` stacks of its test digits."""

    def __init__(
        self,
        *,
        source: Literal["digits", "mnist"] = "digits",
        root: str = "data",
        download: bool = False,
        test_count: PositiveInt = 10_000,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.test_count = test_count
        single: dict[str, Any] = {
            "name": self.name,
            "batch_size": 1,
            "channels": 1,
            "image_size": self.image_size,
            "sample_shape": [1, self.image_size, self.image_size],
            "num_classes": 10,
            "condition_size": 10,
        }
        self.digits = DigitsData(**single) if source == "digits" else MnistData(root=root, download=download, **single)

    @property
    def extractor(self) -> str | None:
        return "digits"

    @property
    def digit_channels(self) -> bool:
        return True

    def prepare_data(self) -> None:
        self.digits.prepare_data()

    def load(self) -> tuple[StackedDigits, MemoryImages]:
        if self.channels != 3:
            raise DataError(f"data.channels={self.channels}: three digits are stacked as colours; set data.channels=3")
        if self.horizontal_flip:
            raise DataError(
                "data.horizontal_flip=true: digits are not the same mirrored; set data.horizontal_flip=false"
            )
        self.verify_classes(CLASSES)
        train, test = (self._stacked(part) for part in self.digits.load())
        generator = torch.Generator().manual_seed(stable_seed("test", self.name))
        return train, MemoryImages(*test.draw_bytes(self.test_count, generator))

    def _stacked(self, part: MemoryImages) -> StackedDigits:
        assert part.conditions is not None
        return StackedDigits(part.images, part.conditions, labelled=self.num_classes > 0)
