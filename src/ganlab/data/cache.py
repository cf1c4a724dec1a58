"""Decoded images on the disk: made once, named by their content, mapped and never read as a whole.

    <cache_dir>/<content key>/images.npy   uint8 [n, channels, height, width]
    <cache_dir>/<content key>/names        the name of each row, UTF-8, with a zero byte between two
    <cache_dir>/<content key>/rows.json    a checksum, then the shape, the names' length and checksum, what was skipped
    <cache_dir>/listings/<listing key>     the content key that belonged to a folder as it was listed

The content key is a hash of names, bytes and preprocessing: a copied or touched folder finds its cache, a
changed byte does not. To compute it all bytes are read; a folder whose listing (names, sizes, times) is
known skips that. A cache is built under a temporary name and renamed when whole, so that none is ever
seen half made, and of two processes that build the same one the first to finish wins.

To open a cache takes no memory: images and names are mapped, and the names become strings when they are asked for.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np

from ganlab.config.ranks import is_first
from ganlab.data.decode import Preprocessing, decode_all, in_threads
from ganlab.errors import DataError, GanlabError, OutputError, printable
from ganlab.files import write_atomically

log = logging.getLogger(__name__)

Item = TypeVar("Item")

FORMAT = 2
"""Raise it when the same key would hold other pixels, or in other files: it is part of every key."""
ENCODING = ("utf-8", "surrogateescape")
SEPARATOR = "\0"
"""The one character that no file's name holds."""
HEADER = 128
"""Bytes before the first pixel of images.npy."""
CHUNK = 2**20
"""Bytes of the names that are read at once for their checksum."""
STALE = 24 * 3600
"""Seconds after which a build that nobody finished is removed."""


@dataclass(frozen=True)
class DecodedImages:
    """`images` [n, channels, size, size], a map; the files left out, with the reason; and the rows' names."""

    images: np.ndarray
    skipped: dict[str, str]
    mapped_names: np.ndarray
    """Their bytes, which outlive the file as the images do."""

    @property
    def names(self) -> list[str]:
        """The name of each row: read and made anew at every call, since a million strings take 80 MB."""
        return _names_from(self.mapped_names.tobytes())


def decoded_images(
    folder: Path, names: Sequence[str], preprocessing: Preprocessing, cache_dir: Path, *, skip_corrupt: bool
) -> DecodedImages:
    """The images `folder / name`, from the cache or decoded into it.

    Raises `DataError` for a file that cannot be decoded (unless such are skipped), `OutputError` if the
    cache cannot be written.
    """
    alias = cache_dir / "listings" / _listing_key(folder, names, preprocessing)
    with _saying_what_to_set(cache_dir):
        found = _open(cache_dir / key) if (key := _read_alias(alias)) else None
        if found is None:
            key = _content_key(folder, names, preprocessing)
            found = _open(cache_dir / key) or _build(folder, names, preprocessing, cache_dir / key, skip_corrupt)
            write_atomically(alias, lambda file: file.write(key.encode("ascii")))
    if found.skipped and not skip_corrupt:
        raise _refusal(folder, *next(iter(found.skipped.items())))
    return found


def _listing_key(folder: Path, names: Sequence[str], preprocessing: Preprocessing) -> str:
    digest = hashlib.sha256(_preamble(preprocessing))
    digest.update(os.fsencode(folder.resolve()))
    for name in names:
        # The time of change too: a program can set the others back. Joined as text: a Path for each takes longer
        # than all the rest.
        status = os.stat(f"{folder}/{name}")
        digest.update(os.fsencode(name) + f"\0{status.st_size}/{status.st_mtime_ns}/{status.st_ctime_ns}\0".encode())
    return digest.hexdigest()


def _content_key(folder: Path, names: Sequence[str], preprocessing: Preprocessing) -> str:
    digest = hashlib.sha256(_preamble(preprocessing))
    hashes = in_threads(_file_hash, [folder / name for name in names])
    for name, file_hash in zip(names, _with_progress(hashes, "reading", len(names)), strict=True):
        digest.update(os.fsencode(name) + b"\0" + file_hash)
    return digest.hexdigest()


def _preamble(preprocessing: Preprocessing) -> bytes:
    return json.dumps([FORMAT, asdict(preprocessing)], sort_keys=True).encode() + b"\0"


def _file_hash(path: Path) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return b"unreadable"  # decoding will say so, by name


def _read_alias(alias: Path) -> str | None:
    try:
        key = alias.read_text(encoding="ascii")
    except (OSError, ValueError):
        return None
    return key if len(key) == 64 and set(key) <= set("0123456789abcdef") else None


def _open(place: Path) -> DecodedImages | None:
    """The cache at `place`; None if there is none, or a damaged one, which is then moved out of the way."""
    if not place.is_dir():
        return None
    try:
        rows = _read_rows(place / "rows.json")
        images = np.load(place / "images.npy", mmap_mode="r", allow_pickle=False)
        if images.dtype != np.uint8 or list(images.shape) != rows["shape"]:
            raise ValueError(f"images.npy holds {images.dtype} {images.shape}")
        if (place / "images.npy").stat().st_size != HEADER + images.nbytes:
            raise ValueError("images.npy has another length than it says")
        names = place / "names"
        if names.stat().st_size != rows["names_length"] or _checksum_of_file(names) != rows["names_checksum"]:
            raise ValueError("names does not match its checksum")
        return DecodedImages(images, rows["skipped"], np.memmap(names, np.uint8, mode="r"))
    except (OSError, ValueError, KeyError, EOFError) as error:
        log.warning("the cache %s is damaged (%s): it is built anew", place, error)
        _remove(place)
        return None


