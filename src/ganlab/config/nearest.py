"""What someone may have meant."""

import difflib
from collections.abc import Iterable

LISTED = 30
"""Names that a line can list; the keys of a whole configuration are too many."""


def nearest(word: str, known: Iterable[str]) -> str:
    """`; nearest: a, b` for a word that is not known, or all that is known if nothing is near and it is not much."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    if close:
        return f"; nearest: {', '.join(close)}"
    return f"; there are: {', '.join(known)}" if 0 < len(known) <= LISTED else ""
