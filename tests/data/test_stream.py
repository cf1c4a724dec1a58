import random
import time

import numpy as np
import pytest
import torch

from ganlab.counting import UpdatePlan
from ganlab.data.image_source import MappedImages, MemoryImages
from ganlab.data.points import PointDistribution
from ganlab.data.source import PointSet
from ganlab.data.stream import BatchStream, Positions

ROWS = 37


@pytest.fixture
def numbered():
    """A set whose sample i is the number i, of class i % 5."""
    return PointSet(torch.arange(ROWS, dtype=torch.float32).unsqueeze(1), torch.arange(ROWS) % 5)


def noise(count, generator):
    return torch.randn(count, 2, generator=generator), torch.randint(9, (count,), generator=generator)


def visited(stream, iterations):
    return torch.cat([stream.batch(i).samples for i in range(iterations)]).squeeze(1).long()


def test_every_epoch_visits_each_row_once_in_a_new_order(numbered):
    rows = visited(BatchStream(numbered, 8, seed=3), 3 * ROWS)
    epochs = rows[: 8 * ROWS].view(8, ROWS)
    for epoch in epochs:
        assert epoch.sort().values.tolist() == list(range(ROWS))
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 8


def test_conditions_stay_with_their_samples(numbered):
    batch = BatchStream(numbered, 30, plan=UpdatePlan(3)).batch(4)
    assert batch.conditions.dtype == torch.int64
    assert torch.equal(batch.conditions, batch.samples.squeeze(1).long() % 5)


def test_orders_of_different_seeds_differ(numbered):
    assert not torch.equal(visited(BatchStream(numbered, 10, seed=0), 3), visited(BatchStream(numbered, 10, seed=1), 3))


@pytest.mark.parametrize("infinite", [False, True])
@pytest.mark.parametrize("updates", [1, 3])
def test_the_processes_blocks_make_up_the_batches_of_one(numbered, infinite, updates):
    """Two processes at batch 4, update by update, are one process at batch 8; 37 rows end inside a batch."""
    source = PointDistribution(noise) if infinite else numbered
    one = BatchStream(source, 8, seed=5, plan=UpdatePlan(updates))
    two = [BatchStream(source, 4, seed=5, plan=UpdatePlan(updates), rank=rank, world_size=2) for rank in range(2)]
    for iteration in range(12):
        whole = one.batch(iteration)
        halves = [stream.batch(iteration) for stream in two]
        for field in range(2):
            blocks = [half[field].unflatten(0, (updates, 4)) for half in halves]
            assert torch.equal(torch.cat(blocks, dim=1), whole[field].unflatten(0, (updates, 8)))


@pytest.mark.parametrize("infinite", [False, True])
def test_updates_of_an_iteration_take_the_next_batches(numbered, infinite):
    source = PointDistribution(noise) if infinite else numbered
    single, triple = BatchStream(source, 5, seed=1), BatchStream(source, 5, seed=1, plan=UpdatePlan(3))
    for iteration in range(6):
        parts = [single.batch(3 * iteration + update).samples for update in range(3)]
        assert torch.equal(triple.batch(iteration).samples, torch.cat(parts))


@pytest.mark.parametrize("infinite", [False, True])
def test_a_restart_is_as_if_it_had_never_stopped(numbered, infinite):
    source = PointDistribution(noise) if infinite else numbered
    options = {"seed": 2, "plan": UpdatePlan(2), "rank": 1, "world_size": 2}
    through = [batch for batch, _ in zip(BatchStream(source, 7, **options), range(20), strict=False)]
    again = iter(BatchStream(source, 7, start_iteration=11, **options))
    for batch in through[11:]:
        restarted = next(again)
        assert torch.equal(restarted.samples, batch.samples)
        assert torch.equal(restarted.conditions, batch.conditions)


@pytest.mark.parametrize("infinite", [False, True])
def test_a_plan_that_varies_takes_the_batches_of_one_that_does_not(numbered, infinite):
    """Batch after batch, none left out and none twice, whatever iteration they belong to and wherever one begins."""
    source = PointDistribution(noise) if infinite else numbered
    plan = UpdatePlan(2, warmup_iterations=3, warmup_updates=7, warmup_every=5)
    single, varying = BatchStream(source, 5, seed=1), BatchStream(source, 5, seed=1, plan=plan)
    update = 0
    for iteration, batch in zip(range(12), varying, strict=False):
        count = 7 if iteration < 3 or iteration in (5, 10) else 2
        parts = [single.batch(index).samples for index in range(update, update + count)]
        assert torch.equal(batch.samples, torch.cat(parts))
        update += count
        again = next(iter(BatchStream(source, 5, seed=1, plan=plan, start_iteration=iteration)))
        assert torch.equal(again.samples, batch.samples)


@pytest.mark.parametrize("infinite", [False, True])
def test_processes_share_the_batches_of_a_plan_that_varies(numbered, infinite):
    source = PointDistribution(noise) if infinite else numbered
    plan = UpdatePlan(1, warmup_iterations=2, warmup_updates=4)
    one = BatchStream(source, 6, seed=5, plan=plan)
    two = [BatchStream(source, 3, seed=5, plan=plan, rank=rank, world_size=2) for rank in range(2)]
    for iteration in range(5):
        blocks = [stream.batch(iteration).samples.unflatten(0, (-1, 3)) for stream in two]
        assert torch.equal(torch.cat(blocks, dim=1), one.batch(iteration).samples.unflatten(0, (-1, 6)))


