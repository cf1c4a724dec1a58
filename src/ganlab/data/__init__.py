"""Data sets as endless streams of batches: what to load, in which order to draw it, how to keep it fast."""
