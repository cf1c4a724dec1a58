"""Whether what a file holds is the function that it was made from."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ganlab.errors import ConfigError, OutputError, TrainingError
from ganlab.tasks.export_formats import Runnable
from ganlab.tasks.exported_parts import Inputs, Part

BATCHES = (1, 3, 64)
SEED = 0


class Expected:
    """What the model itself makes of random inputs, a batch of each of the sizes.

    Raises:
        TrainingError: that is no finite number.
        ConfigError: it is another time something else: there is chance inside.
    """

    def __init__(self, part: Part, what: str, batches: Sequence[int] = BATCHES) -> None:
        generator = torch.Generator().manual_seed(SEED)
        self.part, self.what = part, what
        self.inputs = [part.draw(count, generator) for count in batches]
        self.outputs = [_of_model(part, inputs, what) for inputs in self.inputs]
        made = [torch.cat(batches) for batches in zip(*self.outputs, strict=True)]
        self.kept = [_keeps(values, output.range) for values, output in zip(made, part.outputs, strict=True)]
        """Of each output, whether it keeps to its range: the last layer of a network may have no bound."""
        self.scales = [
            1.0 if kept else float(values.abs().max()) or 1.0 for values, kept in zip(made, self.kept, strict=True)
        ]

    def differences(self, runnable: Runnable, used: Sequence[str], tolerance: float, file: str) -> dict[str, float]:
        """By batch size the largest absolute difference from the model.

        Raises `OutputError` where one is above `tolerance` times the scale of its output: 1 for values that keep to
        [-1, 1], else the largest absolute one that the model made here.
        """
        largest = {}
        for inputs, expected in zip(self.inputs, self.outputs, strict=True):
            count = len(expected[0])
            found = runnable({name: inputs[name] for name in used})
            gaps = [_gap(made, wanted) for made, wanted in zip(found, expected, strict=True)]
            for gap, scale, output in zip(gaps, self.scales, self.part.outputs, strict=True):
                bound = tolerance * scale
                if not gap <= bound:
                    raise OutputError(
                        f"{file}: not written: {output.name} differs from the model's by {gap:.2g} in a batch of "
                        f"{count}, and may by {bound:.2g}; raise tolerance={tolerance:g} only if you know why"
                    )
            largest[str(count)] = max(gaps)
        return largest


def _of_model(part: Part, inputs: Inputs, what: str) -> tuple[Tensor, ...]:
    first, second = part.reference(inputs), part.reference(inputs)
    for one, other in zip(first, second, strict=True):
        if not torch.isfinite(one).all():
            raise TrainingError(f"{what}: its outputs are not finite numbers: its weights have diverged")
        if not torch.equal(one, other):
            raise ConfigError(
                f"{what} makes something else of the same inputs each time: it draws random numbers inside, "
                "and what is exported must be a function of its inputs; make the noise an input"
            )
    return first


def _keeps(values: Tensor, range: tuple[float, float] | None) -> bool:
    return range is not None and range[0] <= float(values.min()) and float(values.max()) <= range[1]


def _gap(made: Tensor, expected: Tensor) -> float:
    if made.shape != expected.shape:
        return float("inf")
    return float((made.double() - expected.double()).abs().max())
