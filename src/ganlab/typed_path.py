"""Paths that somebody typed: what no file system takes is refused by the word's name, before it is used."""

from pathlib import Path

from ganlab.errors import ConfigError, GanlabError, typed


def typed_path(word: str | Path, key: str, kind: type[GanlabError] = ConfigError) -> Path:
    """The path that `key`=`word` means, with ~ expanded; there need be nothing at it.

    Raises `kind` for one that cannot be asked for: a name that is too long, a home that nobody has, a folder on the
    way that may not be entered. After this, `exists` and `is_file` of the path answer.
    """
    try:
        path = Path(word).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return path
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links; no such home; a null character
        reason = getattr(error, "strerror", None) or error
        raise kind(f"{key}={typed(str(word))}: cannot be a path ({reason})") from None
    return path
