"""Tiny data sets in the true formats on the disk, as fixtures."""

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def write_idx(path: Path, array: np.ndarray, compressed: bool) -> None:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    data = header + array.astype(np.uint8).tobytes()
    if compressed:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(data))
    else:
        path.write_bytes(data)


@pytest.fixture
def mnist_files(tmp_path):
    """mnist_files(title, compressed): writes 30 + 20 images; returns the root and the arrays."""

    def write(title="MNIST", compressed=False):
        folder = tmp_path / "files" / title / "raw"
        folder.mkdir(parents=True)
        random = np.random.default_rng(0)
        arrays = {}
        for part, count in (("train", 30), ("t10k", 20)):
            images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
            labels = (np.arange(count) % 10).astype(np.uint8)
            write_idx(folder / f"{part}-images-idx3-ubyte", images, compressed)
            write_idx(folder / f"{part}-labels-idx1-ubyte", labels, compressed)
            arrays[part] = (images, labels)
        return folder.parents[1], arrays

    return write


@pytest.fixture
def cifar_files(tmp_path):
    """A root with five training batches of 12 images and a test batch, as CIFAR-10's python version has them."""
    folder = tmp_path / "files" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)
    for number, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        batch = {
            "batch_label": f"batch {number}",
            "labels": random.permutation(np.arange(12) % 10).tolist(),
            "data": random.integers(0, 256, (12, 3072), dtype=np.uint8),
            "filenames": [f"{number}_{row}.png" for row in range(12)],
        }
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names, "num_vis": 3072}, protocol=2))
    return folder.parent


CELEBA_ATTRIBUTES = (
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair "
    "Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones Male "
    "Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks "
    "Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace "
    "Wearing_Necktie Young"
)


def picture(random: np.random.Generator, size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    """Smooth colours, so that JPEG keeps them."""
    coarse = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).convert(mode)


@pytest.fixture
def celeba_files(tmp_path):
    """A root with 16 faces: 10 to train, 2 to validate, 4 to test, and all five annotation files."""
    folder = tmp_path / "files" / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    random = np.random.default_rng(2)
    names = [f"{number:06d}.jpg" for number in range(1, 17)]
    for name in names:
        picture(random, (178, 218)).save(folder / "img_align_celeba" / name, quality=92)
    parts = [0] * 10 + [1] * 2 + [2] * 4
    attributes = random.choice([-1, 1], (16, 40))
    rows = [f"{name} " + " ".join(f"{value:2d}" for value in row) for name, row in zip(names, attributes, strict=True)]
    lines = {
        "list_attr_celeba.txt": ["16", CELEBA_ATTRIBUTES + " ", *rows],
        "list_eval_partition.txt": [f"{name} {part}" for name, part in zip(names, parts, strict=True)],
        "identity_CelebA.txt": [f"{name} {number * 7 + 1}" for number, name in enumerate(names)],
        "list_bbox_celeba.txt": [
            "16",
            "image_id x_1 y_1 width height",
            *(f"{name}    95  71  226  313" for name in names),
        ],
        "list_landmarks_align_celeba.txt": [
            "16",
            "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y",
            *(f"{name} 69  109  106  113   77  142   73  152  108  154" for name in names),
        ],
    }
    for file, content in lines.items():
        (folder / file).write_text("\n".join(content) + "\n")
    return folder.parent
