"""What every model of the laboratory shares: counting, randomness, conditions, optimizers, sampling."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Protocol

import lightning
import torch
from hydra.utils import instantiate
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ganlab.config.types import NonNegativeInt, PositiveInt, SampleShape
from ganlab.counting import Phase, UpdatePlan
from ganlab.models.averaging import WeightAverage
from ganlab.models.between_ranks import average_gradients, share_buffers, share_state
from ganlab.models.compiled import Ahead, CompiledTraining
from ganlab.models.optimization import build_optimizer, build_schedule, clip_gradients

_PLAIN_ATTRIBUTES = frozenset({"_current_fx_name", "iteration", "measuring"})

Measurements = dict[str, Tensor]
"""From tag to detached scalar tensor; nothing is read from the device until it is logged."""

LatentPart = Literal["normal", "uniform", "one_hot"]
"""Standard normal numbers, numbers uniform on [-1, 1], or one of several equally likely values as a one-hot vector."""


class Gate(Protocol):
    """Says of each update whether it is taken; it is shown the losses whose gradients make it."""

    def show(self, loss: Tensor) -> None: ...

    def admits(self, network: str) -> bool: ...

    def admitted(self, network: str) -> bool:
        """Whether no update of a network was refused in this iteration."""
        ...


def derived_seed(*parts: int | str) -> int:
    """A 63-bit seed from whole numbers and words; any change in one of them gives an unrelated seed."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def build_network(config: Mapping[str, Any], *supplied: Any) -> nn.Module:
    """The network that a checked configuration names, with what the model supplies by position."""
    return instantiate(dict(config), *supplied, _convert_="all")


