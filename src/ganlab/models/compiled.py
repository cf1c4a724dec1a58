"""Compiled training: each part of a step that is a function of tensors becomes one graph."""

import dataclasses
import logging
import types
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import torch
from torch import Tensor

log = logging.getLogger(__name__)


class Note(NamedTuple):
    """A value that a computation has asked for, and will ask for again: how it is made."""

    make: Callable[[], Any]
    is_number: bool
    is_zero: bool = False


class Ahead:
    """What a computation takes from outside: random numbers, and numbers that the iteration decides.

    Compiled code can make neither. So they are made before it, in the order in which uncompiled code asks for them.
    """

    def __init__(self) -> None:
        self.made: list[Any] | None = None
        self.place = 0
        self.notes: list[Note] | None = None

    def drawn(self, draw: Callable[[], Tensor]) -> Tensor:
        """What `draw` gives; within compiled code what it gave before."""
        if self.made is not None:
            self.place += 1
            return self.made[self.place - 1]
        if self.notes is not None:
            self.notes.append(Note(draw, is_number=False))
        return draw()

    def number(self, read: Callable[[], float]) -> Any:
        """What `read` gives; within compiled code as a scalar tensor, unless it is 0."""
        if self.made is not None:
            self.place += 1
            made = self.made[self.place - 1]
            return 0.0 if made is None else made
        value = read()
        if self.notes is not None:
            self.notes.append(Note(read, is_number=True, is_zero=value == 0))
        return value


class CompiledTraining:
    """Computations of a model, each in compiled graphs of its own: one for every kind of its arguments.

    A graph has all of a computation in it, second derivatives included, or there is none: the first that cannot be
    compiled is told of in one line, and from there on everything runs as it would uncompiled.
    `tell` takes that line; `options` are those of `torch.compile`.
    """

    def __init__(self, model: Any, tell: Callable[[str], None] | None = None, **options: Any) -> None:
        self.model = model
        self.tell = tell or (lambda line: None)
        self.options = options
        self.cuda_graphs = options.get("mode") in ("reduce-overhead", "max-autotune")
        self.given_up = False
        self._graphs: dict[Hashable, Callable[..., Any]] = {}
        self._notes: dict[Hashable, list[Note]] = {}

    def begin_step(self) -> None:
        """What CUDA graphs gave in the step before may be overwritten from here on."""
        if self.cuda_graphs:
            torch.compiler.cudagraph_mark_step_begin()

    def __call__(self, name: str, *arguments: Any) -> Any:
        """What the model's method of that name gives."""
        if self.given_up:
            return getattr(self.model, name)(*arguments)
        key = (name, torch.is_grad_enabled(), *map(_kind, arguments))
        if key not in self._graphs:
            self._graphs[key] = torch.compile(_own_copy(_computed), fullgraph=True, dynamic=False, **self.options)
        made = self._made_ahead(key, name, arguments)
        try:
            result = self._graphs[key](self.model, name, made, arguments)
        except Exception as error:
            # An error that is the model's own comes again here, and goes its way.
            self.model.ahead.made = None
            result = _computed(self.model, name, made, arguments)
            self._give_up(name, error)
            return result
        return _kept(result) if self.cuda_graphs else result

    def _made_ahead(self, key: Hashable, name: str, arguments: tuple[Any, ...]) -> list[Any]:
        notes = self._notes.get(key)
        if notes is None or any(note.is_zero != (note.make() == 0) for note in notes if note.is_number):
            notes = self._notes[key] = self._rehearsed(name, arguments)
        return [self._as_input(note) for note in notes]

    def _as_input(self, note: Note) -> Any:
        if not note.is_number:
            return note.make()
        return None if note.is_zero else torch.tensor(note.make(), dtype=self.model.dtype, device=self.model.device)

    def _rehearsed(self, name: str, arguments: tuple[Any, ...]) -> list[Note]:
        """What the computation asks for: run once uncompiled, with no trace in buffers or random states."""
        ahead, noise = self.model.ahead, self.model.noise
        state = noise.get_state()
        buffers = [(buffer, buffer.clone()) for buffer in self.model.buffers()]
        devices = [self.model.device] if self.model.device.type == "cuda" else []
        ahead.notes = []
        try:
            with torch.random.fork_rng(devices=devices):
                getattr(self.model, name)(*arguments)
            return ahead.notes
        finally:
            ahead.notes = None
            noise.set_state(state)
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)

    def _give_up(self, name: str, error: Exception) -> None:
        self.given_up = True
        self._graphs.clear()
        line = f"trainer.compile=true: {name} of model={self.model.name} cannot be compiled ({_reason(error)}); "
        line += "the run goes on uncompiled"
        log.warning(line)
        log.debug("", exc_info=error)
        self.tell(line)


def _computed(model: Any, name: str, made: list[Any], arguments: tuple[Any, ...]) -> Any:
    ahead = model.ahead
    ahead.made, ahead.place = made, 0
    result = getattr(model, name)(*arguments)
    ahead.made = None
    return result


def _own_copy(function: Any) -> Any:
    """Compiled graphs belong to a code object, and so does the limit on their number."""
    return types.FunctionType(function.__code__.replace(), function.__globals__, function.__name__)


def _kind(argument: Any) -> Hashable:
    """What a graph depends on: shapes of tensors, all else by value."""
    if isinstance(argument, Tensor):
        return argument.shape
    if dataclasses.is_dataclass(argument):
        return tuple(_kind(value) for value in vars(argument).values())
    if isinstance(argument, (tuple, list)):
        return tuple(map(_kind, argument))
    return argument


def _kept(result: Any) -> Any:
    """Values without a gradient in memory of their own: a CUDA graph's next run overwrites what it gave."""
    if isinstance(result, Tensor):
        return result if result.requires_grad else result.clone()
    if isinstance(result, dict):
        return {tag: _kept(value) for tag, value in result.items()}
    if isinstance(result, tuple):
        parts = map(_kept, result)
        return type(result)(*parts) if hasattr(result, "_fields") else tuple(parts)
    return result


def _reason(error: Exception) -> str:
    """The first line that says something of an error of the compiler's."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if not line.endswith("raised:")] or [type(error).__name__]
    return lines[0].rstrip(".")[:160]
