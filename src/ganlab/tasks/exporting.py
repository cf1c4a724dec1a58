"""From a run to checked files: the part is traced, written as bytes, loaded again, compared, and only then written."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from ganlab.errors import ConfigError, GanlabError, OutputError, reason_of, typed
from ganlab.files import write_atomically
from ganlab.models.base import GenerativeModel
from ganlab.tasks import console
from ganlab.tasks.evaluation_records import now
from ganlab.tasks.export import FOR_ONNX, ExportOptions, Format
from ganlab.tasks.export_check import Expected
from ganlab.tasks.export_formats import SUFFIXES, content_of, loaded, traced
from ganlab.tasks.exported_parts import Part, part_of
from ganlab.tasks.provenance import versions
from ganlab.tasks.sampling import fresh_folder
from ganlab.tasks.trained import Saved, read_trained
from ganlab.typed_path import typed_path

DESCRIPTION = "export.json"


def export_run(options: ExportOptions) -> None:
    """Write a run's part in the formats that were asked for, and say where it is and how near to the model."""
    if options.out is not None:
        _refuse_taken(options.out)
    saved = read_trained(options.run, options.checkpoint, trust=options.trust)
    model = saved.restored().eval()
    num_classes = int(saved.settings["data"]["num_classes"] or 0)
    part = part_of(model, options.part, num_classes)
    contents, told = exported(part, model.name, options.formats, options.tolerance)
    described = {"date": now(), **_origin(saved, model, part), **told, "versions": _versions(options)}
    if _takes(told, "condition"):
        described["condition_names"] = saved.condition_names
    contents[DESCRIPTION] = json.dumps(described, indent=2).encode()
    folder = write_together(contents, saved.folder, options.out)
    console.say(f"{part.name} of model={model.name}, iteration {model.iteration:,}, {part.weights} weights")
    for file in told["files"].values():
        console.say(f"  {file['file']:<20} {file['bytes']:>12,} bytes   {_differences(file)}")
    console.say(f"written: {console.relative(folder)}")


def exported(
    part: Part, model: str, formats: list[Format], tolerance: float
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The contents of the files by name, each compared with the model, and what there is to say of them.

    Raises `GanlabError` for what cannot be traced, written so, or is not the model's function.
    """
    what = f"part={part.name}: model={model}"
    expected = Expected(part, what)
    example = part.draw(2, torch.Generator().manual_seed(1))
    program, used = traced(part.function, example, what)
    outputs = [value.name for value in part.outputs]
    contents, files = {}, {}
    for format in formats:
        name = part.name + SUFFIXES[format]
        content = content_of(program, format, used, outputs, what)
        try:
            differences = expected.differences(loaded(content, format), used, tolerance, name)
        except GanlabError:
            raise
        except Exception as error:  # what a format takes, its runtime may not
            raise ConfigError(f"format={format}: {what} does not run as {name} ({reason_of(error)})") from error
        contents[name] = content
        files[format] = {
            "file": name,
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "largest_difference": differences,
            "tolerance": tolerance,
        }
    told = {
        "inputs": [value.description() for value in part.inputs if value.name in used],
        "outputs": [
            value.description() | ({} if kept else {"range": None})
            for value, kept in zip(part.outputs, expected.kept, strict=True)
        ],
        "files": files,
    }
    return contents, told


def _takes(told: Mapping[str, Any], name: str) -> bool:
    """Whether what was exported has an input of that name."""
    return any(value["name"] == name for value in told["inputs"])


def write_together(contents: Mapping[str, bytes], run: Path, out: str | None) -> Path:
    """Write all files, the description last, into `out` or a fresh folder of the run's; if one fails, none stays."""
    wanted = run / "exported" if out is None else _refuse_taken(out)
    made = [path for path in (wanted, *wanted.parents) if not path.exists()]
    folder = wanted
    if out is None:
        folder = fresh_folder(wanted)
        made.insert(0, folder)
    begun: list[Path] = []
    try:
        for name, content in contents.items():
            begun.append(folder / name)
            write_atomically(folder / name, lambda file, content=content: file.write(content))  # type: ignore[misc]
    except BaseException:
        for path in begun:
            path.unlink(missing_ok=True)
        for path in made:
            with suppress(OSError):  # by now somebody else may have put something there
                path.rmdir()
        raise
    return folder


def _refuse_taken(out: str) -> Path:
    folder = typed_path(out, "out", OutputError)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"out={typed(out)}: is a file; give a folder")
    if (folder / DESCRIPTION).exists() or any(any(folder.glob(f"*{suffix}")) for suffix in SUFFIXES.values()):
        raise OutputError(f"out={typed(out)}: holds an export already; give another folder")
    return folder


def _origin(saved: Saved, model: GenerativeModel, part: Part) -> dict[str, Any]:
    return {
        "run": str(saved.folder),
        "checkpoint": saved.file.name,
        "checkpoint_sha256": _sha256(saved.file),
        "iteration": model.iteration,
        "model": model.name,
        "data": saved.settings["data"]["name"],
        "part": part.name,
        "weights": part.weights,
    }


def _versions(options: ExportOptions) -> dict[str, str]:
    """Of modules, not of distributions: those of onnxruntime have several names."""
    used = FOR_ONNX if "onnx" in options.formats else ()
    return versions() | {name: import_module(name).__version__ for name in used}


def _differences(file: Mapping[str, Any]) -> str:
    differences = file["largest_difference"]
    told = console.number(max(differences.values()))
    return f"largest difference from the model {told} (batches of {', '.join(differences)})"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()
