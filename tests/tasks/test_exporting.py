"""Exported files of every family against the model that they were made from."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from exports import AUTOENCODERS, altered, by_onnxruntime, by_torch, words_of
from ganlab.config.paths import conf_folder
from ganlab.errors import ConfigError, OutputError
from ganlab.files import write_atomically
from ganlab.tasks import exporting
from ganlab.tasks.exported_parts import part_of, parts_of
from ganlab.tasks.exporting import exported, write_together

MODELS = sorted(path.stem for path in (conf_folder() / "model").glob("*.yaml"))


def made(model, part="auto", formats=("onnx", "torch"), num_classes=10):
    contents, told = exported(part_of(model, part, num_classes), model.name, list(formats), 1e-4)
    suffixes = {"onnx": "onnx", "torch": "pt2"}
    assert [name.partition(".")[2] for name in contents] == [suffixes[format] for format in formats]
    return contents, told


def agrees(model, part, contents, told, counts=(1, 2, 7)):
    """Each file's content, for several batch sizes, gives what the model's own public methods give."""
    random = torch.Generator().manual_seed(1)
    sizes = {value["name"]: value["shape"][1:] for value in told["inputs"]}
    for count in counts:
        inputs = {name: torch.randn(count, *size, generator=random) for name, size in sizes.items()}
        if "samples" in inputs:
            inputs["samples"] = inputs["samples"].clamp(-1, 1)
        condition = inputs.get("condition")
        if part in ("generator", "decoder"):
            latents = torch.cat([inputs[name] for name in ("latent", "codes") if name in inputs], dim=1)
            expected = [model.decode(latents, condition)]
        elif part == "encoder":
            expected = [model.encode(inputs["samples"], condition)]
        else:
            expected = [model.score(inputs["samples"], condition)]
            expected += [model.classify(inputs["samples"])] if model.classifies else []
        for name, content in contents.items():
            found = (by_onnxruntime if name.endswith(".onnx") else by_torch)(content, **inputs)
            assert len(found) == len(expected) == len(told["outputs"])
            for one, other, output in zip(found, expected, told["outputs"], strict=True):
                assert list(one.shape) == [count, *output["shape"][1:]]
                assert torch.allclose(one, other, atol=2e-5 * max(1, float(other.abs().max()))), (name, count)


BOTH = ["onnx", "torch"]


@pytest.mark.parametrize(
    ("words", "part", "inputs", "formats"),
    [
        (words_of("cgan"), "generator", ["latent", "condition"], BOTH),
        (words_of("lapgan", "data.image_size=8"), "generator", ["latent"], BOTH),
        (words_of("vae", "model.condition_size=10"), "decoder", ["latent", "condition"], BOTH),
        (words_of("infogan", "model.codes=[3,uniform]", data="ring"), "generator", ["latent", "codes"], ["torch"]),
        (words_of("contractive_ae", "model/coders=mlp", "model.tied=true"), "decoder", ["latent"], ["torch"]),
        (words_of("acgan", "model.discriminator.norm=spectral"), "discriminator", ["samples"], ["torch"]),
    ],
    ids=["cgan", "lapgan", "vae", "infogan", "tied", "acgan"],
)
def test_files_are_the_model(settings, words, part, inputs, formats):
    model = altered(settings(*words))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    contents, told = made(model, part, formats)
    assert [value["name"] for value in told["inputs"]] == inputs
    agrees(model, part, contents, told)
    after = model.state_dict()
    assert list(after) == list(before) and all(torch.equal(after[name], before[name]) for name in before)
    for content in contents.values():  # nothing tells whose machine it was
        assert b"site-packages" not in content and str(conf_folder().parent).encode() not in content


@pytest.mark.slow
@pytest.mark.parametrize("data", ["digits", "ring"])
@pytest.mark.parametrize("name", MODELS)
def test_every_family_and_part(settings, name, data):
    if data == "ring" and name in ("dcgan", "lapgan"):
        pytest.skip("is of images")
    model = altered(settings(*words_of(name, data=data)))
    expected = {"encoder", "decoder"} if name in AUTOENCODERS else {"generator", "discriminator"}
    assert set(parts_of(model)) == expected
    for part in parts_of(model) if data == "digits" else parts_of(model)[:1]:
        contents, told = made(model, part, num_classes=10 if data == "digits" else 8)
        agrees(model, part, contents, told)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "part"),
    [
        (words_of("vae", "model.binarise=threshold", "model/coders=mlp"), "encoder"),
        (words_of("vae", "data.image_size=12"), "decoder"),
        (words_of("vae", "model.encoder.batch_norm=true"), "decoder"),
        (words_of("dcgan", "model.discriminator.norm=spectral", "model.discriminator.gain=2"), "discriminator"),
        (words_of("cgan", "model.discriminator.conditioning=projection"), "discriminator"),
        (words_of("cgan", "model.discriminator.conditioning=embedded"), "discriminator"),
        (words_of("gan", "model.discriminator.minibatch_kernels=3"), "discriminator"),
        (words_of("gan", "model/networks=mlp", "trainer.precision=64"), "generator"),
        (words_of("lapgan", "model.condition_size=10", "model.train_levels=in_turn"), "generator"),
        (words_of("stacked_ae", "model.fine_tune=classify", "data.labels_per_class=3"), "encoder"),
        (words_of("dcgan", "data.image_size=32", "data.channels=3"), "generator"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value[1:])[-60:],
)
def test_options_that_change_the_function(settings, words, part):
    model = altered(settings(*words))
    contents, told = made(model, part)
    agrees(model, part, contents, told)


def test_a_generator_by_hand(settings):
    """The file's numbers by numpy alone, from the averaged weights of a fully connected generator."""
    model = altered(settings(*words_of("gan", "model.ema_decay=0.9", data="ring")))
    contents, told = made(model, formats=["onnx"])
    latent = np.random.default_rng(0).standard_normal((5, model.latent_dim), dtype=np.float32)
    values = latent.astype(np.float64)
    layers = [layer for layer in model.generator_ema.network.layers if isinstance(layer, nn.Linear)]
    for number, layer in enumerate(layers, start=1):
        values = values @ layer.weight.detach().double().numpy().T + layer.bias.detach().double().numpy()
        values = np.maximum(values, 0) if number < len(layers) else values
    (found,) = by_onnxruntime(contents["generator.onnx"], latent=torch.from_numpy(latent))
    assert np.allclose(found, values, rtol=1e-4, atol=1e-4 * np.abs(values).max())
    last = model.decode_last(torch.from_numpy(latent))
    assert not torch.allclose(found, last, atol=1e-2), "the average is not the last weights"
    assert (told["inputs"][0]["meaning"], told["inputs"][0]["range"]) == ("standard normal", None)
    assert told["outputs"][0]["range"] is None and told["outputs"][0]["shape"] == ["batch", 2]


