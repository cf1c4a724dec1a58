import logging
import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.data.folder import held_out_by_hash, held_out_folder, image_files
from ganlab.data.image_source import MappedImages, MemoryImages, to_bytes
from ganlab.errors import DataError


def fill(folder, names, value=None, size=(24, 18)):
    """Images whose bytes tell their place among the names, or all of one `value`."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (value if value is not None else number,) * 3).save(path, format="PNG")


def shown(module, split):
    """The bytes of a split's images, one each."""
    return to_bytes(module.examples(10_000, split).samples)[:, 0, 0, 0].tolist()


@pytest.fixture
def root(tmp_path):
    return tmp_path / "pictures"


def test_every_image_is_in_one_part(loaded, root):
    fill(root, [f"{number:02d}.png" for number in range(40)])
    module = loaded("image_folder", f"root={root}", "batch_size=8", "test_fraction=0.3", "image_size=16")
    train, test = shown(module, "train"), shown(module, "test")
    assert sorted(train + test) == list(range(40))
    assert 5 <= len(test) <= 20
    batch = next(iter(module.train_dataloader()))
    assert batch.samples.shape == (8, 3, 16, 16) and batch.conditions is None
    assert set(to_bytes(batch.samples)[:, 0, 0, 0].tolist()) <= set(train)


def test_any_kind_of_image_side_by_side(loaded, root):
    root.mkdir()
    Image.new("L", (5, 9), 50).save(root / "gray.jpg")
    Image.new("RGB", (900, 30), 50).save(root / "wide.bmp")
    Image.new("RGBA", (33, 33), (0, 0, 0, 0)).save(root / "clear.png")
    Image.new("P", (10, 10), 0).save(root / "palette.gif")
    Image.new("I;16", (12, 12), 50 * 257).save(root / "deep.png")
    Image.new("CMYK", (12, 40), 0).save(root / "print.tif")
    Image.new("RGB", (16, 16), 50).save(root / "UPPER.PNG")
    module = loaded("image_folder", f"root={root}", "test_fraction=0", "batch_size=2", "image_size=32")
    assert len(module.train) == 7 and len(module.test) == 0
    assert module.examples(7).samples.shape == (7, 3, 32, 32)
    assert sorted(to_bytes(module.examples(7).samples)[:, 0, 16, 16].tolist()) == [0, 50, 50, 50, 50, 255, 255]


def test_other_files_hidden_ones_and_endless_links_are_ignored(root):
    fill(root, ["a.png", "sub/b.png", ".hidden.png", ".cache/c.png", "__MACOSX/d.png", "sub/deep/e.PNG"])
    (root / "notes.txt").write_text("x")
    (root / "table.csv").write_text("x")
    (root / "folder.png").mkdir()
    (root / "sub" / "loop").symlink_to(root)
    (root / "broken.png").symlink_to(root / "nowhere.png")
    (root / "linked").symlink_to(root / "sub" / "deep")
    assert image_files(root) == ["a.png", "linked/e.PNG", "sub/b.png", "sub/deep/e.PNG"]


@pytest.mark.parametrize(("channels", "expected"), [(3, (3, 16, 16)), (1, (1, 16, 16))])
def test_channels(loaded, root, channels, expected):
    fill(root, ["a.png", "b.png", "c.png"])
    module = loaded("image_folder", f"root={root}", f"channels={channels}", "image_size=16", "batch_size=1")
    assert next(iter(module.train_dataloader())).samples.shape[1:] == expected


@pytest.fixture
def classes(root):
    """Three classes of ten images each: of 1, 2 and 3."""
    for value, name in enumerate(("cats", "dogs", "owls"), start=1):
        fill(root, [f"{name}/{number}.png" for number in range(8)], value)
        fill(root, [f"{name}/more/{number}.png" for number in range(2)], value)
    return root


@pytest.mark.parametrize("labels", ["auto", "folders"])
def test_sub_folders_are_classes_if_asked(loaded, classes, labels):
    module = loaded("image_folder", f"root={classes}", "num_classes=3", f"labels={labels}", "test_fraction=0.5")
    assert module.condition_names == ["cats", "dogs", "owls"] and module.condition_size == 3
    for split in ("train", "test"):
        samples, conditions, _ = module.examples(30, split)
        assert torch.equal(to_bytes(samples)[:, 0, 0, 0].long(), conditions + 1)
        assert conditions.dtype == torch.int64
    # The first samples are no class's alone.
    assert len(module.examples(8).conditions.unique()) > 1


def test_sub_folders_are_no_classes_by_default(loaded, classes):
    module = loaded("image_folder", f"root={classes}")
    assert module.examples(5).conditions is None and module.condition_names == []
    assert len(module.train) + len(module.test) == 30


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["num_classes=5"],
            r"data\.num_classes=5: data=image_folder has 3 classes \(cats, dogs, owls\); set data\.num_c",
        ),
        (["num_classes=3", "labels=none"], r"data\.labels=none with data\.num_classes=3"),
        (["labels=folders"], r"data\.labels=folders needs data\.num_classes: there are 3 sub-folders"),
    ],
)
def test_labels_that_do_not_fit_are_refused(build, classes, overrides, message):
    with pytest.raises(DataError, match=message):
        build("image_folder", f"root={classes}", *overrides).setup()


