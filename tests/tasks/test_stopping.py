"""A run that is told to end before its training begins, or after it has ended."""

import signal
from contextlib import suppress

import pytest

from faults import benchmark, signalled_in
from ganlab.tasks.stopping import Terminated, Termination, ending_on_sigterm

kills = benchmark("faults_kills")
BEGIN = [*kills.WORDS, "trainer.max_iterations=4", "metrics.scores=[]", "hydra.run.dir=outputs/run"]
NUMBERS = pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])


def ended(place, *words, **options):
    run = kills.Run(place, *words, **options)
    run.wait()
    return run


@pytest.mark.parametrize(
    ("number", "code", "module", "function"),
    [
        (signal.SIGTERM, 143, "ganlab.tasks.building", "build_data"),
        (signal.SIGTERM, 143, "ganlab.callbacks.pictures", "plane"),  # the first one, of before the first iteration
        (signal.SIGINT, 130, "ganlab.callbacks.pictures", "plane"),
    ],
)
def test_before_training_begins_nothing_is_left(tmp_path, number, code, module, function):
    run = ended(tmp_path, *BEGIN, before=signalled_in(module, function, number))
    assert (run.code, run.err) == (code, "stopped before training began; nothing was saved\n")
    assert list(tmp_path.iterdir()) == []


@NUMBERS
def test_after_training_has_ended_the_run_says_how_its_results_are_made(tmp_path, number, code):
    run = ended(tmp_path, *BEGIN, before=signalled_in("ganlab.tasks.train", "_write_results", number))
    assert run.code == code
    (line,) = run.err.splitlines()
    assert line.startswith("stopped; go on with: ") and line.endswith("-m ganlab resume=outputs/run")
    assert not (tmp_path / "outputs/run/results.json").exists()
    again = ended(tmp_path, "resume=outputs/run")
    assert again.code == 0 and (tmp_path / "outputs/run/results.json").exists()


def test_what_a_library_swallows_is_not_forgotten():
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with pytest.raises(Terminated) as end, ending_on_sigterm() as termination:
            with suppress(BaseException):
                signal.raise_signal(signal.SIGTERM)
            termination.verify()
        assert end.value.code == 143
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_somebody_elses_handler_stays():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with ending_on_sigterm() as termination:
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
            termination.verify()
        assert isinstance(termination, Termination)
    finally:
        signal.signal(signal.SIGTERM, before)
