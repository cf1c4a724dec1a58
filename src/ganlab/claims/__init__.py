"""The textbook's claims as experiments: each is run, drawn, and judged by bounds that were written down before."""
