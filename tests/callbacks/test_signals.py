import os
import signal
from types import SimpleNamespace

import pytest
import torch
from lightning import Callback

from ganlab.callbacks import signals
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
    """Stands for one of two processes; the other has got the signal `others` and needs `pace` seconds an iteration."""

    root_device, is_global_zero = torch.device("cpu"), True

    def __init__(self, others=0, pace=0.0):
        self.world_size, self.others, self.pace = 2, others, pace
        self.strategy, self.asked = self, []

    def reduce(self, own, reduce_op):
        assert reduce_op == "max"
        self.asked.append(own.tolist())
        return torch.maximum(own, torch.tensor([float(self.others), self.pace]))


@pytest.fixture
def until(monkeypatch):
    """until(trainer, last, every=…, start=…): the iterations at which a process agrees with the other one."""
    saved = []

    def agreements(trainer, last, every=5, start=0, own=0):
        ending = EndOnSignal(SimpleNamespace(max_iterations=999, save=lambda *words: saved.append(words)), every)
        monkeypatch.setattr(signal, "signal", lambda number, handler: None)
        ending.on_train_start(trainer, SimpleNamespace(iteration=start))
        ending.received = own
        for iteration in range(start + 1, last + 1):
            ending.on_train_batch_end(trainer, SimpleNamespace(iteration=iteration), {}, None, 0)
            if len(trainer.asked) > len(at):
                at.append(iteration)
        return at

    at = []
    agreements.at, agreements.saved = at, saved
    return agreements


@pytest.mark.parametrize(
    ("own", "others", "code"),
    [
        (0, signal.SIGTERM, 143),
        (0, signal.SIGINT, 130),
        (signal.SIGINT, 0, 130),
        (signal.SIGTERM, signal.SIGINT, 143),
        (signal.SIGINT, signal.SIGTERM, 143),
    ],
)
def test_several_processes_agree_on_the_signal_and_save_together(until, own, others, code):
    with pytest.raises(Interrupted) as ended:
        until(Several(others), 5, own=own)
    assert ended.value.code == code
    assert len(until.saved) == 1


def test_fast_processes_agree_at_multiples_only(until):
    """And at their first iteration, to learn their pace."""
    assert until(Several(), 16) == [1, 5, 10, 15]
    assert until.saved == []


def test_slow_processes_agree_by_the_pace_of_the_slowest(until):
    """0.6 s an iteration: three of them pass within two seconds; multiples of `every` stay."""
    assert until(Several(pace=0.6), 12, every=10, start=3) == [4, 7, 10]


def test_an_iteration_of_a_minute_is_agreed_on_at_once(until):
    assert until(Several(pace=60.0), 4, every=1000) == [1, 2, 3, 4]


def test_the_pace_is_that_since_the_last_agreement(until, monkeypatch):
    clock = iter([0.0, 4.0, 4.0, 4.5, 4.5])
    monkeypatch.setattr(signals.time, "monotonic", lambda: next(clock))
    trainer = Several()
    assert until(trainer, 4) == [1, 2], "4 s for the first, then half a second: the next one would be at 5"
    assert [pace for _, pace in trainer.asked] == [4.0, 0.5]


def test_next_agreement():
    assert signals.next_agreement(7, 0.001, 50) == 50
    assert signals.next_agreement(50, 0.001, 50) == 100
    assert signals.next_agreement(50, 0.1, 50) == 70
    assert signals.next_agreement(95, 0.1, 50) == 100
    assert signals.next_agreement(7, 0.0, 10**6) == 10**6
