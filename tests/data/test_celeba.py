import shutil

import pytest
import torch
import torchvision
from torchvision import transforms

from ganlab.data.image_source import to_bytes
from ganlab.errors import DataError, OutputError


@pytest.fixture
def torchvisions(celeba_files, monkeypatch):
    """torchvision's own reader of a split, in the usual protocol; told that the checksums are right."""
    monkeypatch.setattr(torchvision.datasets.CelebA, "_check_integrity", lambda self: True)
    steps = [transforms.CenterCrop(178), transforms.Resize(64), transforms.PILToTensor()]
    return lambda split: torchvision.datasets.CelebA(str(celeba_files), split, transform=transforms.Compose(steps))


def matched(images, theirs):
    """For each of our images the index of the same among theirs."""
    references = {theirs[index][0].numpy().tobytes(): index for index in range(len(theirs))}
    return [references[image.numpy().tobytes()] for image in images]


@pytest.mark.parametrize("split", ["train", "test"])
def test_pixels_split_and_attributes_are_torchvisions(loaded, celeba_files, torchvisions, split):
    module = loaded("celeba", f"root={celeba_files}", "attributes=all", "batch_size=4")
    theirs = torchvisions(split)
    samples, conditions, _ = module.examples(100, split)
    order = matched(to_bytes(samples), theirs)
    assert sorted(order) == list(range(len(theirs)))
    assert torch.equal(conditions, theirs.attr[order].float())
    assert module.condition_size == 40 and module.condition_names == theirs.attr_names[:40]


def test_some_attributes_in_the_order_asked(loaded, celeba_files, torchvisions):
    module = loaded("celeba", f"root={celeba_files}", "attributes=[Smiling,Bald,Male]", "batch_size=4")
    batch = next(iter(module.train_dataloader()))
    assert batch.samples.shape == (4, 3, 64, 64)
    assert batch.conditions.shape == (4, 3) and batch.conditions.dtype == torch.float32
    theirs = torchvisions("train")
    columns = [theirs.attr_names.index(name) for name in ("Smiling", "Bald", "Male")]
    order = matched(to_bytes(batch.samples), theirs)
    assert torch.equal(batch.conditions, theirs.attr[order][:, columns].float())
    assert module.condition_names == ["Smiling", "Bald", "Male"]
    assert module.condition_size == 3 and module.num_classes == 0


def test_without_attributes_there_are_no_conditions(loaded, celeba_files):
    module = loaded("celeba", f"root={celeba_files}")
    assert module.examples(3).conditions is None and module.condition_size == 0


def test_size_crop_and_channels(loaded, celeba_files):
    whole = loaded("celeba", f"root={celeba_files}", "image_size=32", "channels=1").examples(4).samples
    assert whole.shape == (4, 1, 32, 32)
    closer = loaded("celeba", f"root={celeba_files}", "image_size=32", "channels=1", "crop=108").examples(4).samples
    assert not torch.equal(whole, closer)


@pytest.mark.parametrize("place", [".", "celeba", "img_align_celeba"])
def test_a_plain_folder_of_its_images(loaded, build, celeba_files, tmp_path, place):
    root = tmp_path / "plain"
    shutil.copytree(celeba_files / "celeba" / "img_align_celeba", root / place)
    module = loaded("celeba", f"root={root}", "test_fraction=0.25")
    assert len(module.train) + len(module.test) == 16
    assert len(module.test) >= 1
    with pytest.raises(DataError, match=r"data\.attributes: there is no list_attr_celeba\.txt; put it into"):
        build("celeba", f"root={root}", "attributes=[Male]").setup()


def test_an_unknown_attribute_is_refused_with_the_nearest(build, celeba_files):
    with pytest.raises(DataError, match=r"no 'Smilling'; nearest: Smiling"):
        build("celeba", f"root={celeba_files}", "attributes=[Smilling]").setup()


def test_classes_are_refused(build, celeba_files):
    with pytest.raises(DataError, match=r"data\.num_classes=10: data=celeba has no class labels"):
        build("celeba", f"root={celeba_files}", "num_classes=10").setup()


def test_missing_images_are_asked_for_in_one_line(build, tmp_path):
    with pytest.raises(DataError) as refused:
        build("celeba", f"root={tmp_path}/none").prepare_data()
    message = str(refused.value)
    assert "\n" not in message and "data.download=true" in message
    assert f"{tmp_path}/none/celeba/img_align_celeba" in message and "list_attr_celeba.txt" in message


def test_a_failed_download_is_one_line(build, tmp_path, monkeypatch):
    def unreachable(self):
        raise RuntimeError("no\nnetwork")

    monkeypatch.setattr(torchvision.datasets.CelebA, "download", unreachable)
    with pytest.raises(DataError, match=r"^data=celeba: the download failed \(no network\); put the aligned"):
        build("celeba", f"root={tmp_path}/none", "download=true").prepare_data()


def test_a_subset_of_the_images_will_do(loaded, celeba_files):
    for number in (3, 16):
        (celeba_files / "celeba" / "img_align_celeba" / f"{number:06d}.jpg").unlink()
    module = loaded("celeba", f"root={celeba_files}", "attributes=all")
    assert (len(module.train), len(module.test)) == (9, 3)


@pytest.mark.parametrize("name", ["list_attr_celeba.txt", "list_eval_partition.txt"])
@pytest.mark.parametrize("content", ["", "16\nA B\n000001.jpg 1 x\n", "2\nA B\n000001.jpg 1\n"])
def test_damaged_annotations_are_named(build, celeba_files, name, content):
    (celeba_files / "celeba" / name).write_text(content)
    with pytest.raises(DataError, match=f"{name}|none of its images is in the train or test part"):
        build("celeba", f"root={celeba_files}", "attributes=all").setup()


def test_a_cache_that_cannot_be_written_is_named(build, celeba_files, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(OutputError, match=r"data\.cache_dir=.*file/cache: cannot be written \(Not a directory\)"):
        build("celeba", f"root={celeba_files}").prepare_data()
