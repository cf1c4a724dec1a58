"""`python -m ganlab.sample run=outputs/…`: pictures from a trained run, no data set needed."""

from ganlab.tasks.sample import main

if __name__ == "__main__":
    main()
