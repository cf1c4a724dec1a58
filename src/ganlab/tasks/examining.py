"""What a model says of each real sample of the test split, shared among the processes of a run."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ganlab.errors import TrainingError
from ganlab.metrics.ranks import Ranks
from ganlab.models.base import GenerativeModel, derived_seed
from ganlab.tasks.rows import Rows


@torch.no_grad()
def examined(
    model: GenerativeModel, data: Any, options: Mapping[str, Any], seed: int, ranks: Ranks
) -> dict[str, Tensor]:
    """By tag what `model.examine` says of the samples of the test split, in their order, on all ranks: [n, …].

    `options`: the group `metrics` of a configuration. Of an endless split so many samples as there are in a reference.
    Raises `TrainingError` for numbers that are not finite.
    """
    test = Rows(data, "test", endless=int(options["reference_count"]))
    examine: Any = model.examine
    said: dict[str, list[Tensor]] = {}
    for part, rows in enumerate(ranks.rows(len(test)).split(options["batch_size"])):
        samples, conditions, _ = test.at(rows)
        generator = torch.Generator().manual_seed(derived_seed("examine", seed, ranks.rank, part))
        condition = conditions.to(model.device) if model.condition_size and conditions is not None else None
        told = examine(samples.to(model.device), condition, generator, int(options["importance_samples"]))
        for tag, values in told.items():
            said.setdefault(tag, []).append(values)
    together = {tag: torch.cat(parts) for tag, parts in said.items()}
    finite = all(bool(torch.isfinite(values).all()) for values in together.values())
    if not ranks.all_say(finite):
        raise TrainingError(f"what the model says of test samples at iteration {model.iteration} is not finite")
    return {tag: ranks.gather(values, len(test)) for tag, values in together.items()}
