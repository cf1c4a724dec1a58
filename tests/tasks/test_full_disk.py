"""A disk that takes no more is a line, and costs nothing that was there; without pictures and logs training goes on."""

import errno
import os

import hydra.core.utils
import pytest

from faults import benchmark, killed_before, refused

kills, disks = benchmark("faults_kills"), benchmark("faults_disk")
Run = kills.Run
WORDS = [*kills.WORDS, "trainer.max_iterations=15", "trainer.checkpoint_every=5", "trainer.sample_every=10"]
BEGIN = [*WORDS, "hydra.run.dir=run"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that nothing happens to."""
    place = tmp_path_factory.mktemp("whole")
    run = Run(place, *BEGIN)
    assert run.wait() == 0, run.err
    return place / "run"


def ended(place, *words, **options):
    run = Run(place, *words, **options)
    run.wait()
    return run


def assert_goes_on(whole, place):
    again = ended(place, "resume=run")
    assert again.code == 0, again.err
    assert kills.differences(whole, place / "run") == []


def test_a_checkpoint_that_finds_no_room_ends_the_run_which_goes_on_later(whole, tmp_path):
    stopped = ended(tmp_path, *BEGIN, before=refused("iteration_000010.ckpt", errno.EDQUOT))
    assert stopped.code == 2
    (line,) = stopped.err.splitlines()
    assert line.startswith("training stopped: ") and "iteration_000010.ckpt: cannot be written (Disk quota exc" in line
    assert "free some of your quota there; then go on with: " in line and line.endswith("-m ganlab resume=run")
    assert kills.verify_loadable(tmp_path / "run", True)
    assert kills.temporaries(tmp_path / "run") == []
    assert_goes_on(whole, tmp_path)


def test_without_a_checkpoint_there_is_nothing_to_go_on_with(tmp_path):
    stopped = ended(tmp_path, *BEGIN, before=refused("iteration_000005.ckpt", errno.ENOSPC))
    assert stopped.code == 2
    (line,) = stopped.err.splitlines()
    assert line.endswith("free some space there; then start it again: it has no checkpoint yet")
    again = ended(tmp_path, "resume=run")
    assert again.code == 2 and "start it again" in again.err and len(again.err.splitlines()) == 1


@pytest.mark.parametrize("name", ["results.json", "best.json", "last.ckpt"])
def test_other_files_that_a_run_cannot_do_without(whole, tmp_path, name):
    def arm():
        refused(name, errno.ENOSPC)()
        if name == "last.ckpt":  # a link, and where there are none a copy

            def link(*paths):
                raise OSError(errno.EPERM, "no links here")

            os.link = link

    stopped = ended(tmp_path, *BEGIN, before=arm)
    assert stopped.code == 2
    (line,) = stopped.err.splitlines()
    assert f"{name}: cannot be written (No space left on device)" in line
    assert kills.temporaries(tmp_path / "run") == []
    if name == "results.json":
        assert line.endswith("-m ganlab resume=run")
        assert_goes_on(whole, tmp_path)


def test_training_goes_on_without_pictures_and_logs(whole, tmp_path):
    def arm():
        refused("iteration_000010.png", errno.EROFS)()
        refused("metrics.csv", errno.EROFS)()

    run = ended(tmp_path, *BEGIN, before=arm)
    assert run.code == 0, run.err
    told = run.err.splitlines()
    assert all(line.startswith("warning: ") for line in told) and len(told) == 3
    assert ["samples/iteration_000010.png" in line for line in told] == [False, True, False]
    assert ["metrics.csv" in line for line in told] == [True, False, True]
    disks.verify_same(whole, tmp_path / "run", run.err)


def test_hydras_own_files_at_the_start(tmp_path):
    def arm():

        def full(*given):
            raise OSError(errno.ENOSPC, "No space left on device")

        hydra.core.utils._save_config = full

    refused_run = ended(tmp_path, *BEGIN, before=arm)
    assert refused_run.code == 2
    (line,) = refused_run.err.splitlines()
    assert line == f"{tmp_path / 'run'}: cannot be written (No space left on device); free some space there"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "times", "scored"), [("last.ckpt", 3, True), ("iteration_000010.ckpt", 1, False)])
def test_what_a_killed_run_left_half_written_is_gone_when_it_goes_on(whole, tmp_path, name, times, scored):
    """Killed where an iteration is saved: before last.ckpt names it all else of it is written down, its scores too."""
    killed = ended(tmp_path, *BEGIN, before=killed_before(name, times))
    assert killed.code == -9
    (left,) = kills.temporaries(tmp_path / "run")
    assert left.name.startswith(f".{name}.")
    assert (tmp_path / "run/checkpoints/best.json").exists() == scored
    assert_goes_on(whole, tmp_path)