def _read_rows(path: Path) -> dict[str, Any]:
    checksum, _, content = path.read_bytes().partition(b"\n")
    if _checksum(content).encode() != checksum:
        raise ValueError("rows.json does not match its checksum")
    return json.loads(content)


def _build(
    folder: Path, names: Sequence[str], preprocessing: Preprocessing, place: Path, skip_corrupt: bool
) -> DecodedImages:
    log.info("decoding %s images of %s to %s (once)", f"{len(names):,}", folder, place)
    place.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(place.parent)
    temporary = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name[:16]}.", suffix=".tmp"))
    try:
        _fill(temporary, folder, names, preprocessing, skip_corrupt)
        temporary.chmod(place.parent.stat().st_mode & 0o777)  # as the folder around it: others may share it
        try:
            temporary.rename(place)
        except OSError:
            # Another process was first: what it built is the same.
            if not place.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    built = _open(place)
    if built is None:
        raise OutputError(f"data.cache_dir={place.parent}: what was written there does not read back; choose another")
    return built


def _fill(target: Path, folder: Path, names: Sequence[str], preprocessing: Preprocessing, skip_corrupt: bool) -> None:
    kept: list[str] = []
    skipped: dict[str, str] = {}

    def images() -> Iterator[np.ndarray]:
        decoded = decode_all([folder / name for name in names], preprocessing)
        for name, image in zip(names, _with_progress(decoded, "decoding", len(names)), strict=True):
            if isinstance(image, str):
                if not skip_corrupt:
                    raise _refusal(folder, name, image)
                skipped[name] = image
            else:
                kept.append(name)
                yield image
        if not kept:
            raise DataError(f"{folder}: none of its {len(names)} images can be read ({names[0]}: {skipped[names[0]]})")

    write_cache(target, images(), kept, skipped)


def write_cache(target: Path, images: Iterable[np.ndarray], names: Sequence[str], skipped: dict[str, str]) -> None:
    """Fill an empty folder: `images`, each uint8 [channels, size, size], or several at once [n, channels, size, size];
    the name of each, read when all images are written; and the files left out, with the reason."""
    shape: tuple[int, ...] = ()
    with (target / "images.npy").open("wb") as file:
        file.write(bytes(HEADER))
        for image in images:
            file.write(image.tobytes())
            shape = image.shape[-3:]
        shape = (len(names), *shape)
        file.seek(0)
        file.write(_npy_header(shape))
        _flush(file)
    listed = SEPARATOR.join(names).encode(*ENCODING)
    content: dict[str, Any] = {"shape": shape, "skipped": skipped}
    content |= {"names_length": len(listed), "names_checksum": _checksum(listed)}
    text = json.dumps(content).encode()
    for name, written in (("names", listed), ("rows.json", _checksum(text).encode() + b"\n" + text)):
        with (target / name).open("wb") as file:
            file.write(written)
            _flush(file)


def _names_from(listed: bytes) -> list[str]:
    return listed.decode(*ENCODING).split(SEPARATOR)


def _checksum(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=32).hexdigest()


def _checksum_of_file(path: Path) -> str:
    """The same of a file, which is never in memory as a whole."""
    digest = hashlib.blake2b(digest_size=32)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _npy_header(shape: tuple[int, ...]) -> bytes:
    """The header of a .npy file (format 1.0) of bytes, always `HEADER` long: the row count is known last."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    magic = b"\x93NUMPY\x01\x00"
    length = HEADER - len(magic) - 2
    return magic + length.to_bytes(2, "little") + text.ljust(length - 1).encode() + b"\n"


def _flush(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _refusal(folder: Path, name: str, reason: str) -> DataError:
    return DataError(
        f"{printable(str(folder / name))}: not a readable image ({reason}); "
        "remove it, or set data.on_corrupt=skip to leave such out"
    )


def _remove(place: Path) -> None:
    """Take a cache away at once; a process that has it mapped keeps its pages."""
    aside = Path(tempfile.mkdtemp(dir=place.parent, suffix=".tmp"))
    try:
        place.rename(aside / place.name)
    except OSError:
        if place.is_dir():
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _remove_stale(cache_dir: Path) -> None:
    """Remove what killed builds left behind."""
    for leftover in cache_dir.glob(".*.tmp"):
        try:
            newest = max(path.stat().st_mtime for path in [leftover, *leftover.iterdir()])
        except OSError:
            continue
        if time.time() - newest > STALE:
            shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def _saying_what_to_set(cache_dir: Path) -> Iterator[None]:
    try:
        yield
    except GanlabError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"data.cache_dir={cache_dir}: cannot be written ({reason}); choose another folder") from error


def _with_progress(items: Iterator[Item], what: str, total: int) -> Iterator[Item]:
    """The items, counted by a progress bar if someone is looking."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return iter(
        track(
            items, what, total=total, console=console, transient=True, disable=not (console.is_terminal and is_first())
        )
    )
