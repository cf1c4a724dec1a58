"""Several callbacks behind one: Lightning then walks a single callback at each of its many hooks."""

from collections.abc import Iterable
from typing import Any

from lightning import Callback, Trainer


class CallbackGroup(Callback):
    """Forwards the hooks of a training run to those members that implement them, in their order.

    Lightning calls some ten hooks an iteration on every callback, implemented or not; with seven callbacks
    that is a measurable part of a small network's step. A member that implements a hook which is
    not forwarded here is refused with a TypeError: it would silently never be called.
    """

    def __init__(self, members: Iterable[Callback]) -> None:
        self.members = list(members)
        for member in self.members:
            _refuse_unforwarded(member)
        self._batch_end = self._implementing("on_train_batch_end")
        self._before_step = self._implementing("on_before_optimizer_step")

    def _implementing(self, hook: str) -> list[Callback]:
        return [member for member in self.members if _implements(member, hook)]

    def _forward(self, hook: str, *arguments: Any) -> None:
        for member in self._implementing(hook):
            getattr(member, hook)(*arguments)

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._forward("on_train_start", trainer, pl_module)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: Any) -> None:
        for member in self._before_step:
            member.on_before_optimizer_step(trainer, pl_module, optimizer)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        for member in self._batch_end:
            member.on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        self._forward("on_train_end", trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        self._forward("on_save_checkpoint", trainer, pl_module, checkpoint)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        self._forward("on_load_checkpoint", trainer, pl_module, checkpoint)

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        self._forward("on_exception", trainer, pl_module, exception)

    def teardown(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        self._forward("teardown", trainer, pl_module, stage)


def _implements(member: Callback, hook: str) -> bool:
    return hook in vars(member) or getattr(type(member), hook) is not getattr(Callback, hook)


def _refuse_unforwarded(member: Callback) -> None:
    hooks = [name for name in vars(Callback) if not name.startswith("_")]
    lost = [hook for hook in hooks if hook not in vars(CallbackGroup) and _implements(member, hook)]
    if lost:
        raise TypeError(f"{type(member).__name__} implements {', '.join(lost)}, which CallbackGroup does not forward")