def test_an_image_outside_the_classes_is_refused(build, classes):
    fill(classes, ["stray.png"])
    with pytest.raises(DataError, match=r"1 images lie in no class's sub-folder, e\.g\. stray\.png"):
        build("image_folder", f"root={classes}", "num_classes=3").setup()


def test_labels_asked_of_a_flat_folder_are_refused(build, root):
    fill(root, ["a.png", "b.png"])
    with pytest.raises(DataError, match=r"data\.num_classes=2: data=image_folder has no class labels"):
        build("image_folder", f"root={root}", "num_classes=2").setup()


@pytest.mark.parametrize("held_out", ["test", "val", "valid"])
def test_a_division_on_the_disk_is_used(loaded, root, held_out):
    fill(root, [f"train/{kind}/{n}.png" for kind in ("x", "y") for n in range(3)], 10)
    fill(root, [f"{held_out}/{kind}/{n}.png" for kind in ("x", "y") for n in range(2)], 20)
    fill(root, ["elsewhere/z.png"], 30)
    module = loaded("image_folder", f"root={root}", "num_classes=2")
    assert shown(module, "train") == [10] * 6 and shown(module, "test") == [20] * 4
    assert module.condition_names == ["x", "y"]
    assert module.examples(6).conditions.bincount().tolist() == [3, 3]


def test_a_division_needs_both_folders():
    assert held_out_folder(["train/a.png", "other/b.png"]) is None
    assert held_out_folder(["test/a.png", "other/b.png"]) is None
    assert held_out_folder(["train/a.png", "val/b.png", "test/c.png"]) == "test"


def test_images_that_are_added_move_no_others():
    names = [f"{number}.jpg" for number in range(1000)]
    few, many = held_out_by_hash(names[:500], 0.2), held_out_by_hash(names, 0.2)
    assert torch.equal(few, many[:500])
    assert abs(many.float().mean() - 0.2) < 0.05
    for share, count in ((0, 0), (1, 3)):
        assert held_out_by_hash(names[:3], share).sum() == count
    for share in (0.001, 0.999):
        assert 1 <= held_out_by_hash(names[:3], share).sum() <= 2


def test_the_division_does_not_depend_on_where_the_folder_lies(loaded, root, tmp_path):
    fill(root, [f"{number}.png" for number in range(20)])
    shutil.copytree(root, tmp_path / "elsewhere")
    here, there = (loaded("image_folder", f"root={place}") for place in (root, tmp_path / "elsewhere"))
    for split in ("train", "test"):
        assert shown(here, split) == shown(there, split)


def test_a_corrupt_image_is_named(build, root):
    fill(root, ["a.png", "sub/b.png", "c.png"])
    data = (root / "sub" / "b.png").read_bytes()
    (root / "sub" / "b.png").write_bytes(data[:40])
    with pytest.raises(DataError, match=r"sub/b\.png: not a readable image .*data\.on_corrupt=skip"):
        build("image_folder", f"root={root}").prepare_data()


def test_corrupt_images_are_skipped_counted_and_named(build, root, caplog):
    fill(root, [f"{number}.png" for number in range(10)])
    for number in (3, 7):
        (root / f"{number}.png").write_bytes(b"\x89PNG broken")
    module = build("image_folder", f"root={root}", "on_corrupt=skip")
    with caplog.at_level(logging.WARNING):
        module.prepare_data()
        module.setup()
    assert sorted(shown(module, "train") + shown(module, "test")) == [0, 1, 2, 4, 5, 6, 8, 9]
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "2 of 10 images" in record.getMessage()
    assert "3.png" in record.getMessage() and "7.png" in record.getMessage()


@pytest.mark.parametrize("state", ["missing", "empty", "without images", "a file"])
def test_a_folder_without_images_is_refused(build, root, state):
    if state == "a file":
        root.touch()
    elif state != "missing":
        root.mkdir()
    if state == "without images":
        (root / "readme.txt").write_text("x")
    for step in ("prepare_data", "setup"):
        with pytest.raises(DataError, match=rf"data\.root={root}: .*; set data\.root to a folder with images"):
            getattr(build("image_folder", f"root={root}"), step)()


def test_large_sets_stay_on_the_disk(loaded, root, monkeypatch):
    fill(root, [f"{number}.png" for number in range(30)])
    overrides = [f"root={root}", "batch_size=9", "horizontal_flip=true"]
    small = loaded("image_folder", *overrides)
    monkeypatch.setattr("ganlab.data.folder.IN_MEMORY", 100)
    large = loaded("image_folder", *overrides)
    assert isinstance(small.train, MemoryImages) and isinstance(large.train, MappedImages)
    for one, other, _ in zip(small.train_dataloader(), large.train_dataloader(), range(8), strict=False):
        assert torch.equal(one.samples, other.samples)


def test_home_is_expanded(build, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    fill(tmp_path / "pics", ["a.png", "b.png"])
    module = build("image_folder", "root='~/pics'", "cache_dir='~/kept'")
    module.prepare_data()
    assert os.listdir(tmp_path / "kept")


def test_fit_and_background(loaded, root):
    root.mkdir()
    pixels = np.full((10, 30, 3), 200, np.uint8)
    for name in ("a.png", "b.png"):
        Image.fromarray(pixels).save(root / name)
    module = loaded("image_folder", f"root={root}", "fit=pad", "background=black", "image_size=30")
    image = to_bytes(module.examples(1).samples)[0, 0]
    assert image[0, 15] == 0 and image[15, 15] == 200