class GenerativeModel(lightning.LightningModule):
    """Base of all families: one count, randomness by iteration, optimizers by network name.

    All randomness of iteration i is a function of (seed, i, rank): a run that is
    resumed at i draws what it would have drawn, and no random state needs to be saved.
    Latents are drawn for the global batch and cut by rank, so two processes
    at batch B see the noise of one process at batch 2B.
    """

    generates: ClassVar[bool] = False
    """Whether `sample` draws from what was learnt."""
    reconstructs: ClassVar[bool] = False
    """Whether `reconstruct` gives samples back."""
    encodes: ClassVar[bool] = False
    """Whether `encode` gives the codes of samples."""
    judges: ClassVar[bool] = False
    """Whether `realism_losses` says how real samples look."""
    classifies: bool = False
    """Whether `classify` tells classes apart."""
    learns_labels: bool = False
    """Whether training takes labelled samples of their own beside the unlabelled ones: `batch.labelled`."""
    watched_held_out: ClassVar[tuple[str, ...]] = ()
    """Tags, of those that `judge` makes of scores, that are logged for samples of the test split as well."""
    trained_networks: tuple[str, ...] = ()
    """Attributes that hold the networks with an optimizer each, in the order of their updates."""

    def __init__(
        self,
        *,
        name: str,
        sample_shape: SampleShape,
        latent_dim: PositiveInt,
        prior: Literal["normal", "uniform"] = "normal",
        condition_size: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.name = name
        self.sample_shape = list(sample_shape)
        self.latent_dim = latent_dim
        self.prior = prior
        self.condition_size = condition_size
        self.iteration = 0
        self.measuring = True
        self.seed = 0
        self.accumulate = 1
        self.max_iterations = 1
        self.optimizer_configs: dict[str, dict[str, Any]] = {}
        self.gradient_scaling = False
        self.through_lightning = False
        self.channels_last = False
        self.ahead = Ahead()
        self.compiled: CompiledTraining | None = None
        self.gate: Gate | None = None
        self._noise: torch.Generator | None = None
        self._parameters_of: dict[str, list[nn.Parameter]] = {}
        self._optimizer_of: dict[str, Any] = {}
        self._schedulers: dict[str, Any] = {}

    # -- set up ---------------------------------------------------------------------------------------------

    def prepare_training(
        self,
        *,
        optimizers: dict[str, dict[str, Any]],
        seed: int,
        max_iterations: int,
        accumulate: int = 1,
        gradient_scaling: bool = False,
        foreign_callbacks: bool = False,
        channels_last: bool | Literal["auto"] = "auto",
    ) -> None:
        """What a run decides and a paper does not; called once before `fit`."""
        self.optimizer_configs = optimizers
        self.seed, self.max_iterations, self.accumulate = seed, max_iterations, accumulate
        self.gradient_scaling = gradient_scaling
        self.through_lightning = gradient_scaling or foreign_callbacks
        convolutional = any(isinstance(module, nn.Conv2d) for module in self.modules())
        self.channels_last = convolutional and channels_last is not False
        if self.channels_last:
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def compile_training(self, tell: Callable[[str], None] | None = None, **options: Any) -> None:
        """Compile what training computes of tensors: networks, losses, penalties. All else, sampling among it, and the
        names in the state dict stay as they are. `tell` takes a line if it fails; `options` of `torch.compile`."""
        for name in self.trained_networks:
            self.parameters_of(name)
        self.compiled = CompiledTraining(self, tell, **options)

    def graphed(self, name: str, *arguments: Any) -> Any:
        """What the method of that name gives, by compiled graphs if the run has them.

        Such a method takes tensors, words and dataclasses of both; its random numbers are from `draw_shared`, and what
        changes from iteration to iteration from `number`.
        """
        return getattr(self, name)(*arguments) if self.compiled is None else self.compiled(name, *arguments)

    def number(self, name: str) -> Any:
        """A property that the iteration decides: a float, or in compiled graphs a scalar tensor in its place."""
        return self.ahead.number(lambda: getattr(self, name))

    def configure_optimizers(self) -> Any:
        configured = []
        self._schedulers = {}
        for name in self.trained_networks:
            config = self.optimizer_configs[self.optimizer_block(name)]
            optimizer = build_optimizer(self.parameter_groups(name), config, fused=not self.gradient_scaling)
            scheduler = build_schedule(optimizer, config, self.iterations_of(name))
            if scheduler is not None:
                self._schedulers[name] = scheduler
            configured.append({"optimizer": optimizer, **({"lr_scheduler": scheduler} if scheduler else {})})
        return configured

    def on_fit_start(self) -> None:
        schedulers = self.lr_schedulers()
        optimizers = self.optimizers()
        ordered = optimizers if isinstance(optimizers, list) else [optimizers]
        self._optimizer_of = dict(zip(self.trained_networks, ordered, strict=True))
        known = schedulers if isinstance(schedulers, list) else [schedulers] if schedulers else []
        self._schedulers = dict(zip(self._schedulers, known, strict=True))
        for name in self.trained_networks:
            self._set_trainable(name, True)

    def share_state(self) -> None:
        """Begin with the weights and buffers of rank 0 on all ranks."""
        share_state(self)

    # -- networks and phases --------------------------------------------------------------------------------------

    def network(self, name: str) -> nn.Module:
        """What a name in `trained_networks` stands for."""
        return getattr(self, name)

    def optimizer_block(self, network: str) -> str:
        """The block of the group `optimizer` by which a network is trained; its own name by default."""
        return network

    def parameter_groups(self, network: str) -> Any:
        """What a network's optimizer is given: its parameters, or groups of them with options of their own."""
        return self.parameters_of(network)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The parts of a run in which one network each is trained, in their order; none by default.

        A phase has the name of its network, and its learning-rate schedule spans the phase.
        """
        return ()

    @property
    def phase(self) -> Phase | None:
        """The phase that the next iteration belongs to; after the last iteration the last one."""
        return next((phase for phase in self.phases if self.iteration < phase.last), (self.phases or (None,))[-1])

    def iterations_of(self, network: str) -> int:
        """How many iterations train a network."""
        return next((phase.iterations for phase in self.phases if phase.name == network), self.max_iterations)

    @property
    def update_plan(self) -> UpdatePlan:
        """How many updates on batches of real data an iteration has; each takes `accumulate` batches."""
        return UpdatePlan()

    def __setattr__(self, name: str, value: Any) -> None:
        """Lightning notes the current hook on the module some forty times an iteration, and torch's own
        `__setattr__` looks at each value as if it could be a weight: a twentieth of a small network's step."""
        if name in _PLAIN_ATTRIBUTES:
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    # -- one iteration ----------------------------------------------------------------------------------------

    def begin_iteration(self) -> None:
        """Make this iteration's randomness a function of (seed, iteration, rank)."""
        if self.compiled is not None:
            self.compiled.begin_step()
        self.noise.manual_seed(derived_seed("noise", self.seed, self.iteration))
        own = derived_seed("global", self.seed, self.iteration, self.global_rank)
        torch.default_generator.manual_seed(own)
        if self.device.type == "cuda":
            torch.cuda.default_generators[self.device.index or 0].manual_seed(own)

    @property
    def noise(self) -> torch.Generator:
        """Where the iteration's draws for the global batch come from, on the model's device."""
        if self._noise is None or self._noise.device != self.device:
            self._noise = torch.Generator(self.device)
        return self._noise

    def finish_iteration(self) -> None:
        """Count, move the learning rates along their schedules, and end the run after its last iteration.

        Buffers become those of the first rank, which a checkpoint keeps: all ranks score what is saved.
        """
        if self._trainer is not None and self.trainer.world_size > 1:
            share_buffers(self)
        phase = self.phase
        self.iteration += 1
        if self._trainer is not None and self.iteration >= self.max_iterations:
            self.trainer.should_stop = True
        for network, scheduler in self._schedulers.items():
            if phase is None or phase.name == network:
                scheduler.step()

    def update(self, network: str) -> None:
        """One step of a network's optimizer, unless `gate` refuses it; then its gradients are dropped.

        Lightning's wrapper of an optimizer costs as much as a small network's fused step. It is needed for
        fp16, where the scaler stands between gradient and step, and for callbacks of the user's own,
        which may count on all of its hooks.
        """
        optimizer = self._optimizer_of[network]
        if self.trainer.world_size > 1:
            average_gradients(self.parameters_of(network))
        if self.gate is not None and not self.gate.admits(network):
            optimizer.zero_grad()
            return
        if self.through_lightning:
            optimizer.step()
        else:
            plain = optimizer.optimizer
            for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
                callback.on_before_optimizer_step(self.trainer, self, plain)
            self.on_before_optimizer_step(plain)
            plain.step()
        optimizer.zero_grad()
        # Autocast keeps low-precision copies of weights for a whole training step; these are out of date now.
        if torch.is_autocast_enabled(self.device.type):
            torch.clear_autocast_cache()

    def descend(self, loss: Tensor) -> None:
        """Add the gradients of a loss; with accumulation, its share of them.

        Lightning's `manual_backward` is needed where a scaler or a user's callback has a part in it.
        """
        if self.gate is not None:
            self.gate.show(loss)
        share = loss / self.accumulate if self.accumulate > 1 else loss
        if self.through_lightning:
            self.manual_backward(share)
        else:
            share.backward()

    def laid_out(self, samples: Tensor) -> Tensor:
        """Samples as the networks' convolutions want them in memory."""
        return samples.contiguous(memory_format=torch.channels_last) if self.channels_last else samples

    def draw_latents(self, count: int) -> Tensor:
        """This rank's part of the global batch of latents: [count, latent_dim]."""
        world = self.trainer.world_size if self._trainer is not None else 1
        latents = self._draw(count * world, self._noise, self.device)
        return latents[self.global_rank * count : (self.global_rank + 1) * count]

    def draw_shared(self, count: int, *shape: int, draw: Callable[..., Tensor]) -> Tensor:
        """This rank's part of what is drawn for the global batch: [count, *shape]."""
        return self.ahead.drawn(lambda: self._drawn_shared(count, shape, draw))

    def _drawn_shared(self, count: int, shape: tuple[int, ...], draw: Callable[..., Tensor]) -> Tensor:
        world = self.trainer.world_size if self._trainer is not None else 1
        drawn = draw(count * world, *shape, generator=self._noise, device=self.device, dtype=torch.float32)
        return drawn[self.global_rank * count : (self.global_rank + 1) * count].to(self.dtype)

    def _draw(self, count: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
        draw = torch.rand if self.prior == "uniform" else torch.randn
        # Always drawn in float32, so that a run in float64 sees the noise of one in float32.
        latents = draw(count, self.latent_dim, generator=generator, device=device, dtype=torch.float32)
        return (latents * 2 - 1 if self.prior == "uniform" else latents).to(self.dtype)

    def parameters_of(self, network: str) -> list[nn.Parameter]:
        """The parameters of a trained network, listed once: walking the modules at each step is slow."""
        if network not in self._parameters_of:
            self._parameters_of[network] = list(self.network(network).parameters())
        return self._parameters_of[network]

    def _set_trainable(self, network: str, trainable: bool) -> None:
        for parameter in self.parameters_of(network):
            parameter.requires_grad_(trainable)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip here and nowhere earlier: fp16 gradients are unscaled by now."""
        network = self.network_of(optimizer)
        config = self.optimizer_configs[self.optimizer_block(network)]
        if config.get("clip_norm") is not None or config.get("clip_value") is not None:
            clip_gradients(list(self.parameters_of(network)), config)

    def network_of(self, optimizer: torch.optim.Optimizer) -> str:
        """The name of the network that an optimizer trains."""
        # By identity and not by parameters: two phases may train the same ones.
        return next(
            name
            for name, known in self._optimizer_of.items()
            if known is optimizer or getattr(known, "optimizer", None) is optimizer
        )

    # -- conditions -------------------------------------------------------------------------------------------

    def condition_vectors(self, conditions: Tensor | None) -> Tensor | None:
        """Class labels [n] as one-hot vectors, attribute vectors [n, c] as they are; None if unconditional."""
        if self.condition_size == 0 or conditions is None:
            return None
        if conditions.dtype == torch.int64:
            return one_hot(conditions, self.condition_size).float()
        return conditions

    # -- sampling ---------------------------------------------------------------------------------------------

    def latents(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Latents from the prior, [count, latent_dim], on the model's device; `generator` lives on the CPU."""
        return self._draw(count, generator, torch.device("cpu")).to(self.device)

    @property
    def latent_parts(self) -> list[tuple[LatentPart, int]]:
        """What the numbers of a latent are drawn from, one part after the other, and how many each part has."""
        return [(self.prior, self.latent_dim)]

    def sample(self, count: int, condition: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Samples [count, *sample_shape]; images in [-1, 1]. Without gradient, from the averaged weights."""
        return self.decode(self.latents(count, generator), condition)

    def decode(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        """The samples of given latents; families that generate override this."""
        raise TypeError(f"{type(self).__name__} does not generate")

    def decode_with_graph(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        """As `decode`, differentiable in the latents; families that generate override this."""
        raise TypeError(f"{type(self).__name__} does not generate")

    def realism_losses(self, samples: Tensor, condition: Tensor | None = None) -> Tensor:
        """How little like real ones samples [n, *sample_shape] look, [n], differentiable in them and in eval mode;
        families with a discriminator override this."""
        raise TypeError(f"{type(self).__name__} does not judge")

    def reconstruct(self, samples: Tensor, condition: Tensor | None = None) -> Tensor:
        """Samples [n, *sample_shape] through code and back; families that encode override this."""
        raise TypeError(f"{type(self).__name__} does not reconstruct")

    def encode(self, samples: Tensor, condition: Tensor | None = None) -> Tensor:
        """The codes [n, latent_dim] of samples [n, *sample_shape]; families that encode override this."""
        raise TypeError(f"{type(self).__name__} does not encode")

    def classify(self, samples: Tensor) -> Tensor:
        """Logits [n, num_classes] of samples [n, *sample_shape]; families that classify override this.

        Like `decode`: without gradient, and with the networks in eval mode, whatever the modes are around it.
        """
        raise TypeError(f"{type(self).__name__} does not classify")

    @property
    def weights_sampled(self) -> Literal["last", "averaged"]:
        """Which weights `sample` and `reconstruct` use; a score says so."""
        return "last"

    # -- checkpoints ------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["iteration"] = self.iteration
        checkpoint["seed"] = self.seed

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.iteration = int(checkpoint["iteration"])


def averaged(network: nn.Module, decay: float) -> WeightAverage | None:
    """The running average of a network, or None with a decay of 0."""
    return WeightAverage(network, decay) if decay > 0 else None
