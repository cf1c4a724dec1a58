"""Where the page listens."""

import re
import socket

import pytest

from ganlab.errors import ConfigError
from ganlab.tasks.exploring.serving import address_of, listening, only_local


def test_a_free_port_on_this_machine_alone():
    with listening("127.0.0.1", 0) as listener:
        host, port = listener.getsockname()
        assert host == "127.0.0.1" and only_local(listener)
        assert address_of(listener) == f"http://127.0.0.1:{port}"
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
        with pytest.raises(OSError), socket.create_connection((other_address(), port), timeout=5):
            pass


def other_address():
    """Of this machine, beside 127.0.0.1: all of 127/8 is its own."""
    return "127.0.0.2"


def test_a_taken_port_is_refused_and_may_be_had_again():
    with listening("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ConfigError, match=f"^port={port}: is taken; choose another one, or port=0 for any$"):
            listening("127.0.0.1", port)
    listening("127.0.0.1", port).close()


@pytest.mark.parametrize("host", ["no.such.name.invalid", "a b", "", "\x00", "ü" * 80])
def test_what_is_no_address(host):
    with pytest.raises(ConfigError, match=r"^host=.*: (is no address|cannot be listened on)"):
        listening(host, 0)


def test_the_address_of_another_machine():
    with pytest.raises(ConfigError, match=r"^host=192\.0\.2\.1: cannot be listened on"):
        listening("192.0.2.1", 0)


def test_all_addresses_are_told_apart_from_this_machines_own():
    with listening("0.0.0.0", 0) as listener:
        assert not only_local(listener)
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address_of(listener))
    with listening("localhost", 0) as listener:
        assert only_local(listener)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_ipv6():
    try:
        listener = listening("::1", 0)
    except ConfigError:
        pytest.skip("this machine has no address ::1")
    with listener:
        assert only_local(listener) and re.fullmatch(r"http://\[::1\]:\d+", address_of(listener))
