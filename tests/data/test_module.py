from types import SimpleNamespace

import lightning
import pytest
import torch

from ganlab.counting import UpdatePlan
from ganlab.data.image_source import MappedImages, MemoryImages
from ganlab.errors import DataError
from recording import Recorder


def alone_of(world_size, rank=0):
    """What a module asks of a trainer."""
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    return SimpleNamespace(world_size=world_size, global_rank=rank, strategy=strategy)


def test_a_batch_larger_than_the_data_is_refused_with_both_numbers(loaded):
    module = loaded("digits", "batch_size=900")
    with pytest.raises(
        DataError, match=r"data\.batch_size=900: more than the 899 training .* set data\.batch_size=899 or"
    ):
        module.train_dataloader()
    loaded("digits", "batch_size=899").train_dataloader()


def test_the_batch_of_all_processes_counts(loaded):
    module = loaded("digits", "batch_size=300")
    module.trainer = alone_of(3)
    with pytest.raises(DataError) as refused:
        module.train_dataloader()
    message = str(refused.value)
    assert "\n" not in message
    for part in ("data.batch_size=300 on 3 processes takes 900", "the 899 training", "set data.batch_size=299 or less"):
        assert part in message
    module.trainer = alone_of(2)
    module.train_dataloader()
    module.trainer = alone_of(1000)
    with pytest.raises(DataError, match=r"trainer\.devices=899 or less"):
        module.train_dataloader()


def test_endless_data_takes_any_batch(loaded):
    module = loaded("ring", "batch_size=100000")
    module.trainer = alone_of(4, rank=3)
    assert module.train_dataloader().batch(0).samples.shape == (100_000, 2)


@pytest.mark.parametrize(
    ("name", "override", "message"),
    [
        (
            "digits",
            "sample_shape=[3,16,16]",
            r"data\.sample_shape=\[3, 16, 16\]: .* set data\.sample_shape=\[1,16,16\]",
        ),
        ("ring", "sample_shape=[3]", r"data\.sample_shape=\[3\]: .* set data\.sample_shape=\[2\]"),
        ("digits", "condition_size=4", r"data\.condition_size=4: .* set data\.condition_size=10"),
        ("uniform", "condition_size=1", r"data\.condition_size=1: .* set data\.condition_size=0"),
    ],
)
def test_what_differs_from_the_declaration_is_refused(build, name, override, message):
    with pytest.raises(DataError, match=message) as refused:
        build(name, override).setup()
    assert "\n" not in str(refused.value)


def test_setting_up_again_changes_nothing(loaded):
    module = loaded("digits")
    train = module.train
    module.setup("test")
    assert module.train is train


def test_iterations_and_updates_that_the_task_sets(loaded):
    module = loaded("digits", "batch_size=10")
    module.seed, module.update_plan = 7, UpdatePlan(3)
    whole = module.train_dataloader()
    module.start_iteration = 5
    module.trainer = alone_of(2, rank=1)
    module.batch_size = 5
    half = next(iter(module.train_dataloader()))
    expected = whole.batch(5).samples.unflatten(0, (3, 10))[:, 5:].flatten(0, 1)
    assert torch.equal(half.samples, expected)


def test_state_is_empty_and_safe_to_save(loaded, tmp_path):
    """The order follows from seed and iteration alone."""
    module = loaded("digits")
    torch.save(module.state_dict(), tmp_path / "state")
    assert torch.load(tmp_path / "state", weights_only=True) == {}


@pytest.mark.parametrize("name", ["digits", "ring"])
def test_lightning_draws_the_stream(build, name, tmp_path):
    module = build(name, "batch_size=16")
    module.start_iteration = 4
    model = Recorder()
    lightning.Trainer(
        accelerator="cpu",
        max_steps=6,
        max_epochs=-1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        use_distributed_sampler=False,
    ).fit(model, datamodule=module)
    assert len(model.seen) == 6
    for iteration, batch in enumerate(model.seen, start=4):
        expected = module.train_dataloader().batch(iteration)
        assert torch.equal(batch.samples, expected.samples)
        assert torch.equal(batch.conditions, expected.conditions)


@pytest.mark.parametrize(
    ("setting", "mirrored", "size", "cached"),
    [
        ("auto", False, 2**30, True),
        ("auto", False, 2**30 + 1, False),
        ("auto", True, 2**30, False),
        ("never", False, 1, False),
        ("always", True, 2**40, True),
    ],
)
def test_small_sets_go_to_the_accelerator(build, setting, mirrored, size, cached):
    module = build("digits", f"device_cache={setting}", f"horizontal_flip={str(mirrored).lower()}")
    assert module._cached(size) is cached


@pytest.mark.parametrize(("setting", "place"), [("auto", "meta"), ("never", "cpu")])
def test_the_training_images_move_and_the_examples_stay(loaded, setting, place):
    """The meta device stands for an accelerator: it takes tensors and computes nothing."""
    module = loaded("digits", f"device_cache={setting}")
    module.trainer = alone_of(1)
    module.trainer.strategy.root_device = torch.device("meta")
    source = module.train_dataloader().source
    assert source.index_device == torch.device(place)
    assert module.examples(2).samples.device.type == "cpu"
    assert module.train_dataloader().batch(0).samples.device.type == place


@pytest.mark.parametrize(("setting", "kind"), [("auto", MemoryImages), ("never", MappedImages)])
def test_mapped_images_are_sent_by_the_batch_or_kept_there(loaded, celeba_files, monkeypatch, setting, kind):
    monkeypatch.setattr("ganlab.data.folder.IN_MEMORY", 0)
    module = loaded("celeba", f"root={celeba_files}", f"device_cache={setting}", "batch_size=4", "attributes=all")
    module.trainer = alone_of(1)
    module.trainer.strategy.root_device = torch.device("meta")
    stream = module.train_dataloader()
    assert isinstance(stream.source, kind)
    assert stream.batch(0).samples.device.type == "meta"
