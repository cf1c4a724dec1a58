"""Every data set of the configuration, shared by one to four processes: no row twice, none left out."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.config.paths import conf_folder
from ganlab.data.source import FiniteSource
from ganlab.data.stream import BatchStream

NAMES = sorted(file.stem for file in (conf_folder() / "data").glob("*.yaml"))
GLOBAL = 12
"""Samples of an update on all processes together: divisible by each number of them."""
WORLDS = (1, 2, 3, 4)
SMALL = {
    "digits": ["image_size=8", "labels_per_class=2"],
    "mnist": ["image_size=28", "labels_per_class=1"],
    "fashion_mnist": ["image_size=28", "labels_per_class=1"],
    "cifar10": ["image_size=16", "labels_per_class=1"],
    "celeba": ["image_size=16"],
    "image_folder": ["image_size=16", "num_classes=2", "labels_per_class=3"],
    "ring": ["labels_per_class=3"],
    "grid": ["labels_per_class=3"],
    "stacked_digits": ["image_size=8", "test_count=9"],
}


@pytest.fixture
def module(request, build):
    """module(name): the data module of that name, loaded from files that are made as needed."""

    def load(name):
        words = list(SMALL.get(name, []))
        if name in ("mnist", "fashion_mnist"):
            title = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}[name]
            words.append(f"root={request.getfixturevalue('mnist_files')(title)[0]}")
        elif name == "cifar10":
            words.append(f"root={request.getfixturevalue('cifar_files')}")
        elif name == "celeba":
            root = request.getfixturevalue("celeba_files")
            # Without it more than a global batch of the faces is for training.
            (root / "celeba" / "list_eval_partition.txt").unlink()
            words.append(f"root={root}")
        elif name == "image_folder":
            words.append(f"root={folder_of_images(request.getfixturevalue('tmp_path') / 'images')}")
        if name not in ("ring", "grid", "uniform", "swiss_roll", "stacked_digits"):
            words.append("horizontal_flip=true")
        made = build(name, *words)
        made.wants_labelled = made.num_classes > 0
        made.prepare_data()
        made.setup("fit")
        return made

    return load


def folder_of_images(folder):
    random = np.random.default_rng(3)
    for number in range(30):
        path = folder / f"class_{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    return folder


def streams_of(module, processes):
    """What the trainer's process of each rank would be given."""
    module.batch_size = GLOBAL // processes
    given = []
    for rank in range(processes):
        strategy = SimpleNamespace(root_device=torch.device("cpu"))
        module.trainer = SimpleNamespace(world_size=processes, global_rank=rank, strategy=strategy)
        given.append(module.train_dataloader())
    return given


def drawn(streams, iteration):
    """The rows and the batches of all processes, one process after the other; no rows of a distribution."""
    rows, batches = [], []
    for stream in streams:
        if isinstance(stream.source, FiniteSource):
            gather = stream.source.gather
            stream.source.gather = lambda asked, gather=gather: (rows.append(asked), gather(asked))[1]
        try:
            batches.append(stream.batch(iteration))
        finally:
            vars(stream.source).pop("gather", None)
    return rows, batches


def joined(batches, field):
    parts = [getattr(batch, field) for batch in batches]
    return None if parts[0] is None else torch.cat(parts)


def assert_shared(shared: list[list[BatchStream]]):
    """`shared`: the streams of each world, the first of them of one process."""
    (alone,), *others = shared
    finite = isinstance(alone.source, FiniteSource)
    iterations = -(-len(alone.source) // GLOBAL) if finite else 3
    for streams in others:
        epoch = []
        for iteration in range(iterations):
            (whole_rows, (whole,)), (rows, parts) = drawn([alone], iteration), drawn(streams, iteration)
            assert [len(part.samples) for part in parts] == [GLOBAL // len(streams)] * len(streams)
            for field in ("samples", "conditions"):
                expected = getattr(whole, field)
                assert expected is None or torch.equal(joined(parts, field), expected)
            assert torch.equal(torch.cat(rows), whole_rows[0]) if finite else len(whole.samples.unique(dim=0)) > 1
            epoch += rows
        if finite:
            count = len(alone.source)
            visited = (torch.cat(epoch) % count)[:count]
            assert visited.sort().values.tolist() == list(range(count))


@pytest.mark.parametrize("name", NAMES)
def test_the_processes_shares_of_an_epoch_are_disjoint_and_complete(module, name):
    data = module(name)
    shared = [streams_of(data, processes) for processes in WORLDS]
    assert shared[0][0].batch(0).samples.shape[0] == GLOBAL
    unlabelled = [[_alone(stream) for stream in streams] for streams in shared]
    assert_shared(unlabelled)
    if data.wants_labelled:
        assert_shared([[stream.labelled for stream in streams] for streams in shared])


def _alone(stream):
    """The stream without the labelled one beside it."""
    stream_alone = BatchStream.__new__(BatchStream)
    vars(stream_alone).update({**vars(stream), "labelled": None})
    return stream_alone
