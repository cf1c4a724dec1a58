"""Where the page listens, and how its server ends."""

import errno
import ipaddress
import socket
from typing import Any

from ganlab.errors import ConfigError, typed


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 stands for one that is free.

    Raises:
        ConfigError: the port is taken or not allowed, or the address is none of this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise ConfigError(f"host={typed(host)}: is no address of this machine; leave host out for 127.0.0.1") from None
    listener = socket.socket(family, kind, protocol)
    # A port that was left a minute ago may be had again; one that is listened on may not.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(128)
    except PermissionError:
        listener.close()
        raise ConfigError(
            f"port={port}: only the system may listen there; choose one from 1024 on, or port=0"
        ) from None
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(f"port={port}: is taken; choose another one, or port=0 for any") from None
        raise ConfigError(f"host={typed(host)}: cannot be listened on ({error.strerror or error})") from None
    return listener


def address_of(listener: socket.socket) -> str:
    """What a person types into a browser on this machine."""
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def only_local(listener: socket.socket) -> bool:
    """Whether nobody but this machine can reach it."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def serve(app: Any, listener: socket.socket) -> None:
    """Answer on the socket until Ctrl-C; then raise `KeyboardInterrupt`, once all is closed."""
    import uvicorn

    # A page that is open holds a connection for as long as it is open: nobody waits for it. What uvicorn says of
    # connections that it cuts is no concern of the person who ended it.
    config = uvicorn.Config(app, log_level="critical", access_log=False, timeout_graceful_shutdown=1, lifespan="on")
    uvicorn.Server(config).run(sockets=[listener])
    # Reached where the process was started with Ctrl-C ignored, as a shell's script does for what runs behind it.
    raise KeyboardInterrupt
