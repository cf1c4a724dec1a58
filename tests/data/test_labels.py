"""The samples whose labels are known: as many of each class, of the seed's choice, in an order of their own."""

from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch

from ganlab.counting import UpdatePlan
from ganlab.data.hashing import stable_seed, stable_share
from ganlab.data.image_source import MappedImages, MemoryImages
from ganlab.data.labels import PATIENCE, SomeRows, _turns, drawn_with_labels, labelled_rows
from ganlab.data.points import PointDistribution
from ganlab.data.source import PointSet
from ganlab.errors import DataError
from ganlab.tasks.building import build_data
from recording import Recorder

CPU = torch.device("cpu")


def labels_of(counts, seed=0):
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]


def test_of_each_class_the_rows_with_the_smallest_hash_are_chosen():
    labels = labels_of([20, 7, 13])
    chosen = labelled_rows(labels, 5, seed=3).tolist()
    expected = []
    for label in range(3):
        rows = [row for row in range(40) if labels[row] == label]
        expected += sorted(rows, key=lambda row: stable_share(f"labelled/3/{row}"))[:5]
    assert chosen == sorted(expected)


def test_a_smaller_choice_is_part_of_a_larger_one():
    choices = [set(labelled_rows(labels_of([30, 30]), count, seed=1).tolist()) for count in (1, 4, 20, 30)]
    assert all(smaller < larger for smaller, larger in pairwise(choices))
    assert choices[-1] == set(range(60))


def test_over_seeds_every_row_has_the_same_chance():
    """20 rows a class, 5 of them chosen, 400 seeds: each row 100 ± 8.7 times; at 5 standard deviations."""
    times = torch.zeros(40)
    for seed in range(400):
        times[labelled_rows(labels_of([20, 20]), 5, seed)] += 1
    assert times.sum() == 400 * 10
    assert (times - 100).abs().max() < 43 and times.std() > 3


def test_turns_count_those_of_the_same_class_before():
    labels = labels_of([5, 0, 9, 1])
    expected = [sum(int(labels[before] == labels[row]) for before in range(row)) for row in range(15)]
    assert _turns(labels, 4).tolist() == expected


def thirds(count, generator):
    """Class 2 comes once in twenty."""
    labels = torch.randint(20, (count,), generator=generator).clamp_(min=17) - 17
    return torch.rand(count, 2, generator=generator), labels


def test_a_distributions_labelled_set_is_its_first_samples_of_each_class():
    found = drawn_with_labels(PointDistribution(thirds), 60, ["a", "b", "c"], 4, "thirds")
    generator, wanted = torch.Generator().manual_seed(stable_seed("labelled set", 4)), []
    while min([0, 0, 0] if not wanted else [sum(label == own for _, label in wanted) for own in range(3)]) < 60:
        for point, label in zip(*thirds(1024, generator), strict=True):
            if sum(int(label) == own for _, own in wanted) < 60:
                wanted.append((point, int(label)))
    assert found.conditions.tolist() == [label for _, label in wanted]
    assert found.points.equal(torch.stack([point for point, _ in wanted]))
    other = drawn_with_labels(PointDistribution(thirds), 60, ["a", "b", "c"], 5, "thirds")
    assert not other.points.equal(found.points)


def test_a_class_that_never_comes_is_named_in_the_end():
    with pytest.raises(DataError, match=r"data\.labels_per_class=2: of [\d,]+ samples of data=x only 0 .* class d$"):
        drawn_with_labels(PointDistribution(thirds), 2, ["a", "b", "c", "d"], 0, "x")
    assert PATIENCE * 2 * 4 < 5000, "and soon"


def test_some_rows_are_those_rows():
    whole = PointSet(torch.arange(10.0).unsqueeze(1), torch.arange(10) % 3)
    some = SomeRows(whole, torch.tensor([7, 2, 4]))
    assert len(some) == 3 and some.sample_shape == [1] and some.conditions.tolist() == [1, 2, 1]
    batch = some.gather(torch.tensor([2, 0, 2]))
    assert batch.samples.flatten().tolist() == [4, 7, 4] and batch.conditions.tolist() == [1, 1, 1]


@pytest.fixture
def streams(loaded):
    """streams("digits", "labels_per_class=3", seed=1, …): a module that wants labelled batches, and its stream."""

    def make(name, *overrides, seed=0, rank=0, world_size=1, plan=None, device=CPU, wants=True, start=0):
        module = loaded(name, *overrides)
        module.seed, module.wants_labelled, module.start_iteration = seed, wants, start
        module.update_plan = plan or UpdatePlan()
        strategy = SimpleNamespace(root_device=device)
        module.trainer = SimpleNamespace(global_rank=rank, world_size=world_size, strategy=strategy)
        return module, module.train_dataloader()

    return make


