import os
import signal
from types import SimpleNamespace

import pytest
import torch
from lightning import Callback

from ganlab.callbacks.checkpoints import LAST, AtomicCheckpointIO, Checkpoints
from ganlab.callbacks.finite import FiniteGuard
from ganlab.callbacks.group import CallbackGroup
from ganlab.callbacks.signals import EndOnSignal, Interrupted

WATCHED = (signal.SIGINT, signal.SIGTERM)


def handlers():
    return [signal.getsignal(number) for number in WATCHED]


class Send(Callback):
    """Sends this process signals at the end of an iteration, before `EndOnSignal` looks."""

    def __init__(self, at=0, *numbers):
        self.at, self.numbers, self.handlers = at, numbers, None

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.handlers = handlers()
        if pl_module.iteration == self.at:
            for number in self.numbers:
                os.kill(os.getpid(), number)


@pytest.fixture
def run(make_gan, tiny_data, fit, tmp_path):
    """run(at, *signals): trains ten iterations, with signals at one of them."""

    def trained(send):
        model = make_gan(max_iterations=10)
        checkpoints = Checkpoints(tmp_path, every=None, keep=1, max_iterations=10, config={}, guard=FiniteGuard(100))
        ending = EndOnSignal(checkpoints, every=5)
        fit(model, tiny_data(), send, CallbackGroup([checkpoints, ending]), plugins=[AtomicCheckpointIO()])
        return model

    before = handlers()
    yield trained
    for number, handler in zip(WATCHED, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_with_a_checkpoint_and_the_shells_code(run, tmp_path, number, code):
    before = handlers()
    with pytest.raises(Interrupted) as ended:
        run(Send(3, number))
    assert handlers() == before
    assert ended.value.code == code
    assert torch.load(tmp_path / LAST, weights_only=True)["iteration"] == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["iteration_000003.ckpt", LAST]


def test_a_second_ctrl_c_ends_at_once_without_saving(run, tmp_path):
    with pytest.raises(SystemExit) as ended:
        run(Send(3, signal.SIGINT, signal.SIGINT))
    assert not isinstance(ended.value, Interrupted)
    assert ended.value.code == 130
    assert list(tmp_path.iterdir()) == []


def test_without_a_signal_the_run_ends_by_itself_and_the_handlers_are_ours_meanwhile(run):
    send = Send()
    assert run(send).iteration == 10
    assert all(handler.__self__.__class__ is EndOnSignal for handler in send.handlers)


def test_after_a_run_the_handlers_are_those_of_before(run):
    """Otherwise SIGTERM is swallowed while the scores of a finished run are computed and written."""
    before = handlers()
    run(Send())
    assert handlers() == before


class Several:
    """Stands for one of two processes; `others` is whether the other one has got a signal."""

    def __init__(self, others):
        self.world_size, self.others, self.asked = 2, others, 0
        self.strategy = self

    def reduce_boolean_decision(self, decision, all):
        assert not all
        self.asked += 1
        return decision or self.others


@pytest.mark.parametrize(
    ("own", "others", "code"), [(0, True, 143), (signal.SIGINT, False, 130), (signal.SIGTERM, True, 143)]
)
def test_several_processes_agree_before_they_end(own, others, code):
    saved = []
    ending = EndOnSignal(SimpleNamespace(max_iterations=99, save=lambda *arguments: saved.append(arguments)), every=5)
    trainer = Several(others)
    ending.received = own
    for iteration in range(1, 5):
        ending.on_train_batch_end(trainer, SimpleNamespace(iteration=iteration), {}, None, 0)
    assert trainer.asked == 0, "an agreement costs a synchronisation"
    with pytest.raises(Interrupted) as ended:
        ending.on_train_batch_end(trainer, SimpleNamespace(iteration=5), {}, None, 0)
    assert ended.value.code == code
    assert len(saved) == 1


def test_processes_that_got_no_signal_go_on():
    trainer = Several(False)
    ending = EndOnSignal(SimpleNamespace(max_iterations=99, save=None), every=5)
    ending.on_train_batch_end(trainer, SimpleNamespace(iteration=5), {}, None, 0)
    assert trainer.asked == 1
