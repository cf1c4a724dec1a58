"""`python -m ganlab.complete` from the command line to the files."""

import json
import shutil
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.metrics.references import fingerprint_of
from ganlab.tasks import complete
from ganlab.tasks.building import build_data, build_model
from ganlab.tasks.completion_report import errors_of, table_of

VAE = ["model=vae", "data=digits", "data.image_size=8", "data.batch_size=32", "model.latent_dim=4"]
SHORT = ["metrics.scores=[]", "trainer.threads=1", "trainer.max_iterations=20", "hydra.run.dir=run"]
QUICK = ["steps=4", "restarts=3", "draws=2", "count=6"]


@pytest.fixture
def completed(commanded):
    return partial(commanded, complete.main)


@pytest.fixture
def trained(ganlab):
    """trained("model=cgan", …): a tiny run in the folder run."""

    def train(*words, tiny=True):
        done = ganlab(*words, "hydra.run.dir=run", tiny=tiny)
        assert done.returncode == 0, done.stderr

    return train


def rebuilt(tmp_path):
    saved = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    model = build_model(saved["ganlab"]["config"])
    model.load_state_dict(saved["state_dict"])
    data = build_data(saved["ganlab"]["config"], model)
    data.setup()
    return model, data


def written(tmp_path, number="001"):
    folder = tmp_path / "run" / "completed" / number
    with np.load(folder / "completed.npz", allow_pickle=False) as file:
        arrays = {name: torch.from_numpy(array) for name, array in file.items()}
    return folder, arrays, json.loads((folder / "completion.json").read_text())


