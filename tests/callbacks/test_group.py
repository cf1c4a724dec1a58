import inspect

import pytest
from lightning import Callback

from ganlab.callbacks.checkpoints import Checkpoints
from ganlab.callbacks.finite import FiniteGuard
from ganlab.callbacks.group import CallbackGroup
from ganlab.callbacks.measure import Measure
from ganlab.callbacks.pictures import SamplePictures
from ganlab.callbacks.progress import ProgressBar
from ganlab.callbacks.signals import EndOnSignal
from ganlab.counting import UpdatePlan

HOOKS = [name for name in vars(Callback) if not name.startswith("_")]
FORWARDED = [name for name in HOOKS if name in vars(CallbackGroup)]


def implementing(hook, calls, name="member"):
    """A callback that implements one hook and notes when it is called, with what."""

    def called(self, *arguments, **named):
        calls.append((name, hook, (*arguments, *named.values())))

    value = property(called) if isinstance(vars(Callback)[hook], property) else called
    return type("Member", (Callback,), {hook: value})()


def call(callback, hook):
    count = len(inspect.signature(getattr(Callback, hook)).parameters) - 1
    arguments = tuple(object() for _ in range(count))
    getattr(callback, hook)(*arguments)
    return arguments


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_forwarded_or_its_owner_is_refused(hook):
    """Also a hook that a later Lightning brings."""
    calls = []
    if hook not in FORWARDED:
        with pytest.raises(TypeError, match=f"Member implements {hook}, which CallbackGroup does not forward"):
            CallbackGroup([implementing(hook, calls)])
        return
    group = CallbackGroup([implementing(hook, calls, "first"), Callback(), implementing(hook, calls, "second")])
    assert calls == []
    arguments = call(group, hook)
    assert calls == [("first", hook, arguments), ("second", hook, arguments)]


def test_only_the_hook_that_was_called_is_forwarded():
    calls = []
    group = CallbackGroup([implementing(hook, calls, hook) for hook in FORWARDED])
    for hook in FORWARDED:
        call(group, hook)
    assert [name for name, _, _ in calls] == FORWARDED


def test_a_hook_set_on_the_instance_or_inherited_counts_too():
    calls, member = [], Callback()
    member.on_train_start = lambda *arguments: calls.append("own")
    inherited = type("Child", (type(implementing("on_train_start", calls)),), {})()
    call(CallbackGroup([member, inherited]), "on_train_start")
    assert [entry if entry == "own" else entry[0] for entry in calls] == ["own", "member"]
    late = Callback()
    late.on_validation_end = lambda *arguments: None
    with pytest.raises(TypeError, match="on_validation_end"):
        CallbackGroup([late])


def test_an_error_in_one_member_stops_the_next():
    class Broken(Callback):
        def on_train_batch_end(self, *arguments):
            raise RuntimeError("broken")

    calls = []
    group = CallbackGroup([Broken(), implementing("on_train_batch_end", calls)])
    with pytest.raises(RuntimeError, match="broken"):
        call(group, "on_train_batch_end")
    assert calls == []


def test_the_laboratorys_own_callbacks_are_accepted(tmp_path):
    guard = FiniteGuard(1)
    measure = Measure(1, 1, UpdatePlan(1))
    checkpoints = Checkpoints(tmp_path, every=1, keep=1, max_iterations=1, config={}, guard=guard)
    pictures = SamplePictures(tmp_path, every=1, rows=1)
    members = [guard, measure, pictures, checkpoints, ProgressBar(measure, 1), EndOnSignal(checkpoints, 1)]
    assert CallbackGroup(members).members == members


def test_a_run_calls_members_as_if_they_stood_alone(make_gan, tiny_data, fit):
    def record():
        calls = []
        names = [hook for hook in FORWARDED if hook not in ("on_exception", "on_save_checkpoint")]
        return calls, [implementing(hook, calls) for hook in names]

    alone, members = record()
    fit(make_gan(max_iterations=2), tiny_data(), *members)
    grouped, members = record()
    fit(make_gan(max_iterations=2), tiny_data(), CallbackGroup(members))
    assert [hook for _, hook, _ in grouped] == [hook for _, hook, _ in alone]
    assert len(grouped) > 6
