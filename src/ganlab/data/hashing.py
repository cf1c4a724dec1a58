"""Numbers that follow from what they are for, the same on every machine and in every process."""

import hashlib


def stable_seed(*parts: int | str) -> int:
    """A seed in [0, 2**63) for a private generator; Python's own `hash` differs from process to process."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def stable_share(name: str) -> float:
    """A number in [0, 1) that depends on `name` alone."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48