def test_an_iteration_may_span_several_epochs(numbered):
    batch = BatchStream(numbered, 37, plan=UpdatePlan(4), seed=1).batch(2)
    assert torch.bincount(batch.samples.squeeze(1).long(), minlength=ROWS).tolist() == [4] * ROWS


def test_a_batch_may_go_round_a_small_set_many_times():
    """Five thousand epochs in a block, from within one: no recursion, and each row as often as any."""
    pair = PointSet(torch.arange(2.0).unsqueeze(1), None)
    samples = BatchStream(pair, 10_001, seed=1).batch(1).samples.squeeze(1)
    assert samples[1:].view(-1, 2).sum(1).eq(1).all() and len(samples) == 10_001
    first = Positions(2, 1)
    assert torch.cat([first.block(10_001 + offset, 1) for offset in range(20)]).equal(samples[:20].long())


def test_it_is_endless_and_has_no_length(numbered):
    assert not hasattr(BatchStream(numbered, 8), "__len__")
    assert BatchStream(numbered, 8).batch(10**9).samples.shape == (8, 1)


def test_no_global_random_state_changes(build):
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    for name, overrides in (("digits", ["horizontal_flip=true"]), ("ring", []), ("stacked_digits", ["test_count=9"])):
        module = build(name, *overrides)
        module.setup()
        stream = iter(module.train_dataloader())
        for _ in range(20):
            next(stream)
        module.examples(5), module.examples(5, "test")
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])
    assert random.getstate() == states[2]


@pytest.fixture
def lopsided():
    """Images whose only bright pixel is on the left, in a row that tells which image it is."""
    images = torch.zeros(16, 1, 16, 16, dtype=torch.uint8)
    images[torch.arange(16), 0, torch.arange(16), 0] = 255
    return images


def test_mirroring_flips_half_of_the_visits(lopsided):
    source = MemoryImages(lopsided, torch.arange(16)).on(torch.device("cpu"), mirrored=True)
    stream = BatchStream(source, 16, seed=0, mirrored=True)
    flipped = []
    for iteration in range(64):
        samples, labels, _ = stream.batch(iteration)
        originals = lopsided[labels].float() / 127.5 - 1
        to_right = samples[torch.arange(16), 0, labels, 15] == 1
        expected = torch.where(to_right[:, None, None, None], originals.flip(3), originals)
        assert torch.equal(samples, expected)
        assert labels.sort().values.tolist() == list(range(16))
        flipped.append(to_right[labels.argsort()])
    share = torch.stack(flipped).float()
    assert abs(share.mean() - 0.5) < 0.06  # 1,024 flips: 4 standard deviations
    assert (share.mean(0) > 0.2).all() and (share.mean(0) < 0.8).all()


def test_mirroring_is_the_same_from_memory_and_from_the_disk(lopsided):
    memory = MemoryImages(lopsided, torch.arange(16)).on(torch.device("cpu"), mirrored=True)
    mapped = MappedImages(lopsided.numpy(), torch.arange(16), torch.arange(16)).on(torch.device("cpu"), mirrored=True)
    for iteration in range(6):
        one, other = (BatchStream(s, 5, seed=4, mirrored=True).batch(iteration) for s in (memory, mapped))
        assert torch.equal(one.samples, other.samples)
        assert torch.equal(one.conditions, other.conditions)


def test_mirroring_does_not_change_the_order():
    plain, mirrored = Positions(50, seed=9), Positions(50, seed=9, mirrored=True)
    assert torch.equal(plain.block(30, 60), mirrored.block(30, 60) % 50)


def test_it_costs_little_beside_the_gather(numbered):
    stream = BatchStream(numbered, 16, seed=0)
    batches, rows = iter(stream), torch.arange(16)

    def best(work):
        times = []
        for _ in range(400):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        return min(times)

    assert best(lambda: next(batches)) - best(lambda: numbered.gather(rows)) < 50e-6


def test_beside_a_labelled_stream_no_other_label_is_known(numbered):
    few = PointSet(torch.tensor([[5.0], [6.0]]), torch.tensor([0, 1]))
    plan = UpdatePlan(1, warmup_iterations=2, warmup_updates=3)
    labelled = BatchStream(few, 4, seed=8, plan=plan)
    both, plain = BatchStream(numbered, 4, plan=plan, labelled=labelled), BatchStream(numbered, 4, plan=plan)
    for iteration in range(4):
        batch = both.batch(iteration)
        assert torch.equal(batch.samples, plain.batch(iteration).samples) and batch.conditions is None
        assert torch.equal(batch.labelled.samples, labelled.batch(iteration).samples)
        assert len(batch.labelled.samples) == len(batch.samples) == (12 if iteration < 2 else 4)
        assert torch.equal(batch.labelled.conditions, batch.labelled.samples.squeeze(1).long() - 5)
        assert plain.batch(iteration).labelled is None
