"""`model=lapgan` from the command line: levels, ways to train them, colours, labels; and what it refuses."""

import csv

import pytest
import torch
from PIL import Image

SMALL = ["model=lapgan", "data.batch_size=4", "model.generator.width=4", "model.discriminator.width=4"]
SMALL += ["model.generator.coarsest_width=4", "model.discriminator.coarsest_width=4", "hydra.run.dir=run"]
SMALL += ["trainer.threads=1", "trainer.max_iterations=12", "trainer.log_every=3", "trainer.sample_every=12"]
SMALL += ["callbacks.sample_rows=2", "metrics.scores=[]"]


def logged(folder):
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def levels_in(row):
    return [level for level in range(4) if row.get(f"loss/generator_level_{level}")]


@pytest.mark.parametrize(
    ("levels", "train_levels"), [(1, "together"), (2, "together"), (3, "together"), (2, "in_turn"), (3, "in_turn")]
)
def test_digits_at_any_number_of_levels(ganlab, tmp_path, levels, train_levels):
    words = ["data=digits", f"model.levels={levels}", f"model.train_levels={train_levels}"]
    done = ganlab(*SMALL, *words, tiny=False)
    assert done.returncode == 0, done.stderr
    rows = logged(tmp_path / "run")
    assert [row["iteration"] for row in rows] == ["3", "6", "9", "12"]
    # In turn, 12 iterations are 6 and 6, or 4, 4 and 4: those that are logged fall so.
    turns = {2: [[1], [1], [0], [0]], 3: [[2], [1], [0], [0]]}
    every = [[]] * 4 if levels == 1 else [list(range(levels))] * 4
    expected = turns[levels] if train_levels == "in_turn" and levels > 1 else every
    assert [levels_in(row) for row in rows] == expected
    for row in rows:
        if levels > 1:
            parts = sum(float(row[f"loss/generator_level_{level}"]) for level in levels_in(row))
            assert float(row["loss/generator"]) == pytest.approx(parts, rel=1e-5)
    saved = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert saved["iteration"] == 12
    generators = {name.split(".")[2] for name in saved["state_dict"] if name.startswith("generator.levels.")}
    assert generators == {str(level) for level in range(levels)}
    assert (tmp_path / "run/samples/iteration_000012.png").is_file()


@pytest.mark.parametrize(("data", "size"), [("stacked_digits", 32), ("digits", 64)])
def test_larger_images_and_colours(ganlab, tmp_path, data, size):
    done = ganlab(*SMALL, f"data={data}", f"data.image_size={size}", "model.levels=3", tiny=False)
    assert done.returncode == 0, done.stderr
    picture = Image.open(tmp_path / "run/samples/iteration_000012.png").convert("RGB")
    assert min(picture.size) > size
    assert len(logged(tmp_path / "run")) == 4


def test_a_run_that_was_stopped_within_a_levels_turn_goes_on_as_if_it_had_not_been(ganlab, tmp_path):
    words = [*SMALL, "data=digits", "model.condition_size=${data.condition_size}", "model.train_levels=in_turn"]
    whole = ganlab(*words, "hydra.run.dir=whole", tiny=False)
    assert whole.returncode == 0, whole.stderr
    stop = "callbacks.extra=[{_target_: provoking.SignalAt, iteration: 8, name: SIGTERM}]"
    assert ganlab(*words, stop, tiny=False).returncode == 143
    resumed = ganlab("resume=run", "trust=true", tiny=False)
    assert resumed.returncode == 0, resumed.stderr
    one, other = (torch.load(tmp_path / f"{run}/checkpoints/last.ckpt", weights_only=True) for run in ("whole", "run"))
    assert one["iteration"] == other["iteration"] == 12
    assert any("condition" in name for name in one["state_dict"])
    for name, tensor in one["state_dict"].items():
        assert torch.equal(tensor, other["state_dict"][name]), name


REFUSED = [
    (["data=ring"], "sample_shape=[2]: a Laplacian pyramid is made of images"),
    (["data=digits", "model.levels=6"], "model.levels=6: each level halves the size, and of 16 pixels 1 to 5 levels"),
    (["data=digits", "data.image_size=20", "model.levels=4"], "model.levels=4: each level halves the size, and of 20"),
    (["data=digits", "model.levels=0"], "model.levels=0: must be greater than 0"),
    (["data=digits", "model.levels=3", "model.latent_dim=2"], "set model.latent_dim to at least 3"),
    (["data=digits", "model.train_levels=both"], "model.train_levels=both: must be 'together' or 'in_turn'"),
    (["data=digits", "model.augment=[color]"], "model.augment=['color']: "),
    (["data=digits", "model.balanced=true"], "model.balanced=True: "),
    (["data=digits", "model.train_levels=in_turn", "trainer.max_iterations=1"], "trainer.max_iterations=1: 2 levels"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED, ids=[words[-1] for words, _ in REFUSED])
def test_what_does_not_fit_is_one_line_before_training(ganlab, tmp_path, words, said):
    done = ganlab(*SMALL, *words, tiny=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert said in line
    assert not (tmp_path / "run/checkpoints").exists()
