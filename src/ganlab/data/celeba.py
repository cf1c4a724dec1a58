"""CelebA: 202,599 aligned faces, 178x218, with 40 attributes."""

import difflib
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ganlab.config.types import Fraction, PositiveInt
from ganlab.data.decode import Preprocessing, image_suffixes
from ganlab.data.download import fetch
from ganlab.data.folder import DecodedData, Parts, held_out_by_hash
from ganlab.errors import DataError

ATTRIBUTES = "list_attr_celeba.txt"
PARTITION = "list_eval_partition.txt"
TRAIN, VALID, TEST = 0, 1, 2


class CelebAData(DecodedData):
    """The centred square of `crop` pixels of each face (178: the full width), scaled to `image_size`.

    `root/celeba` is laid out as by torchvision: `img_align_celeba/*.jpg` and the annotation files. The
    images alone, in `root` or in one of these folders, will do as well: then there are no attributes, and
    a share `test_fraction` is held out. With the partition file the official train and test parts are
    used; the validation part is in neither.

    `attributes`: names, or "all"; a condition then is a vector of 0 and 1 in this order.
    """

    def __init__(
        self,
        *,
        download: bool = False,
        crop: PositiveInt = 178,
        attributes: list[str] | Literal["all"] | None = None,
        test_fraction: Fraction = 0.1,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.download = download
        self.crop = crop
        self.attributes = attributes or []
        self.test_fraction = test_fraction

    @property
    def folder(self) -> Path:
        return self.root / "celeba"

    def preprocessing(self) -> Preprocessing:
        return Preprocessing(self.channels, self.image_size, crop=self.crop, resampling=self.resampling)

    def prepare_data(self) -> None:
        if self.download and self._images() is None:
            fetch(self.name, self._fetch, self._remedy())
        super().prepare_data()

    def files(self) -> tuple[Path, list[str]]:
        folder = self._images()
        if folder is None:
            raise DataError(f"data={self.name}: no images in {self.root}; {self._remedy()}, or set data.download=true")
        names, partition = _image_names(folder), self._partition()
        if partition is not None:
            names = [name for name in names if partition.get(name) in (TRAIN, TEST)]
        if not names:
            raise DataError(f"{folder}: none of its images is in the train or test part of {PARTITION}")
        return folder, names

    def load(self) -> Parts:
        self.verify_classes([])
        names = self.decoded().names
        partition = self._partition()
        if partition is None:
            in_test = held_out_by_hash(names, self.test_fraction)
        else:
            in_test = torch.tensor([partition[name] == TEST for name in names])
        return self.sources(names, in_test, self._attribute_vectors(names))

    def _attribute_vectors(self, names: list[str]) -> Tensor | None:
        """float32 [n, k] of 0 and 1, if attributes are asked for."""
        if not self.attributes:
            return None
        path = self._annotation(ATTRIBUTES)
        if path is None:
            raise DataError(
                f"data.attributes: there is no {ATTRIBUTES}; put it into {self.folder}, or set data.attributes=[]"
            )
        header, rows = read_attributes(path)
        chosen = header if self.attributes == "all" else list(self.attributes)
        for attribute in chosen:
            if attribute not in header:
                near = difflib.get_close_matches(attribute, header, n=3) or header
                raise DataError(f"data.attributes: {path} has no {attribute!r}; nearest: {', '.join(near)}")
        columns = [header.index(attribute) for attribute in chosen]
        without = [name for name in names if name not in rows]
        if without:
            raise DataError(f"{path}: no attributes for {len(without)} images, e.g. {without[0]}")
        self.condition_names = chosen
        return torch.tensor([[float(rows[name][column] > 0) for column in columns] for name in names])

    def _partition(self) -> dict[str, int] | None:
        path = self._annotation(PARTITION)
        return None if path is None else read_partition(path)

    def _annotation(self, name: str) -> Path | None:
        return next((place / name for place in (self.folder, self.root) if (place / name).is_file()), None)

    def _images(self) -> Path | None:
        places = (self.folder / "img_align_celeba", self.folder, self.root / "img_align_celeba", self.root)
        return next((place for place in places if _image_names(place)), None)

    def _remedy(self) -> str:
        return (
            f"put the aligned JPEGs into {self.folder / 'img_align_celeba'}, "
            f"and {ATTRIBUTES} and {PARTITION}, if you have them, into {self.folder}"
        )

    def _fetch(self) -> None:
        # torchvision takes seconds to import, and only a download needs it.
        from torchvision.datasets import CelebA

        CelebA(str(self.root), download=True)


def read_attributes(path: Path) -> tuple[list[str], dict[str, list[int]]]:
    """Attribute names, and for each image -1 or 1 for each of them; raises `DataError`."""
    try:
        _, header, *lines = path.read_text(encoding="utf-8").splitlines()
        names = header.split()
        rows = {name: [int(value) for value in values] for name, *values in map(str.split, filter(None, lines))}
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not CelebA's attribute list ({error}); fetch it anew") from error
    if any(len(values) != len(names) for values in rows.values()):
        raise DataError(f"{path}: a row has not {len(names)} values; fetch it anew")
    return names, rows


def read_partition(path: Path) -> dict[str, int]:
    """0 (train), 1 (validation) or 2 (test) for each image; raises `DataError`."""
    try:
        pairs = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return {name: int(part) for name, part in pairs}
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not CelebA's partition list ({error}); fetch it anew") from error


def _image_names(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    suffixes = image_suffixes()
    names = (entry.name for entry in folder.iterdir())
    return sorted(name for name in names if not name.startswith(".") and Path(name).suffix.lower() in suffixes)
