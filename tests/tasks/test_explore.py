"""What `python -m ganlab.explore` refuses, before anything is loaded; the page itself is tested in exploring/."""

from functools import partial

import pytest

from ganlab.tasks import explore
from ganlab.tasks.exploring.serving import listening


@pytest.fixture
def refused(refused_by, monkeypatch):
    monkeypatch.setattr(explore, "find_spec", lambda package: package)
    return partial(refused_by, explore.main)


def test_wrong_words(refused):
    assert refused("run=x", "prot=3") == ["prot=3: unknown key; nearest: root, port, host"]
    assert refused("port=0") == ["run: missing"]
    assert refused("run=x", "port=70000", "device=tpu") == [
        "port=70000: must be less than or equal to 65535",
        "device=tpu: must be 'auto', 'cpu', 'cuda' or 'mps'",
    ]


def test_what_is_no_run(refused):
    (line,) = refused("run=nowhere", "port=0")
    assert line.startswith("run=nowhere: there is no such run")


def test_a_taken_port_is_told_before_the_run_is_looked_at(refused):
    with listening("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert refused("run=nowhere", f"port={port}") == [
            f"port={port}: is taken; choose another one, or port=0 for any"
        ]


def test_an_address_that_is_none_of_this_machines(refused):
    (line,) = refused("run=nowhere", "port=0", "host=192.0.2.1")
    assert line.startswith("host=192.0.2.1: cannot be listened on")


@pytest.mark.parametrize("absent", explore.PACKAGES)
def test_a_package_that_is_not_installed(refused_by, monkeypatch, absent):
    monkeypatch.setattr(explore, "find_spec", lambda package: None if package == absent else package)
    assert refused_by(explore.main, "run=nowhere") == [
        f"ganlab.explore needs the package {absent}: pip install 'ganlab[explore]'"
    ]


def test_ctrl_c_while_it_loads_is_no_traceback(commanded, monkeypatch):
    def interrupted(options, listener):
        raise KeyboardInterrupt

    monkeypatch.setattr(explore, "_explored", interrupted)
    monkeypatch.setattr(explore, "find_spec", lambda package: package)
    assert commanded(explore.main, "run=x", "port=0") == (130, "", "")


def test_the_usage_names_every_key():
    for key in explore.ExploreOptions.model_fields:
        assert f"\n  {key} " in explore.USAGE
