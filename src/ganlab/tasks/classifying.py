"""What a model's own classifier says of real samples, shared among the processes of a run."""

import torch
from torch import Tensor

from ganlab.data.source import FiniteSource
from ganlab.errors import TrainingError
from ganlab.metrics.ranks import Ranks
from ganlab.models.base import GenerativeModel


@torch.no_grad()
def classified(model: GenerativeModel, source: FiniteSource, batch_size: int, ranks: Ranks) -> Tensor:
    """The class int64 [n] that the model finds likeliest for each row of a source, on all ranks.

    Raises `TrainingError` for logits that are not finite.
    """
    found, finite = [], True
    for rows in ranks.rows(len(source)).split(batch_size):
        logits = model.classify(source.gather(rows.to(source.index_device)).samples.to(model.device))
        finite = finite and bool(torch.isfinite(logits).all())
        found.append(logits.argmax(1))
    if not ranks.all_say(finite):
        raise TrainingError(f"class scores of iteration {model.iteration} are not finite numbers: nothing to score")
    return ranks.gather(torch.cat(found), len(source))
