"""Losses, scores, gradient norms, learning rates and speed, written every N iterations.

The training step hands over scalars on the device; they are read once, together, at the
iterations that are logged. Between these nothing is computed and nothing waits.
"""

import time
from collections.abc import Mapping
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor

from ganlab.counting import UpdatePlan

CHARTS = {
    "players": {
        "losses": ["loss/generator$", "loss/discriminator$"],
        "discriminator: real and generated": ["loss/discriminator_real$", "loss/discriminator_fake$"],
        "raw scores": ["score/real$", "score/fake$"],
        "accuracy (1/2 at equilibrium)": ["accuracy/discriminator_real$", "accuracy/discriminator_fake$"],
    },
    "distances and penalties": {
        "Wasserstein distance": ["wasserstein/.*"],
        "divergence (lower bound)": ["divergence/.*"],
        "penalties": ["penalty/.*"],
    },
    "families": {
        "codes: -log Q, nats (InfoGAN)": ["loss/information_.*"],
        "codes: mutual information, nats (lower bound)": ["information/.*"],
        "supervised and feature matching": ["loss/supervised$", "loss/feature_matching$", "loss/class_.*"],
        "levels (0 is the finest)": ["loss/generator_level_.*", "loss/discriminator_level_.*"],
        "updates so far": ["updates/.*"],
        "instance noise": ["instance_noise/std$"],
    },
    "autoencoders": {
        "loss": ["loss/autoencoder$", "loss/reconstruction$"],
        "layers in turn": ["loss/autoencoder_.*", "loss/reconstruction_rbm_.*"],
        "free energy of data above that of the chain (RBMs)": ["rbm/.*"],
        "classifier on the code: accuracy of labelled samples": ["accuracy/labelled$"],
        "mean squared error a value": ["reconstruction/mse$", "reconstruction/mse_held_out$"],
        "peak signal to noise, dB": ["reconstruction/psnr$"],
        "restored from corruption, mean squared error": ["reconstruction/restored_mse.*"],
        "KL from the prior, nats": ["loss/kl.*"],
        "evidence lower bound, nats": ["elbo.*"],
        "sparsity": ["sparsity/.*"],
        "squared norm of the encoder's Jacobian": ["jacobian/.*"],
    },
    "optimization": {"gradient norms": ["grad_norm/.*"], "learning rates": ["lr/.*"]},
    "scores": {
        "distances (0 is best)": ["metric/fid$", "metric/fd_.*", "metric/w1$", "metric/w2$"],
        "kernel distances": ["metric/kid$", "metric/kd_.*"],
        "quality and variety (1 is best)": [
            *("metric/precision$", "metric/recall$", "metric/density$", "metric/coverage$"),
            *("metric/high_quality$", "metric/label_agreement$"),
        ],
        "two-sample test (1/2: alike)": ["metric/one_nn$"],
        "test accuracy": ["metric/accuracy$"],
        "squared error a value": ["metric/mse$"],
        "decibels": ["metric/psnr$", "metric/restored_psnr$"],
        "bounds, nats": ["metric/elbo$", "metric/iw_bound$", "metric/elbo_reconstruction$", "metric/elbo_kl$"],
        "bound, bits a value": ["metric/bits_per_dim$"],
        "active latents": ["metric/active_units$"],
        "authentic, % (0: copies)": ["metric/auth_pct$"],
        "likeness of pairs": ["metric/ms_ssim$"],
        "classes": ["metric/inception_score$", "metric/classifier_score_.*"],
        "modes": ["metric/modes$", "metric/modes_strict$"],
        "KL of classes and modes, nats": ["metric/class_kl$", "metric/mode_kl$"],
    },
}
"""TensorBoard's custom scalars: what belongs together on one chart. Tags are patterns that match from the start,
so without the `$` a player's loss would bring the terms that it is made of."""


STATE = "last_values"


class Measure(Callback):
    """Logs instantaneous values (no smoothing) at iterations `every`, 2·`every`, … and at the last one.

    `images`: how many real ones an iteration takes, on all processes together.
    """

    def __init__(self, every: int, max_iterations: int, images: UpdatePlan) -> None:
        self.every = every
        self.max_iterations = max_iterations
        self.images = images
        self.latest: dict[str, float] = {}
        self._norms: dict[str, Tensor] = {}
        self._rates: dict[str, float] = {}
        self._since: tuple[float, int] | None = None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """The latest values but for times, for a run that is stopped between its last iteration and its results."""
        checkpoint[STATE] = {tag: value for tag, value in self.latest.items() if not tag.startswith("throughput/")}

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Take the latest values from the checkpoint of a run that is not trained any more."""
        values = checkpoint.get(STATE)
        if isinstance(values, dict):
            self.latest = {str(tag): value for tag, value in values.items() if isinstance(value, float)}

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._since = (time.perf_counter(), pl_module.iteration)
        pl_module.measuring = self._due(pl_module.iteration + 1)
        for logger in trainer.loggers:
            add_layout = getattr(getattr(logger, "experiment", None), "add_custom_scalars", None)
            if add_layout is not None:
                add_layout(
                    {
                        page: {chart: ["Multiline", tags] for chart, tags in charts.items()}
                        for page, charts in CHARTS.items()
                    }
                )

    def _due(self, iteration: int) -> bool:
        return iteration % self.every == 0 or iteration == self.max_iterations

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: torch.optim.Optimizer) -> None:
        """Gradients are unscaled here, and not yet clipped: the module clips after its callbacks.

        The learning rate is the one of this step; at the iteration's end the schedule has moved on.
        """
        if pl_module.measuring:
            network = pl_module.network_of(optimizer)
            gradients = [p.grad for p in pl_module.parameters_of(network) if p.grad is not None]
            self._norms[f"grad_norm/{network}"] = torch.nn.utils.get_total_norm(gradients)
            self._rates[f"lr/{network}"] = float(optimizer.param_groups[0]["lr"])

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        iteration = pl_module.iteration
        if pl_module.measuring:
            self.write(trainer, pl_module, {**outputs, **self._norms})
            # A network that is not updated at the next iteration that is logged has no norm and no rate there.
            self._norms, self._rates = {}, {}
        pl_module.measuring = self._due(iteration + 1)

    def write(self, trainer: Trainer, pl_module: Any, measured: Mapping[str, Tensor]) -> None:
        """Read the scalars (the mean over all ranks) in one transfer and hand them to the loggers."""
        stacked = torch.stack([value.float() for value in measured.values()])
        means = trainer.strategy.reduce(stacked, reduce_op="mean")
        assert isinstance(means, Tensor)
        self.latest = dict(zip(measured, means.tolist(), strict=True)) | self._rates
        self.latest["throughput/images_per_second"] = self._throughput(pl_module.iteration)
        for logger in trainer.loggers:
            logger.log_metrics(self.latest, step=pl_module.iteration)

    def _throughput(self, iteration: int) -> float:
        assert self._since is not None
        now, (then, earlier) = time.perf_counter(), self._since
        self._since = (now, iteration)
        return (self.images.before(iteration) - self.images.before(earlier)) / max(now - then, 1e-9)