def test_held_out_digits_of_a_gan(trained, completed, tmp_path):
    trained()
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    code, out, err = completed("run=run", *QUICK, "seed=3")
    assert (code, err) == (0, "")
    assert out.startswith("digits · gan · 6 images of test · mask=center, 25% hidden\n")
    assert out.endswith("\n6 images: run/completed/001\n")
    folder, arrays, told = written(tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == [
        "completed.npz",
        "completed.png",
        "completion.json",
        "images",
    ]

    model, data = rebuilt(tmp_path)
    test, hidden = data.test.first(6), arrays["hidden"]
    assert torch.equal(arrays["originals"], test.samples) and hidden.sum() == 6 * 16
    assert torch.equal(arrays["completed"][~hidden], test.samples[~hidden])
    torch.testing.assert_close(arrays["generated"], model.decode(arrays["latents"]))
    for number in range(6):
        shown = np.asarray(Image.open(folder / "images" / f"{number:06d}.png")).astype(float)
        assert np.allclose(shown, arrays["completed"][number, 0].numpy() * 127.5 + 127.5, atol=0.51)
    keys = {"completed": "completed", "as generated": "generated", "mean training image": "mean_filled"}
    for name, key in keys.items():
        expected = [
            float(((arrays[key][i][hidden[i]] - test.samples[i][hidden[i]]) / 2).square().mean()) for i in range(6)
        ]
        assert told["errors"][name]["mse"]["values"] == pytest.approx(expected, rel=1e-5)
        assert f"{np.mean(expected):.4f} ± {np.std(expected, ddof=1):.4f}" in out
    assert set(told["errors"]) == {
        "completed",
        "as generated",
        "nearest training image",
        "nearest of its class",
        "mean training image",
        "smooth, from the rim",
        "mean of the visible pixels",
    }
    assert told["images"] == {"from": "test", "count": 6, "samples_sha256": fingerprint_of(data.test.images[:6])}
    assert (told["weights"], told["condition"], told["training_images"]) == ("averaged", "nothing", 899)
    assert told["search"]["seed"] == 3 and told["search"]["restarts"] == 3 and told["share_hidden"] == 0.25
    assert all(path.read_bytes() == content for path, content in before.items()), "what the run wrote is as it was"


def save_images(folder, samples):
    folder.mkdir(exist_ok=True)
    for number, sample in enumerate(samples):
        pixels = sample[0].mul(127.5).add(127.5).round().byte().numpy()
        Image.fromarray(pixels).save(folder / f"{number}.png")


def test_the_hidden_part_of_the_input_changes_nothing(trained, completed, tmp_path):
    trained(*VAE, *SHORT, tiny=False)
    _, data = rebuilt(tmp_path)
    samples = data.test.first(4).samples
    save_images(tmp_path / "mine", samples)
    samples[:, :, 2:6, 2:6] = -samples[:, :, 2:6, 2:6]
    save_images(tmp_path / "others", samples)
    for folder in ("mine", "others"):
        code, _, err = completed("run=run", f"images={folder}", *QUICK)
        assert (code, err) == (0, "")
    (_, first, told), (_, second, other) = written(tmp_path), written(tmp_path, "002")
    assert not torch.equal(first["originals"], second["originals"])
    for name in ("latents", "losses", "generated", "completed", "nearest_filled", "mean_filled"):
        assert torch.equal(first[name], second[name]), name
    assert told["errors"]["completed"] != other["errors"]["completed"]
    assert told["start_at_code"] and told["search"]["prior_weight"] is None
    assert told["names"] == ["0.png", "1.png", "2.png", "3.png"]


def test_a_longer_search_from_a_code_agrees_better(trained, completed, tmp_path):
    trained(*VAE, *SHORT, tiny=False)
    losses = []
    for number, steps in enumerate((1, 100), start=1):
        assert completed("run=run", "restarts=1", f"steps={steps}", "blend=none")[0] == 0
        _, arrays, told = written(tmp_path, f"{number:03d}")
        losses.append(arrays["losses"].mean())
        assert torch.equal(arrays["completed"], arrays["generated"]) and "as generated" not in told["errors"]
    assert losses[1] < 0.9 * losses[0]


def test_conditions(trained, completed, refused_by, tmp_path):
    trained("model=cgan", "model.generator.width=4", "model.discriminator.width=2", "trainer.max_iterations=2")
    labels = rebuilt(tmp_path)[1].test.first(6).conditions
    for number, (words, expected, told) in enumerate(
        [
            ((), labels, "each image's own"),
            (("condition=3",), torch.full((6,), 3), 3),
            (("condition=[1,7]",), torch.tensor([1, 7] * 3), [1, 7]),
        ],
        start=1,
    ):
        assert completed("run=run", *QUICK, *words)[0] == 0
        _, arrays, described = written(tmp_path, f"{number:03d}")
        assert torch.equal(arrays["conditions"], expected) and described["condition"] == told
    assert completed("run=run", "steps=4", "count=30", "condition=any", "mask=random")[0] == 0
    _, arrays, described = written(tmp_path, "004")
    assert described["condition"] == "any" and len(arrays["conditions"].unique()) > 2
    refused = partial(refused_by, complete.main)
    (line,) = refused("run=run", "restarts=9", "condition=any")
    assert line.startswith("restarts=9: the starts are to take 10 classes in turn; set restarts=10 or more")
    assert refused("run=run", "condition=10") == ["condition=10: there is no class 10; they go from 0 to 9"]


def test_a_run_without_its_data(trained, completed, refused_by, tmp_path):
    save_images(tmp_path / "data", torch.rand(20, 1, 8, 8) * 2 - 1)
    words = ["data=image_folder", "data.root=data", "data.image_size=8", "data.channels=1", "data.batch_size=4"]
    trained(*words, f"data.cache_dir={tmp_path / 'cache'}", "trainer.max_iterations=2")
    shutil.move(tmp_path / "data", tmp_path / "moved")
    hole = np.zeros((20, 20), dtype=np.uint8)
    hole[:10] = 255
    Image.fromarray(hole).save(tmp_path / "hole.png")
    code, out, err = completed("run=run", *QUICK, "images=moved", "mask=hole.png")
    assert (code, err) == (0, "") and out.startswith("left out, mean and nearest training image: root=data: ")
    _, arrays, told = written(tmp_path)
    assert set(told["errors"]) == {"completed", "as generated", "smooth, from the rim", "mean of the visible pixels"}
    assert arrays["hidden"][:, :, :4].all() and not arrays["hidden"][:, :, 4:].any() and told["share_hidden"] == 0.5
    assert completed("run=run", *QUICK, "root=moved", "images=moved/3.png")[0] == 0
    _, arrays, told = written(tmp_path, "002")
    assert len(arrays["originals"]) == 1 and told["training_images"] == 16
    assert told["errors"]["completed"]["mse"]["sd"] is None

    refused = partial(refused_by, complete.main)
    (line,) = refused("run=run")
    assert line.startswith("root=data: there is no such folder")
    (line,) = refused("run=run", "images=nowhere")
    assert line.startswith("images=nowhere: there is no such folder; give a folder with images")
    (line,) = refused("run=run", "images=moved", "mask=nowhere")
    assert line.startswith("mask=nowhere: there is no such picture")
    for key, others in (("images", []), ("mask", ["images=moved"])):
        for impossible in ("x" * 300, "~no_such_home/x"):
            (line,) = refused("run=run", *others, f"{key}={impossible}")
            assert line.startswith(f"{key}={impossible[:8]}") and "cannot be a path" in line
    (tmp_path / "moved" / "bad.png").write_bytes(b"bad")
    (line,) = refused("run=run", "images=moved", "count=99")
    assert line == "images=moved: bad.png cannot be read (cannot identify it as an image); take it away"
    (line,) = refused("run=run", "images=moved/3.png", "mask=centre")
    assert line.startswith("mask=centre: there is no such picture; nearest: center; there are: center, random, left")
    (line,) = refused("run=run", "images=moved/3.png", "mask=hole.png", "share=0.3")
    assert line == "share=0.3: a picture says itself what is hidden; leave share out"


def test_models_that_cannot_are_refused(trained, refused_by):
    trained("model=ae", "data=digits", "data.image_size=8", "model.latent_dim=4", *SHORT[:-1], tiny=False)
    (line,) = refused_by(complete.main, "run=run")
    assert line.startswith("run=run: model=ae gives images back and draws none from a prior")


def test_points_are_refused(trained, refused_by):
    trained("model=gan", "data=ring", "metrics.scores=[]", "trainer.threads=1", "trainer.max_iterations=2", tiny=False)
    (line,) = refused_by(complete.main, "run=run")
    assert line == "run=run: its samples are points, and there are holes in images alone"


def test_errors_are_compared_image_by_image():
    originals, hidden = torch.zeros(4, 1, 2, 2), torch.ones(4, 1, 2, 2, dtype=torch.bool)
    ours = torch.tensor([0.2, 0.4, 0.6, 0.8]).view(4, 1, 1, 1).expand(originals.shape)
    others = torch.tensor([0.4, 0.4, 0.2, 1.0]).view(4, 1, 1, 1).expand(originals.shape)
    told = errors_of({"ours": ours, "others": others}, originals, hidden)
    excess = np.array([0.04, 0.04, 0.01, 0.25]) - np.array([0.01, 0.04, 0.09, 0.16])
    assert told["others"]["worse"] == 0.5
    assert told["others"]["excess"]["mean"] == pytest.approx(excess.mean(), rel=1e-5)
    assert told["others"]["excess"]["standard_error"] == pytest.approx(excess.std(ddof=1) / 2, rel=1e-5)
    assert told["ours"]["psnr"]["mean"] == pytest.approx(-10 * np.log10([0.01, 0.04, 0.09, 0.16]).mean(), rel=1e-5)
    lines = table_of("title", told).splitlines()
    (line,) = [line for line in lines if "others" in line]
    assert lines[0] == "title" and " ".join(line.split()) == "others 0.0850 ± 0.1109 13.5 ± 5.7 50%"


def test_mistakes_are_a_line_each_and_the_usage_names_every_key(refused_by):
    refused = partial(refused_by, complete.main)
    lines = refused("run=x", "blend=poison", "share=1", "window=4", "restarts=0")
    assert [line.partition(":")[0] for line in lines] == ["share=1", "restarts=0", "window=4", "blend=poison"]
    assert refused("count=3") == ["run: missing"]
    for key in complete.CompleteOptions.model_fields:
        assert f"\n  {key} " in complete.USAGE


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("words", [["model=vae", "data=digits"], ["experiment=digits_dcgan"]], ids=["vae", "dcgan"])
def test_held_out_digits_are_completed_better_than_by_the_nearest_and_the_mean(trained, completed, tmp_path, words):
    trained(*words, "metrics.scores=[]", "trainer.threads=1", tiny=False)
    assert completed("run=run", "count=100")[0] == 0
    errors = written(tmp_path)[2]["errors"]
    for name, standard_errors in (("mean training image", 5), ("nearest training image", 1)):
        excess = errors[name]["excess"]
        assert excess["mean"] > standard_errors * excess["standard_error"], name
