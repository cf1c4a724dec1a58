"""`python -m ganlab.export`: what it can be asked, before anything is loaded."""

from importlib.util import find_spec
from typing import Literal

from ganlab.config.schema import Strict
from ganlab.config.types import PositiveFloat
from ganlab.errors import ConfigError
from ganlab.tasks import command

USAGE = """
ganlab.export: a trained network as a file that runs without ganlab: ONNX, and a program of torch.export.

  python -m ganlab.export run=outputs/cgan-digits/2026-01-01_12-00-00
  python -m ganlab.export run=… format=onnx out=site/model
  python -m ganlab.export run=outputs/ae-digits/… part=decoder

What is exported is a function of its inputs alone, for batches of any size, with the weights that ganlab.sample takes:
averaged ones where the run has them. Before anything is written, each file's content is loaded again (by onnxruntime;
by torch.export.load) and compared with the model itself on random inputs, in batches of 1, 3 and 64. Written are
<part>.onnx, <part>.pt2 and export.json: names, shapes and ranges of inputs and outputs, class names, where the weights
are from, the largest differences, versions, hashes.

keys:
  run          a run folder, or a checkpoint in it
  checkpoint   last | best | the number of an iteration (last)
  part         generator      latent (and codes, and condition) to samples; images in [-1, 1]
               discriminator  samples (and condition) to raw scores (and logits of the classes)
               encoder        samples (and condition) to codes; of a VAE the mean
               decoder        codes, or a VAE's latents (and condition), to samples
               auto           the generator, a VAE's decoder, another autoencoder's encoder (auto)
  format       onnx | torch | both (both); onnx needs pip install 'ganlab[export]'
  out          the folder to write, which must not hold an export yet (the run's own exported/001, 002, …)
  tolerance    how far a file may be from the model: a share of the largest output; of images of 1 (1e-4)
  trust        true: the run may name classes that are not ganlab's, and their code runs (false)
"""

PartName = Literal["generator", "discriminator", "encoder", "decoder"]
Format = Literal["onnx", "torch"]
FOR_ONNX = ("onnx", "onnxscript", "onnxruntime")
"""Packages of the extra `export`."""


class ExportOptions(Strict):
    """The keys of `ganlab.export`."""

    run: str
    checkpoint: str | int = "last"
    part: Literal["auto", "generator", "discriminator", "encoder", "decoder"] = "auto"
    format: Literal["onnx", "torch", "both"] = "both"
    out: str | None = None
    tolerance: PositiveFloat = 1e-4
    trust: bool = False

    @property
    def formats(self) -> list[Format]:
        """Those that were asked for."""
        both: list[Format] = ["onnx", "torch"]
        return [format for format in both if self.format in (format, "both")]


def require_packages(options: ExportOptions) -> None:
    """Raise `ConfigError` where a format needs packages that are not installed."""
    missing = [name for name in FOR_ONNX if find_spec(name) is None]
    if missing and "onnx" in options.formats:
        raise ConfigError(
            f"format={options.format}: needs the packages {', '.join(FOR_ONNX)} (missing: {', '.join(missing)}): "
            "pip install 'ganlab[export]'; format=torch needs none"
        )


def export(options: ExportOptions) -> None:
    """Write the files that were asked for."""
    require_packages(options)
    from ganlab.tasks.exporting import export_run

    export_run(options)


def main() -> None:
    """Entry point of `python -m ganlab.export` and of the console script `ganlab-export`."""
    command.run(USAGE, ExportOptions, export)
