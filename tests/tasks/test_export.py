"""`python -m ganlab.export` from the command line to its files, and the program that docs/export.md shows."""

import hashlib
import json
import re
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from exports import by_onnxruntime, by_torch
from ganlab.tasks import export, exporting
from ganlab.tasks.building import build_model

DOCS = Path(__file__).parents[2] / "docs" / "export.md"
CGAN = ["model=cgan", "model/networks=mlp", "trainer.max_iterations=4", "model.ema_decay=0.5", "hydra.run.dir=run"]


@pytest.fixture
def exported(commanded):
    return partial(commanded, export.main)


@pytest.fixture
def refused(refused_by):
    return partial(refused_by, export.main)


def programs():
    """The Python programs of the page, in their order."""
    return re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.S)


def test_a_run_its_files_and_what_is_refused(ganlab, exported, tmp_path, monkeypatch):
    assert ganlab(*CGAN, "model.latent_dim=64").returncode == 0
    code, out, err = exported("run=run")
    assert (code, err) == (0, ""), err
    lines = out.splitlines()
    assert lines[0] == "generator of model=cgan, iteration 4, averaged weights"
    assert [line.split()[0] for line in lines[1:]] == ["generator.onnx", "generator.pt2", "written:"]
    assert all("largest difference from the model" in line for line in lines[1:3])
    folder = tmp_path / "run" / "exported" / "001"
    assert lines[3] == "written: run/exported/001"
    assert sorted(path.name for path in folder.iterdir()) == ["export.json", "generator.onnx", "generator.pt2"]

    told = json.loads((folder / "export.json").read_text())
    checkpoint = tmp_path / "run/checkpoints/last.ckpt"
    assert told["checkpoint_sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert (told["model"], told["part"], told["weights"], told["iteration"]) == ("cgan", "generator", "averaged", 4)
    assert told["condition_names"] == [str(digit) for digit in range(10)]
    assert set(told["versions"]) >= {"ganlab", "torch", "onnx", "onnxruntime", "onnxscript"}
    for file in told["files"].values():
        assert hashlib.sha256((folder / file["file"]).read_bytes()).hexdigest() == file["sha256"]

    saved = torch.load(checkpoint, weights_only=True)
    model = build_model(saved["ganlab"]["config"])
    model.load_state_dict(saved["state_dict"])
    inputs = {"latent": torch.randn(5, 64), "condition": torch.eye(10)[[0, 1, 2, 3, 9]]}
    expected = model.decode(inputs["latent"], torch.tensor([0, 1, 2, 3, 9]))
    assert not torch.allclose(expected, model.decode_last(*inputs.values()), atol=1e-4)
    for run, name in ((by_onnxruntime, "generator.onnx"), (by_torch, "generator.pt2")):
        (found,) = run((folder / name).read_bytes(), **inputs)
        assert torch.allclose(found, expected, atol=1e-5)

    _shown_programs_run(folder, expected, inputs, monkeypatch)
    _nothing_is_overwritten(exported, folder, tmp_path)
    _a_wrong_file_is_not_written(exported, tmp_path, monkeypatch)


def _shown_programs_run(folder, expected, inputs, monkeypatch):
    """What docs/export.md shows, as it stands there, in a Python that has no ganlab."""
    with monkeypatch.context() as patched:
        patched.chdir(folder)
        for name in [name for name in sys.modules if name.partition(".")[0] == "ganlab"]:
            patched.setitem(sys.modules, name, None)
        by_onnx, by_program = programs()
        exec(by_onnx, shown := {})
        with Image.open("digits.png") as picture:
            pixels = np.asarray(picture)
        (folder / "digits.png").unlink()
        exec(by_program, {**shown, "torch": torch})
    assert pixels.shape == (80, 80) and pixels.dtype == np.uint8
    # The second row and third column is the thirteenth sample, a two.
    given = {name: torch.from_numpy(shown[name][12:13]) for name in inputs}
    (one,) = by_onnxruntime((folder / "generator.onnx").read_bytes(), **given)
    assert np.allclose(pixels[8:16, 16:24], (one[0, 0] + 1) * 127.5, atol=0.51)
    assert shown["condition"][12].argmax() == 2


def _nothing_is_overwritten(exported, folder, tmp_path):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    code, out, _ = exported("run=run", "format=torch", "part=discriminator")
    assert code == 0 and out.endswith("written: run/exported/002\n")
    assert "last weights" in out and not (tmp_path / "run/exported/002/discriminator.onnx").exists()
    code, out, err = exported("run=run", "format=torch", "out=run/exported/001")
    assert (code, out) == (2, "") and err == "out=run/exported/001: holds an export already; give another folder\n"
    code, _, err = exported("run=run", "format=torch", "out=run/train.log")
    assert (code, err) == (2, "out=run/train.log: is a file; give a folder\n")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    code, _, err = exported("run=run", "format=torch", "out=a/b", "checkpoint=3")
    assert code == 2 and err.startswith("checkpoint=3: run has none of that name") and not (tmp_path / "a").exists()
    assert exported("run=run", "format=torch", "out=a/b")[0] == 0
    assert sorted(path.name for path in (tmp_path / "a/b").iterdir()) == ["export.json", "generator.pt2"]


def _a_wrong_file_is_not_written(exported, tmp_path, monkeypatch):
    """A weight is moved while the file is made: the command says so, and leaves nothing behind."""
    traced = exporting.traced

    def moved(function, *rest):
        with torch.no_grad():
            function.network.layers[-2].weight += 0.01
        return traced(function, *rest)

    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(exporting, "traced", moved)
    code, out, err = exported("run=run", "format=torch")
    assert (code, out) == (2, "") and err.startswith("generator.pt2: not written: samples differs from the model's by ")
    assert len(err.splitlines()) == 1 and sorted(tmp_path.rglob("*")) == before
    code, out, err = exported("run=run", "format=torch", "out=new/folder")
    assert code == 2 and sorted(tmp_path.rglob("*")) == before
    code, out, err = exported("run=run", "part=encoder")
    assert (code, err) == (2, "part=encoder: model=cgan has none; it has: generator, discriminator\n")
    assert sorted(tmp_path.rglob("*")) == before


def test_mistakes_are_a_line_each_and_the_usage_names_every_key(refused):
    assert refused("run=x", "format=onx", "part=critic", "tolerance=0") == [
        "part=critic: must be 'auto', 'generator', 'discriminator', 'encoder' or 'decoder'",
        "format=onx: must be 'onnx', 'torch' or 'both'",
        "tolerance=0: must be greater than 0",
    ]
    assert refused("format=torch") == ["run: missing"]
    assert refused("run=nowhere", "format=torch")[0].startswith("run=nowhere: there is no such run")
    (line,) = refused("run=nowhere", "format=torch", f"out={'long' * 200}")
    assert line.startswith("out=longlong") and "cannot be a path" in line
    for key in export.ExportOptions.model_fields:
        assert f"\n  {key} " in export.USAGE


@pytest.mark.parametrize("format", ["onnx", "both"])
def test_a_package_that_is_missing_is_named_before_anything_is_loaded(refused, monkeypatch, format):
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "onnxscript" else object())
    assert refused("run=x", f"format={format}") == [
        f"format={format}: needs the packages onnx, onnxscript, onnxruntime (missing: onnxscript): "
        "pip install 'ganlab[export]'; format=torch needs none"
    ]
    assert refused("run=x", "format=torch")[0].startswith("run=x: there is no such run")