def test_what_it_says_of_itself_is_so(settings):
    model = altered(settings(*words_of("infogan", "model.codes=[3,uniform,2]", "model.prior=uniform")))
    contents, told = made(model, formats=["torch"])
    latent, codes = told["inputs"]
    assert (latent["shape"], latent["range"]) == (["batch", model.latent_dim - 6], [-1.0, 1.0])
    assert codes["meaning"] == "columns 0 to 2: one-hot, one of 3; column 3: uniform on [-1, 1]; " + (
        "columns 4 to 5: one-hot, one of 2"
    )
    (output,) = told["outputs"]
    assert (output["shape"], output["range"]) == (["batch", 1, 8, 8], [-1.0, 1.0])
    file = told["files"]["torch"]
    assert file["bytes"] == len(contents["generator.pt2"]) and set(file["largest_difference"]) == {"1", "3", "64"}
    assert all(difference < 1e-4 for difference in file["largest_difference"].values())
    assert json.loads(json.dumps(told)) == told


def test_a_range_that_a_network_leaves_is_not_told(settings):
    words = words_of("ae", "model.output=linear", "model/coders=mlp")
    _, told = made(altered(settings(*words)), "decoder", ["torch"])
    assert told["outputs"][0]["range"] is None
    _, told = made(altered(settings(*words[:-2], "model/coders=mlp")), "decoder", ["torch"])
    assert told["outputs"][0]["range"] == [-1.0, 1.0]


@pytest.mark.parametrize(
    ("name", "part", "said"),
    [
        ("gan", "encoder", "part=encoder: model=gan has none; it has: generator, discriminator"),
        ("vae", "generator", "part=generator: model=vae has none; it has: decoder, encoder"),
        ("ae", "discriminator", "part=discriminator: model=ae has none; it has: encoder, decoder"),
    ],
)
def test_a_part_that_a_model_has_not(settings, name, part, said):
    with pytest.raises(ConfigError) as refused:
        part_of(altered(settings(*words_of(name))), part)
    assert str(refused.value) == said


def test_all_files_or_none(tmp_path, monkeypatch):
    """The second write fails: the first file is taken away again, and the folders that were made for it."""

    def full(path, write):
        if path.name == "b":
            raise OutputError("no room")
        write_atomically(path, write)

    contents = {"a": b"1", "b": b"2"}
    monkeypatch.setattr(exporting, "write_atomically", full)
    with pytest.raises(OutputError, match="no room"):
        write_together(contents, tmp_path, None)
    assert not list(tmp_path.iterdir())
    with pytest.raises(OutputError, match="no room"):
        write_together(contents, tmp_path, str(tmp_path / "new" / "folder"))
    assert not list(tmp_path.iterdir())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("mine")
    with pytest.raises(OutputError, match="no room"):
        write_together(contents, tmp_path, str(tmp_path / "mine"))
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "notes"]
    monkeypatch.undo()
    assert write_together(contents, tmp_path, None) == tmp_path / "exported" / "001"
    assert write_together(contents, tmp_path, None) == tmp_path / "exported" / "002"
    monkeypatch.setattr(exporting, "write_atomically", full)
    with pytest.raises(OutputError, match="no room"):
        write_together(contents, tmp_path, None)
    assert sorted(path.name for path in (tmp_path / "exported").iterdir()) == ["001", "002"]
