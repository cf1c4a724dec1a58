"""Reading checkpoints: damage is seen, strangers are refused, models that differ are told apart."""

import random
import tracemalloc
import zipfile

import pytest
import torch

from ganlab.errors import CheckpointError
from ganlab.tasks.checkpoints import OF_TRAINING, differing_keys, load_checkpoint, verify_same_model, verify_weights

CONTENT = {
    "state_dict": {"w": torch.arange(1000.0)},
    "ganlab": {"format": 1, "version": "0", "config": {"model": {"a": 1}}},
    "iteration": 3,
}


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
    training = dict.fromkeys(OF_TRAINING)
    with pytest.raises(CheckpointError, match=r"differs in model\.generator\.depth, model\.generator\.width$"):
        verify_same_model({**training, "ganlab": {"config": other}}, own, tmp_path)
    verify_same_model({**training, "ganlab": {"config": own}}, own, tmp_path)


def test_weights_alone_cannot_go_on(tmp_path):
    with pytest.raises(CheckpointError, match=r"holds no optimizer_states, lr_schedulers, .*: it cannot go on"):
        verify_same_model({"ganlab": {"config": {}}}, {}, tmp_path / "x.ckpt")


def rewritten(path, change, compression=zipfile.ZIP_STORED):
    """The checkpoint with `change(content)` made of its pickle, as a sound archive."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, change(content) if name.endswith("data.pkl") else content)


def test_a_tensor_that_announces_more_than_the_file_holds_is_refused_in_a_line(saved):
    announced = b"J" + (2**31 - 1).to_bytes(4, "little")
    rewritten(saved, lambda content: content.replace(b"M\xe8\x03", announced))  # 1,000
    with pytest.raises(CheckpointError, match=r"cannot be loaded as plain data \(.*\)$") as refused:
        load_checkpoint(saved)["state_dict"]["w"].sum()
    assert "\n" not in str(refused.value)


def test_a_checkpoint_that_unpacks_to_more_than_it_is_is_not_unpacked(saved):
    with zipfile.ZipFile(saved, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("iteration_000003/data/9", bytes(50_000_000))
    assert saved.stat().st_size < 1_000_000
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match="is damaged"):
            load_checkpoint(saved)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_parts_that_lie_over_one_another_are_refused(saved):
    """An archive may name the same bytes many times."""
    with zipfile.ZipFile(saved, "a") as archive:
        largest = max(archive.infolist(), key=lambda part: part.file_size)
        archive.filelist += [largest] * 1000
        archive._didModify = True
    with pytest.raises(CheckpointError, match="is damaged"):
        load_checkpoint(saved)


def test_flipped_bits_and_lost_ends_load_as_they_were_or_are_refused_in_a_line(saved):
    whole, draw = saved.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(150):
        content = bytearray(whole)
        if draw.random() < 0.8:
            content[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        else:
            del content[draw.randrange(len(whole)) :]
        saved.write_bytes(content)
        try:
            loaded = load_checkpoint(saved)
        except CheckpointError as error:
            refused += 1
            assert str(saved) in str(error) and "\n" not in str(error)
        else:
            assert torch.equal(loaded["state_dict"]["w"], CONTENT["state_dict"]["w"])
            assert (loaded["iteration"], loaded["ganlab"]) == (3, CONTENT["ganlab"])
    assert refused > 100


@pytest.mark.parametrize("iteration", [None, -1, "3", True, 2.5])
def test_one_that_does_not_say_its_iteration(saved, iteration):
    torch.save({**CONTENT, "iteration": iteration}, saved)
    torch.save(CONTENT, saved.with_name("iteration_000002.ckpt"))
    with pytest.raises(CheckpointError, match=r"does not say at which iteration .*iteration_000002\.ckpt: give that"):
        load_checkpoint(saved)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({}, r"bias is absent and not 2 and 1 others"),
        ({"weight": torch.zeros(2, 4), "bias": torch.zeros(2)}, r"weight is 2×4 and not 2×3"),
        ({"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "more": 1}, r"more is int and not absent"),
        ({"weight": torch.zeros(2, 3), "bias": "two"}, r"bias is str and not 2"),
        ([1, 2], r"no weights by their names"),
    ],
)
def test_weights_of_another_model_are_named(saved, weights, said):
    with pytest.raises(CheckpointError, match=f"^{saved}: its weights .*{said}") as refused:
        verify_weights(torch.nn.Linear(3, 2), {"state_dict": weights}, saved)
    assert "\n" not in str(refused.value)


def test_weights_of_the_model_pass(tmp_path):
    model = torch.nn.BatchNorm1d(3)
    verify_weights(model, {"state_dict": model.state_dict()}, tmp_path / "x.ckpt")
