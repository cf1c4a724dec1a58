"""Reading checkpoints: damage is seen, strangers are refused, models that differ are told apart."""

import pytest
import torch

from ganlab.errors import CheckpointError
from ganlab.tasks.checkpoints import differing_keys, load_checkpoint, verify_same_model

CONTENT = {"state_dict": {"w": torch.arange(1000.0)}, "ganlab": {"config": {"model": {"a": 1}}}, "iteration": 3}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "iteration_000003.ckpt"
    torch.save(CONTENT, path)
    return path


def test_a_good_one_is_read_whole(saved):
    assert torch.equal(load_checkpoint(saved)["state_dict"]["w"], CONTENT["state_dict"]["w"])


@pytest.mark.parametrize("damage", ["flipped bit in a weight", "cut short", "empty"])
def test_damage_is_seen_and_the_newest_good_one_is_named(saved, damage):
    for number in (4, 1_000_000):
        torch.save(CONTENT, saved.with_name(f"iteration_{number:06d}.ckpt"))
    content = bytearray(saved.read_bytes())
    if damage == "flipped bit in a weight":
        # torch.load itself takes such a file without a word.
        place = content.index(torch.tensor([500.0]).numpy().tobytes())
        content[place] ^= 1
        saved.write_bytes(content)
        torch.load(saved, weights_only=True)
    else:
        saved.write_bytes(content[: len(content) // 2] if damage == "cut short" else b"")
    with pytest.raises(CheckpointError, match=r"is damaged; the newest good one is .*iteration_1000000\.ckpt"):
        load_checkpoint(saved)


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path):
    class Exploit:
        def __reduce__(self):
            return (open, (str(tmp_path / "was_here"), "w"))

    path = tmp_path / "stranger.ckpt"
    torch.save({**CONTENT, "extra": Exploit()}, path)
    with pytest.raises(CheckpointError, match="cannot be loaded as plain data"):
        load_checkpoint(path)
    assert not (tmp_path / "was_here").exists()


def test_a_file_of_another_program_is_refused(tmp_path):
    path = tmp_path / "other.ckpt"
    torch.save({"state_dict": {}}, path)
    with pytest.raises(CheckpointError, match="was not written by ganlab"):
        load_checkpoint(path)


def test_differing_keys_are_named_in_full(tmp_path):
    own = {"model": {"a": 1, "generator": {"width": 8}, "recommended": {"adam": 1}}}
    other = {"model": {"a": 1, "generator": {"width": 16, "depth": 2}, "recommended": {"adam": 2}}}
    assert differing_keys(own, other) == [
        "model.generator.depth",
        "model.generator.width",
        "model.recommended.adam",
    ]
    with pytest.raises(CheckpointError, match=r"differs in model\.generator\.depth, model\.generator\.width$"):
        verify_same_model({"ganlab": {"config": other}}, own, tmp_path)
    verify_same_model({"ganlab": {"config": own}}, own, tmp_path)
