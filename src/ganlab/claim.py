"""`python -m ganlab.claim NAME`: a claim of the literature, run, drawn and judged."""

from ganlab.claims.command import main

if __name__ == "__main__":
    main()