def known(stream, iterations=8):
    """The distinct labelled samples of some iterations, sorted, and the labels that come with each."""
    batches = [stream.batch(iteration).labelled for iteration in range(iterations)]
    samples = torch.cat([batch.samples for batch in batches]).flatten(1)
    distinct, place = samples.unique(dim=0, return_inverse=True)
    labels = torch.cat([batch.conditions for batch in batches])
    return distinct, [set(labels[place == row].tolist()) for row in range(len(distinct))]


def test_only_so_many_labels_of_each_class_are_ever_seen_and_they_are_right(streams):
    module, stream = streams("digits", "labels_per_class=3", "batch_size=16")
    distinct, labels = known(stream)
    assert len(distinct) == 30 and sorted(labels, key=min) == [{row // 3} for row in range(30)]
    rows = {
        tuple(image.tolist()): row
        for row, image in enumerate(module.train.gather(torch.arange(899)).samples.flatten(1))
    }
    for image, (label,) in zip(distinct, labels, strict=True):
        assert module.train.conditions[rows[tuple(image.tolist())]] == label


def test_the_unlabelled_stream_is_what_it_was_without_labels(streams):
    plan = UpdatePlan(2)
    _, with_labels = streams("digits", "labels_per_class=3", plan=plan)
    _, plain = streams("digits", wants=False, plan=plan)
    for iteration in (0, 1, 9):
        batch, expected = with_labels.batch(iteration), plain.batch(iteration)
        assert batch.samples.equal(expected.samples) and batch.conditions is None
        assert expected.conditions is not None and expected.labelled is None
        assert batch.labelled.samples.shape == batch.samples.shape and len(batch.labelled.conditions) == 128
        assert batch.labelled.labelled is None


def test_every_epoch_of_the_labelled_visits_each_once(streams):
    """30 rows in batches of 64: a batch holds each twice, and some a third time."""
    _, stream = streams("digits", "labels_per_class=3")
    images = torch.cat([stream.batch(iteration).labelled.samples for iteration in range(15)]).flatten(1)
    place = images.unique(dim=0, return_inverse=True)[1]
    epochs = place.view(32, 30)
    assert all(epoch.sort().values.tolist() == list(range(30)) for epoch in epochs)
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 32


@pytest.mark.parametrize(
    "choice", [("digits", "labels_per_class=2"), ("digits",), ("ring", "labels_per_class=1"), ("ring",)]
)
def test_the_processes_blocks_make_up_the_labelled_batches_of_one_and_a_restart_goes_on(streams, choice):
    plan = UpdatePlan(3)
    one = streams(*choice, "batch_size=8", seed=5, plan=plan)[1]
    two = [streams(*choice, "batch_size=4", seed=5, plan=plan, rank=rank, world_size=2, start=6)[1] for rank in (0, 1)]
    halves = [iter(stream) for stream in two]
    for iteration in range(6, 10):
        whole, parts = one.batch(iteration).labelled, [next(half).labelled for half in halves]
        for field in (0, 1):
            blocks = [part[field].unflatten(0, (3, 4)) for part in parts]
            assert torch.cat(blocks, dim=1).equal(whole[field].unflatten(0, (3, 8)))


@pytest.mark.parametrize("name", ["digits", "ring"])
def test_another_seed_labels_other_samples(streams, name):
    first, again, other = (known(streams(name, "labels_per_class=2", seed=seed)[1])[0] for seed in (0, 0, 1))
    assert first.equal(again) and not first.equal(other)


def test_without_a_number_all_labels_are_known(streams):
    distinct, labels = known(streams("digits", "batch_size=899")[1], 1)
    assert len(distinct) == 899 and sum(len(own) for own in labels) == 899
    module, stream = streams("ring")
    batch = stream.batch(0)
    assert not batch.samples.equal(batch.labelled.samples), "drawn anew, not the unlabelled ones once more"
    nearest = torch.cdist(batch.labelled.samples, module.modes).argmin(1)
    assert nearest.equal(batch.labelled.conditions)


@pytest.mark.parametrize(("name", "classes"), [("ring", 8), ("grid", 25), ("stacked_digits", 1000)])
def test_endless_data_have_a_labelled_set_too(streams, name, classes):
    overrides = ["image_size=8", "test_count=5"] if name == "stacked_digits" else []
    module, stream = streams(name, "labels_per_class=1", f"batch_size={classes}", *overrides)
    distinct, labels = known(stream, 3)
    assert len(distinct) == classes and sorted(labels, key=min) == [{label} for label in range(classes)]
    if name != "stacked_digits":
        nearest = torch.cdist(distinct, module.modes).argmin(1)
        assert nearest.tolist() == [label for (label,) in labels]


def test_labelled_images_are_mirrored_as_the_others_are(streams):
    """Of each of 20 images both sides come, about equally often."""
    plain = known(streams("digits", "labels_per_class=2")[1])[0]
    _, stream = streams("digits", "labels_per_class=2", "horizontal_flip=true")
    flipped = plain.unflatten(1, (1, 16, 16)).flip(3).flatten(1)
    both, labels = known(stream)
    assert both.equal(torch.cat([plain, flipped]).unique(dim=0)) and len(both) == 40
    assert all(len(own) == 1 for own in labels)
    seen = torch.cat([stream.batch(iteration).labelled.samples for iteration in range(40)]).flatten(1)
    share = float((torch.cdist(seen, plain, p=1).min(1).values < 1e-3).float().mean())
    assert abs(share - 0.5) < 0.05  # 2,560 visits: 5 standard deviations


def test_mirrored_rows_are_the_same_from_memory_and_from_the_disk():
    images = torch.randint(256, (12, 1, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    labels, rows = torch.arange(12) % 3, torch.tensor([9, 1, 6])
    sources = [MemoryImages(images, labels), MappedImages(images.numpy(), torch.arange(12), labels)]
    memory, mapped = (SomeRows(source.on(CPU, True), rows, mirrored=True) for source in sources)
    asked = torch.tensor([0, 3, 5, 1])
    expected = torch.stack([images[9], images[9].flip(2), images[6].flip(2), images[1]]).float() / 127.5 - 1
    for source in (memory, mapped):
        batch = source.gather(asked)
        assert (
            batch.samples.allclose(expected, atol=1e-6)
            and batch.conditions.tolist() == [0, 0, 0, 1]
            and len(source) == 3
        )


def test_labelled_images_lie_where_the_others_lie(streams):
    stream = streams("digits", "labels_per_class=2", device=torch.device("meta"))[1]
    assert stream.labelled.source.index_device.type == "meta"
    assert stream.batch(0).labelled.samples.device.type == "meta"


def test_too_many_labels_name_the_class_that_has_fewer(build):
    module = build("digits", "labels_per_class=88")
    with pytest.raises(DataError) as told:
        module.setup()
    assert str(told.value) == (
        "data.labels_per_class=88: class 8 of data=digits has 87 training samples; set data.labels_per_class=87 or less"
    )
    build("digits", "labels_per_class=87").setup()


@pytest.mark.parametrize(
    ("choice", "beginning"),
    [
        (("digits", "num_classes=0"), "labels are learnt: data=digits has no class labels"),
        (("uniform",), "labels are learnt: data=uniform has no class labels"),
        (("ring", "num_classes=0", "labels_per_class=3"), "data.labels_per_class=3: data=ring has no class labels"),
    ],
)
def test_labels_that_are_not_there_are_refused(build, choice, beginning):
    module = build(*choice)
    module.wants_labelled = "labels_per_class=3" not in choice
    with pytest.raises(DataError) as told:
        module.setup()
    assert str(told.value).startswith(beginning) and "\n" not in str(told.value)


@pytest.mark.parametrize("learns", [False, True])
def test_the_model_decides_whether_there_are_labelled_batches(settings, make_gan, learns, monkeypatch):
    model = make_gan()
    monkeypatch.setattr(type(model), "learns_labels", learns)
    data = build_data(settings("model=gan", "data=ring"), model)
    assert (data.train_dataloader().batch(0).labelled is not None) == learns


def test_lightning_hands_the_labelled_over(loaded, fit):
    module = loaded("digits", "labels_per_class=1", "batch_size=4")
    model = Recorder(samples_of=lambda batch: batch.labelled.samples)
    module.wants_labelled = True
    fit(model, module, max_steps=3)
    stream = module.train_dataloader()
    for iteration, batch in enumerate(model.seen):
        expected = stream.batch(iteration)
        assert batch.samples.equal(expected.samples) and batch.conditions is None
        assert batch.labelled.samples.equal(expected.labelled.samples)
        assert batch.labelled.conditions.equal(expected.labelled.conditions)
    assert len(model.seen) == 3
