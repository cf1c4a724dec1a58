"""Does a classifier that has seen real data only read the label that was asked for?"""

from typing import Any

import torch
from sklearn.svm import SVC
from torch import Tensor
from torchmetrics import Metric


class LabelAgreement(Metric):
    """Share of generated samples that a support-vector classifier gives the asked label, in [0, 1].

    The classifier (radial basis functions, scikit-learn's defaults, deterministic) is fitted on real
    samples [n, ...] and labels [n]. Its own accuracy on held-out real data is the ceiling to compare with.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    agreed: Tensor
    seen: Tensor

    def __init__(self, real: Tensor, labels: Tensor, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.classifier = SVC(random_state=0).fit(_flat(real), labels.cpu().numpy())
        self.add_state("agreed", default=torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("seen", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, samples: Tensor, labels: Tensor) -> None:
        """samples [n, ...] in the units of the real ones; labels [n], what was asked for."""
        read = torch.as_tensor(self.classifier.predict(_flat(samples)), device=labels.device)
        self.agreed += (read == labels).sum()
        self.seen += len(labels)

    def compute(self) -> Tensor:
        return self.agreed.float() / self.seen


def _flat(samples: Tensor) -> Any:
    return samples.detach().float().cpu().flatten(1).numpy()
