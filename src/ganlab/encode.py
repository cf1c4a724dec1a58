"""`python -m ganlab.encode run=outputs/…`: the codes of a whole split, for use elsewhere."""

from ganlab.tasks.encode import main

if __name__ == "__main__":
    main()
