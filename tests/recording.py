"""What happens in training, kept for tests: draws, outputs, logged values, batches."""

import lightning
import torch
from lightning import Callback
from lightning.pytorch.loggers import Logger


def recording(model, method="draw_latents"):
    """What the model's method draws (latents, shares), in its order; the model is told to keep them."""
    drawn, draw = [], getattr(model, method)

    def draw_and_keep(*asked, **options):
        drawn.append(draw(*asked, **options))
        return drawn[-1]

    setattr(model, method, draw_and_keep)
    return drawn


class LastOutputs(Callback):
    """What the last iteration returned, as numbers."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.outputs = {tag: value.item() for tag, value in outputs.items()}


class Memory(Logger):
    """Keeps what it is given, by iteration."""

    name, version = "memory", ""

    def __init__(self):
        super().__init__()
        self.rows = {}

    def log_hyperparams(self, *args, **kwargs):
        pass

    def log_metrics(self, metrics, step=None):
        self.rows.setdefault(step, {}).update(metrics)


class Recorder(lightning.LightningModule):
    """Remembers the batches that it is given; `samples_of` says on which of their samples its loss is."""

    def __init__(self, samples_of=lambda batch: batch.samples):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.samples_of = samples_of
        self.seen = []

    def training_step(self, batch, index):
        self.seen.append(batch)
        return (self.weight * self.samples_of(batch)).mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)
